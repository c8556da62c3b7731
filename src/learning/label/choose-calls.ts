/**
 * Which calls to label: those where a label changes decisions most, spread over kinds of query. The
 * choice looks at what was known before the answer, never at the answer, so that labels of the chosen
 * speak for all calls like them.
 */
import type { CandidateScore } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { findClusters } from "../../routing/strategies/clusters.ts";
import { createRandom } from "../../std/random.ts";
import { toLabelSource } from "../data/row.ts";
import { isOwnTraffic } from "../events/event-label.ts";

/** The latest so many calls are looked at. */
export const labelWindow = 50_000;
const usualUncertainty = 0.3;
const usualTokens = 256;
const mostClusters = 32;
const callsPerCluster = 20;

export interface Labellable {
  readonly callId: string;
  readonly prompt: string;
  /** The model that answered, and the one that nearly did. */
  readonly model: string;
  readonly rival: string | undefined;
  readonly outputTokens: Readonly<Record<string, number>>;
  /** What a label is worth: the quality that better knowledge may gain on such a call. */
  readonly value: number;
  readonly embedding: Float32Array;
  /** What people said, where they did. */
  readonly people: number | undefined;
}

export interface LabelCounts {
  readonly seen: number;
  /** Without their text: `routeiq_settings.telemetry.store_prompts` was off. */
  readonly withoutPrompt: number;
  readonly alreadyLabelled: number;
  /** Failed, without features, without a decision, or calls of learning itself. */
  readonly unfit: number;
}

export interface LabelPool {
  readonly calls: readonly Labellable[];
  readonly counts: LabelCounts;
}

/** @param source of the labels that are to be given: a call that has one is left alone */
export async function findLabellable(
  events: AsyncIterable<CallEvent>,
  source: string,
): Promise<LabelPool> {
  let calls: Labellable[] = [];
  const counts = { seen: 0, withoutPrompt: 0, alreadyLabelled: 0, unfit: 0 };
  for await (const event of events) {
    counts.seen++;
    const { receipt, features, prompt } = event;
    if (receipt.feedback.some((one) => one.source === source)) counts.alreadyLabelled++;
    else if (!fits(event)) counts.unfit++;
    else if (prompt === undefined || prompt.trim() === "") counts.withoutPrompt++;
    else calls.push(toLabellable(event, prompt, features?.embedding ?? new Float32Array()));
    if (calls.length >= 2 * labelWindow) calls = calls.slice(-labelWindow);
  }
  return { calls: calls.slice(-labelWindow), counts };
}

function fits({ receipt, features }: CallEvent): boolean {
  const { operation, outcome, decision } = receipt;
  const chats = operation === "chat" || operation === "responses";
  return (
    chats &&
    outcome === "success" &&
    features !== undefined &&
    decision !== undefined &&
    decision.reason !== "composed" &&
    !isOwnTraffic(receipt)
  );
}

function toLabellable({ receipt }: CallEvent, prompt: string, embedding: Float32Array): Labellable {
  const open = (receipt.decision?.candidates ?? []).filter(({ filtered }) => !filtered);
  const answered = receipt.attempts.findLast(({ outcome }) => outcome === "ok")?.model;
  const model = answered ?? receipt.decision?.chosen ?? "";
  const own = open.find((candidate) => candidate.model === model);
  const others = open
    .filter((candidate) => candidate.model !== model)
    .sort((a, b) => (b.utility ?? 0) - (a.utility ?? 0));
  const rival = others[0];
  const people = receipt.feedback.filter((one) => toLabelSource(one.source) === "feedback");
  return {
    callId: receipt.callId,
    prompt,
    model,
    rival: rival?.model,
    outputTokens: Object.fromEntries(
      open.map((candidate) => [candidate.model, candidate.outputTokens ?? usualTokens]),
    ),
    value: labelValue(own, rival),
    embedding,
    people:
      people.length > 0
        ? people.reduce((sum, { score }) => sum + score, 0) / people.length
        : undefined,
  };
}

/**
 * The expected gain of knowing which of the two is better: large where their utilities are close and
 * uncertain. Source: Frazier, Powell, Dayanik, "The Knowledge-Gradient Policy", INFORMS JoC 21, 2009.
 */
function labelValue(own: CandidateScore | undefined, rival: CandidateScore | undefined): number {
  if (!rival) return 0;
  const spread = Math.hypot(
    own?.uncertainty ?? usualUncertainty,
    rival.uncertainty ?? usualUncertainty,
  );
  if (!(spread > 0)) return 0;
  const z = -Math.abs((own?.utility ?? 0) - (rival.utility ?? 0)) / spread;
  return spread * (density(z) + z * cumulative(z));
}

const density = (z: number) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

/** Of the standard normal. Source: Abramowitz and Stegun, 26.2.17; error under 7.5e-8. */
function cumulative(z: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(z));
  const tail =
    density(z) *
    t *
    (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return z >= 0 ? 1 - tail : tail;
}

/**
 * In the order in which they should be labelled: of each cluster the most valuable first, and a
 * cluster counts the less the more of it was taken. One in ten is a call that people judged, so that
 * the judge can be held against them.
 */
export function orderCalls(
  calls: readonly Labellable[],
  kernels: (bytes: number) => Kernels,
  seed: number,
): readonly Labellable[] {
  const known = calls.filter(({ people }) => people !== undefined);
  const open = calls.filter(({ people }) => people === undefined);
  const ordered = spread(open, kernels, seed);
  const checks = spread(known, kernels, seed);
  const result: Labellable[] = [];
  while (ordered.length + checks.length > 0) {
    const turn = result.length % 10 === 9 || ordered.length === 0;
    const next = (turn ? checks.shift() : undefined) ?? ordered.shift() ?? checks.shift();
    if (next) result.push(next);
  }
  return result;
}

function spread(
  calls: readonly Labellable[],
  kernels: (bytes: number) => Kernels,
  seed: number,
): Labellable[] {
  const queues = toClusters(calls, kernels, seed).map((members) => ({
    members: members.sort((a, b) => b.value - a.value),
    taken: 0,
  }));
  const result: Labellable[] = [];
  const worth = ({ members, taken }: (typeof queues)[number]) =>
    taken < members.length ? (members[taken]?.value ?? 0) / (1 + taken) : -1;
  while (result.length < calls.length) {
    const best = queues.reduce((top, queue) => (worth(queue) > worth(top) ? queue : top));
    const next = best.members[best.taken++];
    if (!next) break;
    result.push(next);
  }
  return result;
}

/** By meaning: items whose embeddings lie together. */
export function toClusters<T extends { readonly embedding: Float32Array }>(
  items: readonly T[],
  kernels: (bytes: number) => Kernels,
  seed: number,
): T[][] {
  const n = items.length;
  if (n === 0) return [];
  const d = items[0]?.embedding.length ?? 0;
  const k = Math.max(1, Math.min(mostClusters, Math.floor(n / callsPerCluster)));
  if (d === 0 || k === 1) return [[...items]];
  const x = new Float32Array(n * d);
  items.forEach(({ embedding }, row) => {
    x.set(embedding, row * d);
  });
  const { of } = findClusters(x, n, d, { k, rounds: 8, random: createRandom(seed), kernels });
  const clusters = Array.from({ length: k }, () => [] as T[]);
  items.forEach((item, row) => {
    clusters[of[row] as number]?.push(item);
  });
  return clusters.filter((members) => members.length > 0);
}
