/** Which rows routing is judged on. */
import { describe, expect, test } from "bun:test";
import { toJudged } from "./complete-rows.ts";

const n = 300;
const gap = Number.NaN;

/** Two models; the second is known on the first `known` rows. */
function make(known: number) {
  const quality = new Float32Array(n * 2).fill(1);
  for (let row = known; row < n; row++) quality[row * 2 + 1] = gap;
  const costUsd = Float64Array.from(quality, (q) => (Number.isNaN(q) ? gap : 0.5));
  const costs = new Float32Array(n * 2).fill(0.25);
  return { outcomes: { n, m: 2, quality, costUsd }, costs };
}

describe("rows that are judged", () => {
  test("all of them, gaps filled, where the other models could fill them", () => {
    const { outcomes, costs } = make(150);
    const filled = outcomes.quality.map((q) => (Number.isNaN(q) ? 0.4 : q));
    const judged = toJudged(outcomes, { quality: filled, costs });
    expect(judged.outcomes.n).toBe(n);
    expect(judged.outcomes.quality[n * 2 - 1]).toBeCloseTo(0.4, 6);
    expect(judged.outcomes.costUsd[n * 2 - 1]).toBe(0.25);
    expect(judged.outcomes.costUsd[0]).toBe(0.5);
  });

  test.each([
    ["the complete ones where nothing was filled", 150, 150],
    ["all, gaps and all, where too few are complete", 50, n],
    ["all where all are complete", n, n],
  ])("%s", (_, known, expected) => {
    const { outcomes, costs } = make(known);
    const judged = toJudged(outcomes, { quality: outcomes.quality, costs });
    expect(judged.outcomes.n).toBe(expected);
    expect(judged.take(costs).length).toBe(2 * expected);
  });
});
