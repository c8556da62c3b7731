/** AutoMix's rules: when they escalate, and what they are fitted to. */
import { describe, expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import {
  type AutomixRow,
  type AutomixRule,
  binOf,
  defaultCosts,
  escalates,
  fitAutomix,
  parseRule,
  routingMethods,
} from "./automix-rules.ts";

const cases: readonly [AutomixRule, readonly number[], readonly number[]][] = [
  // rule, shares that escalate, shares that do not
  [{ method: "Threshold", thresholds: [0.5] }, [0, 0.5], [0.51, 1]],
  [{ method: "SelfConsistency", thresholds: [0.5] }, [0.5], [0.625]],
  [{ method: "DoubleThreshold", thresholds: [0.25, 0.75] }, [0.25, 0.5, 0.75], [0, 0.2, 0.8, 1]],
  [{ method: "TripleThreshold", thresholds: [0.1, 0.4, 0.6] }, [0, 0.1, 0.5], [0.2, 0.7]],
  [{ method: "POMDP", actions: [false, true, false] }, [0.3, 0.5, 0.7], [0, 0.2, 0.8, 1]],
];
test.each(cases)("%j", (rule, up, down) => {
  for (const share of up) expect(escalates(rule, share)).toBe(true);
  for (const share of down) expect(escalates(rule, share)).toBe(false);
  expect(parseRule(JSON.parse(JSON.stringify(rule)))).toEqual(rule);
});

test.each([
  [undefined],
  ["Threshold"],
  [{ method: "Threshold" }],
  [{ method: "Threshold", thresholds: [2] }],
  [{ method: "DoubleThreshold", thresholds: [0.5] }],
  [{ method: "POMDP", actions: [1, 0] }],
  [{ method: "Guess", thresholds: [0.5] }],
])("%j is no rule", (value) => {
  expect(parseRule(value)).toBeUndefined();
});

test("bins are the nearest of the steps", () => {
  expect([0, 0.06, 0.07, 0.5, 1, 2, -1].map((p) => binOf(p, 8))).toEqual([0, 0, 1, 4, 8, 8, 0]);
});

/** A verifier that is right three times in four; the large model answers 90 %, the small one half. */
function rowsOf(count: number, seed = 1, large = 0.9): AutomixRow[] {
  const random = createRandom(seed);
  return Array.from({ length: count }, () => {
    const small = random.next() < 0.5 ? 1 : 0;
    let votes = 0;
    for (let n = 0; n < 8; n++) if (random.next() < (small === 1 ? 0.75 : 0.25)) votes++;
    return { small, large: random.next() < large ? 1 : 0, p: votes / 8, weight: 1 };
  });
}

describe("fitting", () => {
  test.each(routingMethods)("%s beats the straight line between the two models", (method) => {
    const fit = fitAutomix(rowsOf(4_000), method, 8, defaultCosts);
    expect(fit.rule.method).toBe(method);
    expect(fit.ibcLift).toBeGreaterThan(0);
    // What it was fitted to holds on rows that it has not seen.
    const held = rowsOf(4_000, 2);
    const quality =
      held.reduce((sum, row) => sum + (escalates(fit.rule, row.p) ? row.large : row.small), 0) /
      held.length;
    expect(Math.abs(quality - fit.quality)).toBeLessThan(0.03);
  });

  test("the POMDP is at least as good as every threshold", () => {
    const rows = rowsOf(2_000);
    const of = (method: (typeof routingMethods)[number]) =>
      fitAutomix(rows, method, 8, defaultCosts).ibcLift;
    for (const method of ["Threshold", "DoubleThreshold", "SelfConsistency"] as const) {
      expect(of("POMDP")).toBeGreaterThanOrEqual(of(method) - 1e-9);
    }
  });

  test("a large model that is no better is never asked", () => {
    const fit = fitAutomix(rowsOf(1_000, 1, 0.4), "Threshold", 8, defaultCosts);
    expect(fit.escalated).toBe(0);
    expect([0, 0.5, 1].some((p) => escalates(fit.rule, p))).toBe(false);
  });

  test("a log knows one answer of each query, and nearly the same comes of it", () => {
    const whole = rowsOf(8_000);
    const logged = whole.map((row, n) =>
      n % 2 === 0 ? { ...row, large: Number.NaN } : { ...row, small: Number.NaN },
    );
    const fit = fitAutomix(logged, "Threshold", 8, defaultCosts);
    const truth = fitAutomix(whole, "Threshold", 8, defaultCosts);
    expect(Math.abs(fit.quality - truth.quality)).toBeLessThan(0.05);
    expect(fit.ibcLift).toBeGreaterThan(0);
  });
});
