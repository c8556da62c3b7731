/**
 * Calls of the event log, as an off-policy estimate needs them: features, who could have answered
 * with what probability, who did, what it was worth. A choice that was certain (probability 1: one
 * candidate, a conversation that stuck, no exploration) says nothing of other models: it is counted
 * and left out, and no probability is made up for it.
 */
import type { CandidateScore, Dial, Receipt } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import type { RawFeatures } from "../../domain/features.ts";
import type { Label, Labels } from "../data/labels.ts";
import type { LabelSource } from "../data/row.ts";
import { toEventLabel } from "../events/event-label.ts";
import { withSigns } from "../events/signs.ts";

/** The latest so many calls are looked at: some 400 MB of features. */
export const loggedCallLimit = 100_000;

/** What an estimate needs of a call, but for what the router needs to decide it anew. */
export interface LoggedChoice {
  readonly callId: string;
  readonly chosen: string;
  readonly propensity: number;
  readonly quality: number;
  /** NaN where it is not known. */
  readonly costUsd: number;
  /** Calls of a session depend on one another. */
  readonly session: string;
  /** The likeliest candidate, its probability, and that of the least likely one that had any. */
  readonly top: string;
  readonly topChance: number;
  readonly leastChance: number;
}

export interface LoggedCall extends LoggedChoice {
  readonly atMs: number;
  readonly features: RawFeatures;
  /** Who could have answered, with their probabilities; best first. */
  readonly candidates: readonly Pick<CandidateScore, "model" | "group" | "probability">[];
  readonly dial: Dial | undefined;
  readonly inputTokens: number;
}

export interface LogCounts {
  /** Calls in the log. */
  readonly seen: number;
  /** Calls that chance decided, and that have a label: what the estimates are made of. */
  readonly used: number;
  /** Choices with probability 1. */
  readonly deterministic: number;
  /** Without a label, features or a decision. */
  readonly unlabelled: number;
  /** Of another embedder. */
  readonly foreign: number;
  /** Older than the limit. */
  readonly dropped: number;
  /** Where the labels of the used calls are from. */
  readonly labels: Readonly<Partial<Record<LabelSource, number>>>;
}

export interface LoggedInput {
  readonly events: AsyncIterable<CallEvent>;
  readonly embedderId: string;
  /** Scores that lie apart from the log, by call id; they stand above the log's own. */
  readonly labels?: Labels | undefined;
  /** The latest so many are kept. */
  readonly limit?: number;
  /** Calls of other times are not looked at. */
  readonly sinceMs?: number;
  readonly untilMs?: number;
}

export interface LoggedCalls {
  readonly calls: readonly LoggedCall[];
  readonly counts: LogCounts;
}

export async function readLoggedCalls(input: LoggedInput): Promise<LoggedCalls> {
  const { limit = loggedCallLimit } = input;
  let calls: LoggedCall[] = [];
  const labels: Partial<Record<LabelSource, number>> = {};
  const counts = { seen: 0, deterministic: 0, unlabelled: 0, foreign: 0, dropped: 0 };
  for await (const seen of judgeCalls(input)) {
    counts.seen++;
    if (typeof seen === "string") counts[seen]++;
    else {
      const { source } = seen.label;
      labels[source] = (labels[source] ?? 0) + 1;
      calls.push(toCall(seen));
    }
    if (calls.length < 2 * limit) continue;
    counts.dropped += calls.length - limit;
    calls = calls.slice(-limit);
  }
  counts.dropped += Math.max(0, calls.length - limit);
  calls = calls.slice(-limit);
  return { calls, counts: { ...counts, used: calls.length, labels } };
}

/**
 * The same without features, by call id: 200 bytes a call.
 * @param wanted ids that are asked about; of a million calls, those that a table has a row for
 */
export async function readLoggedChoices(
  input: LoggedInput,
  wanted?: ReadonlySet<string>,
): Promise<ReadonlyMap<string, LoggedChoice>> {
  const choices = new Map<string, LoggedChoice>();
  for await (const seen of judgeCalls(input)) {
    if (typeof seen === "string") continue;
    const { callId } = seen.event.receipt;
    if (!wanted || wanted.has(callId)) choices.set(callId, toChoice(seen));
  }
  return choices;
}

interface Usable {
  readonly event: CallEvent;
  readonly features: RawFeatures;
  readonly label: Label;
  readonly propensity: number;
}

/** Each call of the time that is asked for: usable, or why it is not. */
async function* judgeCalls(
  input: LoggedInput,
): AsyncGenerator<Usable | "unlabelled" | "foreign" | "deterministic"> {
  const { events, embedderId, labels } = input;
  const { sinceMs = Number.NEGATIVE_INFINITY, untilMs = Number.POSITIVE_INFINITY } = input;
  for await (const { event, signs } of withSigns(events)) {
    const { receipt, features } = event;
    if (receipt.atMs < sinceMs || receipt.atMs >= untilMs) continue;
    const apart = labels?.find([receipt.callId, receipt.requestId]);
    const label = apart ?? toEventLabel(receipt, signs);
    const propensity = propensityOf(receipt);
    // What several models wrote together is no single one's merit.
    const shared = receipt.decision?.reason === "composed";
    if (!label || !features || !receipt.decision || shared) yield "unlabelled";
    else if (features.embedderId !== embedderId) yield "foreign";
    else if (propensity === undefined) yield "deterministic";
    else yield { event, features, label, propensity };
  }
}

/** A probability that is as good as 1: rounding of sums of shares. */
const certain = 1 - 1e-9;

/** The probability of what was drawn; undefined where nothing was drawn. */
export function propensityOf({ decision }: Receipt): number | undefined {
  const drawn = decision?.candidates.find(({ model }) => model === decision.chosen);
  const probability = drawn?.probability ?? 0;
  return probability > 0 && probability < certain ? probability : undefined;
}

function toChoice({ event, label, propensity }: Usable): LoggedChoice {
  const { callId, decision, costMicroUsd } = event.receipt;
  let top = "";
  let [topChance, leastChance] = [0, 1];
  for (const { model, probability } of decision?.candidates ?? []) {
    if (probability > topChance) {
      top = model;
      topChance = probability;
    }
    if (probability > 0) leastChance = Math.min(leastChance, probability);
  }
  return {
    top,
    topChance,
    leastChance,
    callId,
    chosen: decision?.chosen ?? "",
    propensity,
    quality: label.score,
    costUsd: costMicroUsd === undefined ? Number.NaN : costMicroUsd / 1e6,
    session: event.sessionHash ?? callId,
  };
}

function toCall(usable: Usable): LoggedCall {
  const { event, features } = usable;
  const { decision, atMs } = event.receipt;
  return {
    ...toChoice(usable),
    atMs,
    features,
    candidates: (decision?.candidates ?? [])
      .filter(({ filtered }) => !filtered)
      .map(({ model, group, probability }) => ({ model, group, probability })),
    dial: decision?.dial,
    inputTokens: event.inputTokens ?? 0,
  };
}

/**
 * What would have been picked without exploration: the one candidate of highest probability.
 * Undefined where several share it, as when a balancer draws evenly.
 */
export function unexplored({ candidates }: LoggedCall): string | undefined {
  let top: LoggedCall["candidates"][number] | undefined;
  let shared = false;
  for (const candidate of candidates) {
    const difference = candidate.probability - (top?.probability ?? 0);
    if (Math.abs(difference) < 1e-9) shared = true;
    else if (difference > 0) {
      top = candidate;
      shared = false;
    }
  }
  return shared ? undefined : top?.model;
}
