/**
 * Which model a conversation has been answered by, so that its later turns stay: a change loses
 * the provider's prompt cache and changes the voice in the middle of a talk. Bounded, in memory.
 */
import type { CandidateScore, Stay } from "../domain/decision.ts";
import type { Price, Usage } from "../domain/usage.ts";
import { createLru } from "../std/lru.ts";

export interface Session {
  readonly model: string;
  /** Input tokens of its last turn. */
  readonly inputTokens: number;
  /** About what the provider's prompt cache holds of it. */
  readonly cachedTokens: number;
  /** When it was answered last. */
  readonly atMs: number;
}

export interface Sessions {
  find(key: string): Session | undefined;
  remember(key: string, session: Session): void;
}

export const sessionLimit = 10_000;

/** Utility that a change of model must gain, beyond the lost prompt cache. */
export const switchingMargin = 0.02;

/** How long a provider's prompt cache outlives its last use: five minutes at Anthropic's, and OpenAI's at busy hours. */
export const promptCacheMs = 300_000;

/** Shorter prompts are not cached: the least of OpenAI's and Anthropic's automatic and marked caches. */
export const leastCachedTokens = 1_024;

export function createSessions(limit: number = sessionLimit): Sessions {
  const sessions = createLru<string, Session>(limit);
  return {
    find: (key) => sessions.get(key),
    remember: (key, session) => sessions.set(key, session),
  };
}

export type Turn = Pick<Usage, "inputTokens" | "cachedInputTokens" | "cacheWriteTokens">;

/**
 * A conversation after a turn. What a provider says that it wrote is what it holds (marked caches);
 * one that reads on its own holds about the whole turn. One that says it read nothing of a
 * conversation which it had answered before, and long enough, keeps no cache of it.
 */
export function toSession(
  before: Session | undefined,
  model: string,
  turn: Turn,
  atMs: number,
): Session {
  const { inputTokens, cachedInputTokens, cacheWriteTokens = 0 } = turn;
  return { model, inputTokens, cachedTokens: toCached(), atMs };

  function toCached(): number {
    if (cacheWriteTokens > 0) return (cachedInputTokens ?? 0) + cacheWriteTokens;
    if ((cachedInputTokens ?? 0) > 0) return inputTokens;
    const again = before?.model === model && before.inputTokens >= leastCachedTokens;
    if (again && cachedInputTokens === 0 && atMs - before.atMs < promptCacheMs) return 0;
    return inputTokens >= leastCachedTokens ? inputTokens : 0;
  }
}

/**
 * What a change of model would lose: the part of the prompt that lies in the provider's cache, read
 * anew at full price. Nothing where the cache has run out, or costs as much as the input.
 */
export function toStay(session: Session, price: Price | undefined, nowMs: number): Stay {
  const { model, cachedTokens, atMs } = session;
  const fresh = nowMs - atMs < promptCacheMs;
  const cheaper =
    price?.cacheReadUsdPerToken === undefined
      ? 0
      : Math.max(0, price.inputUsdPerToken - price.cacheReadUsdPerToken);
  return { model, lostUsd: fresh ? cachedTokens * cheaper : 0 };
}

/**
 * Whether a conversation keeps its model: unless another's utility is better by more than the margin
 * and the lost cache, priced as every cost is.
 * @param candidates best first
 */
export function staysWith(
  { model, lostUsd }: Stay,
  candidates: readonly CandidateScore[],
  { lambda, costRefUsd }: { readonly lambda: number; readonly costRefUsd: number },
): boolean {
  const kept = candidates.find((one) => one.model === model && !one.filtered);
  if (!kept) return false;
  const gain = (candidates[0]?.utility ?? 0) - (kept.utility ?? 0);
  return gain <= switchingMargin + lambda * (lostUsd / (costRefUsd || 1));
}
