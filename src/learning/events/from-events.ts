/**
 * The event log as rows to learn from: features as they were logged, quality from feedback, else
 * from the outcome; the model's observation weighs the inverse of its logged probability.
 */
import type { Receipt } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import { userOf } from "../../routing/user.ts";
import type { Labels } from "../data/labels.ts";
import { nearDuplicateKeys } from "../data/near-duplicate.ts";
import type { TableBuilder } from "../table.ts";
import { toEventLabel } from "./event-label.ts";
import { type SignedEvent, withSigns } from "./signs.ts";

/** Inverse propensities stop here: beyond it one call would outvote a day (doubly robust practice). */
const weightLimit = 20;
/** A sign says less than a grade, and there are many more of them. */
const implicitWeight = 0.2;

export interface EventCounts {
  readonly used: number;
  /** Calls without features, without a known outcome, or of another embedder. */
  readonly unlabelled: number;
  readonly foreign: number;
  /** When the latest call came that was learnt from; −∞ where none was. */
  readonly untilMs: number;
}

export interface EventInput {
  readonly events: AsyncIterable<CallEvent>;
  /** Rows of another embedder are counted, not learnt from. */
  readonly embedderId: string;
  /** Scores that lie apart from the log, by call id; they stand above the log's own. */
  readonly labels?: Labels | undefined;
  readonly onRow?: (count: number) => void;
}

/** Every call with features and a known outcome, as a row of the table. */
export async function addEvents(builder: TableBuilder, input: EventInput): Promise<EventCounts> {
  const { events, embedderId, labels, onRow } = input;
  let used = 0;
  let unlabelled = 0;
  let foreign = 0;
  let untilMs = Number.NEGATIVE_INFINITY;
  for await (const { event, signs } of withSigns(events)) {
    const { receipt, features } = event;
    const label = labels?.find([receipt.callId, receipt.requestId]) ?? toEventLabel(receipt, signs);
    const model = servedBy(receipt);
    if (!isOneModels(event) || !features || label === undefined || model === undefined)
      unlabelled++;
    else if (features.embedderId !== embedderId) foreign++;
    else {
      builder.add({
        id: receipt.callId,
        identity: receipt.callId,
        label: label.source,
        features,
        weight: toWeight(receipt, model) * (label.source === "implicit" ? implicitWeight : 1),
        user: userOf({ tenant: event.tenant, caller: receipt.caller, userHash: event.userHash }),
        groupKeys: toGroupKeys(event),
        outcomes: new Map([[model, { score: label.score, ...toMeasures(receipt) }]]),
        ...toVerification(receipt),
      });
      used++;
      untilMs = Math.max(untilMs, receipt.atMs);
      onRow?.(used);
    }
  }
  return { used, unlabelled, foreign, untilMs };
}

/** What several models wrote together is no single one's merit. */
const isOneModels = ({ features, receipt }: CallEvent) =>
  features !== undefined && receipt.decision?.reason !== "composed";

export interface LearnableCount {
  readonly calls: number;
  /** Those that `addEvents` would learn from, but for their embedder. */
  readonly labelled: number;
}

export async function countLearnable(events: AsyncIterable<CallEvent>): Promise<LearnableCount> {
  let calls = 0;
  let labelled = 0;
  for await (const signed of withSigns(events)) {
    calls++;
    if (isLearnable(signed)) labelled++;
  }
  return { calls, labelled };
}

export const isLearnable = ({ event, signs }: SignedEvent): boolean =>
  isOneModels(event) && toEventLabel(event.receipt, signs) !== undefined;

function toMeasures({ usage, costMicroUsd, timings }: Receipt) {
  return {
    latencyMs: timings.totalMs,
    ...(usage ? { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens } : {}),
    ...(costMicroUsd === undefined ? {} : { costUsd: costMicroUsd / 1e6 }),
  };
}

/** What a cascade's verifier thought of the first answer, whoever answered in the end. */
function toVerification({ decision, strategyCalls }: Receipt) {
  const share = decision?.verification;
  const first = strategyCalls?.find(({ purpose }) => purpose === "answer")?.model;
  if (share === undefined || first === undefined) return {};
  return { verification: new Map([[first, share]]) };
}

/** The same conversation, the same query, nearly the same query. */
function toGroupKeys({ sessionHash, queryHash, features }: CallEvent): string[] {
  return [
    ...(sessionHash ? [`s:${sessionHash}`] : []),
    ...(queryHash ? [`q:${queryHash}`] : []),
    ...(features ? nearDuplicateKeys(features) : []),
  ];
}

/** The model that answered, or was asked last. */
function servedBy({ attempts, decision }: Receipt): string | undefined {
  const answered = attempts.findLast(({ outcome }) => outcome === "ok");
  return answered?.model ?? attempts.at(-1)?.model ?? decision?.chosen;
}

function toWeight({ decision }: Receipt, model: string): number {
  const logged = decision?.candidates.find((candidate) => candidate.model === model)?.probability;
  return logged !== undefined && logged > 0 ? Math.min(weightLimit, 1 / logged) : 1;
}
