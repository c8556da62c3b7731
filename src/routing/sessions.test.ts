/** What a conversation loses when it changes its model, and when it stays. */
import { describe, expect, test } from "bun:test";
import type { CandidateScore } from "../domain/decision.ts";
import type { Price } from "../domain/usage.ts";
import {
  promptCacheMs,
  type Session,
  staysWith,
  switchingMargin,
  type Turn,
  toSession,
  toStay,
} from "./sessions.ts";

const before: Session = { model: "a", inputTokens: 2000, cachedTokens: 2000, atMs: 0 };

describe("what the provider's cache holds after a turn", () => {
  test.each<[string, Session | undefined, Turn, number]>([
    ["of an automatic cache, before it says anything", undefined, { inputTokens: 3000 }, 3000],
    ["too short to be cached", undefined, { inputTokens: 500 }, 0],
    [
      "what was written, where that is said",
      undefined,
      { inputTokens: 3000, cachedInputTokens: 1000, cacheWriteTokens: 500 },
      1500,
    ],
    ["an automatic one that read", before, { inputTokens: 3000, cachedInputTokens: 1920 }, 3000],
    [
      "one that read nothing of what it had seen",
      before,
      { inputTokens: 3000, cachedInputTokens: 0 },
      0,
    ],
    [
      "one that read nothing of a first long turn",
      { ...before, inputTokens: 100 },
      { inputTokens: 3000, cachedInputTokens: 0 },
      3000,
    ],
    [
      "one that read nothing of another's",
      { ...before, model: "b" },
      { inputTokens: 3000, cachedInputTokens: 0 },
      3000,
    ],
  ])("%s", (_name, session, turn, cached) => {
    expect(toSession(session, "a", turn, 1000).cachedTokens).toBe(cached);
  });
});

const price: Price = {
  inputUsdPerToken: 10e-6,
  outputUsdPerToken: 30e-6,
  cacheReadUsdPerToken: 1e-6,
};

test.each<[string, Price | undefined, number, number]>([
  ["the difference to the full price", price, 1000, 0.018],
  ["nothing once the cache has run out", price, promptCacheMs, 0],
  [
    "nothing where the cache has no price of its own",
    { inputUsdPerToken: 1, outputUsdPerToken: 1 },
    1000,
    0,
  ],
  ["nothing without a price", undefined, 1000, 0],
])("a change loses %s", (_name, of, nowMs, lostUsd) => {
  expect(toStay(before, of, nowMs).lostUsd).toBeCloseTo(lostUsd, 12);
});

describe("a conversation", () => {
  const scored = (model: string, utility: number): CandidateScore => ({
    model,
    group: "g",
    utility,
    probability: 0,
  });
  const at = { lambda: 0.5, costRefUsd: 0.1 };
  test.each<[string, number, number, boolean]>([
    ["over a gain within the margin", switchingMargin - 0.001, 0, true],
    ["not over a larger one", switchingMargin + 0.001, 0, false],
    ["while the lost cache is worth more than the gain", 0.1, 0.02, true],
    ["not where it is worth less", 0.1, 0.01, false],
  ])("stays %s", (_name, gain, lostUsd, stays) => {
    const candidates = [scored("b", 0.5 + gain), scored("a", 0.5)];
    expect(staysWith({ model: "a", lostUsd }, candidates, at)).toBe(stays);
  });

  test("does not stay with a model that cannot serve", () => {
    const gone = { ...scored("a", 0.5), filtered: "context_window" as const };
    expect(staysWith({ model: "a", lostUsd: 9 }, [scored("b", 0.5), gone], at)).toBe(false);
  });
});
