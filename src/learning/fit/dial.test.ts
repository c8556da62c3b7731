/** Where the dial begins: at the best that was measured, unless that may be luck. */
import { describe, expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import { fitDial } from "./dial.ts";

const costRef = 1;

/**
 * Two models of half the calls each: `cheap` (cost .1) and `dear` (cost 1). `known` is the share of the
 * queries on which the prediction says rightly which of them fails; elsewhere it says nothing.
 */
function toInput(n: number, known: number) {
  const random = createRandom(5);
  const quality = new Float32Array(n * 2);
  const predicted = new Float32Array(n * 2);
  for (let row = 0; row < n; row++) {
    const cheapWins = random.next() < 0.4 ? 1 : 0;
    const both = random.next() < 0.5 ? 1 : 0;
    quality.set([Math.max(both, cheapWins), Math.max(both, 1 - cheapWins)], row * 2);
    const tells = random.next() < known;
    const lean = tells ? (cheapWins ? 0.2 : -0.2) : 0.3 * (random.next() - 0.5);
    predicted.set([0.7 + lean, 0.74 - lean], row * 2);
  }
  const costUsd = Float64Array.from({ length: n * 2 }, (_, at) => (at % 2 === 0 ? 0.1 : 1));
  const costs = Float32Array.from(costUsd);
  const outcomes = { n, m: 2, quality, costUsd };
  return { outcomes, predicted, costs, costRef, constant: false };
}

describe("the dear end of the dial", () => {
  test("is the best trade-off where routing beats every fixed model", () => {
    const [first] = fitDial(toInput(2000, 0.9));
    expect(first?.fixed).toBeUndefined();
    expect(first?.meanQuality).toBeGreaterThan(0.9);
    expect(first?.meanCostUsd).toBeLessThan(0.8);
  });

  test.each([200, 1000])("is the dear model where predictions say nothing, %i rows", (n) => {
    const dial = fitDial(toInput(n, 0));
    expect(dial[0]).toMatchObject({ fixed: 1, meanCostUsd: 1 });
    // Behind it no trade-off is missing, down to the cheap model alone.
    expect(dial[1]).toMatchObject({ lambda: 0 });
    expect(dial.at(-1)?.meanCostUsd).toBeCloseTo(0.1, 6);
  });

  test("is cheap where the dear model is no better", () => {
    const input = toInput(1000, 0);
    const worse = input.outcomes.quality.map((q, at) => (at % 2 === 0 ? 1 : q));
    const dial = fitDial({ ...input, outcomes: { ...input.outcomes, quality: worse } });
    expect(dial[0]).toMatchObject({ meanQuality: 1 });
    expect(dial[0]?.meanCostUsd).toBeCloseTo(0.1, 6);
  });

  test("is left to λ where outcomes are single choices of a log", () => {
    const input = toInput(200, 0);
    const logged = input.outcomes.quality.map((q, at) => (at % 3 === 0 ? Number.NaN : q));
    const dial = fitDial({ ...input, outcomes: { ...input.outcomes, quality: logged } });
    expect(dial.every(({ fixed }) => fixed === undefined)).toBe(true);
    expect(dial.every(({ meanQuality }) => Number.isFinite(meanQuality))).toBe(true);
  });
});
