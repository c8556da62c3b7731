/** Bradley-Terry by maximum likelihood: what it recovers, and what ties do. */
import { describe, expect, test } from "bun:test";
import { createScalarKernels } from "../../kernels/scalar.ts";
import { createRandom } from "../../std/random.ts";
import { elo } from "./elo.ts";
import type { Examples } from "./strategy.ts";

function toExamples(rows: readonly (readonly number[])[]): Examples {
  const m = rows[0]?.length ?? 0;
  return {
    models: Array.from({ length: m }, (_, j) => `model-${j}`),
    x: new Float32Array(rows.length),
    n: rows.length,
    d: 1,
    quality: Float32Array.from(rows.flat()),
    weight: new Float32Array(rows.length).fill(1),
    group: Int32Array.from(rows.keys()),
    sizeB: new Float32Array(m),
    priceUsdPerMtok: new Float32Array(m),
  };
}

const usual = { scale: 400, base: 10, init_rating: 1000, ties: "davidson" } as const;

async function rate(rows: readonly (readonly number[])[], changes: object = {}) {
  const context = {
    random: createRandom(1),
    kernels: createScalarKernels,
    progress: () => undefined,
  };
  const fitted = await elo.fit(toExamples(rows), { ...usual, ...changes }, context);
  const take = (name: string) => Array.from(fitted.tensors[name]?.values ?? []);
  return { ratings: take("elo.rating"), quality: take("elo.quality"), json: fitted.json };
}

/** Wins of the first of two models over the second, then losses, then ties. */
const games = (wins: number, losses: number, ties: number) => [
  ...Array.from({ length: wins }, () => [1, 0]),
  ...Array.from({ length: losses }, () => [0, 1]),
  ...Array.from({ length: ties }, () => [1, 1]),
];

describe("two models", () => {
  test("ten times the wins are about 400 points", async () => {
    const { ratings } = await rate(games(10_000, 1_000, 0));
    expect((ratings[0] ?? 0) - (ratings[1] ?? 0)).toBeCloseTo(400, 0);
    expect(((ratings[0] ?? 0) + (ratings[1] ?? 0)) / 2).toBeCloseTo(1000, 6);
  });

  test("scale, base and the mean are options", async () => {
    const { ratings } = await rate(games(8_000, 1_000, 0), { scale: 100, base: 2, init_rating: 0 });
    expect((ratings[0] ?? 0) - (ratings[1] ?? 0)).toBeCloseTo(300, 0);
    expect((ratings[0] ?? 0) + (ratings[1] ?? 0)).toBeCloseTo(0, 6);
  });

  test("ties press ratings together as halves, and do not with a probability of their own", async () => {
    const few = games(1_000, 250, 0);
    const many = games(1_000, 250, 5_000);
    const gap = async (rows: readonly (readonly number[])[], ties: string) => {
      const { ratings } = await rate(rows, { ties });
      return (ratings[0] ?? 0) - (ratings[1] ?? 0);
    };
    expect(await gap(few, "davidson")).toBeCloseTo(await gap(few, "half"), 0);
    expect(await gap(many, "half")).toBeLessThan(0.3 * (await gap(few, "half")));
    expect(await gap(many, "davidson")).toBeCloseTo(await gap(few, "davidson"), 0);
  });

  test("one that never loses has a finite rating", async () => {
    const { ratings } = await rate(games(200, 0, 0));
    expect(ratings.every(Number.isFinite)).toBe(true);
    expect(ratings[0]).toBeGreaterThan(1300);
  });
});

test("strengths of four are recovered from single comparisons", async () => {
  const random = createRandom(8);
  const truth = [1200, 1100, 950, 750];
  const rows = Array.from({ length: 20_000 }, () => {
    const a = Math.floor(random.next() * 4);
    const b = (a + 1 + Math.floor(random.next() * 3)) % 4;
    const expected = 1 / (1 + 10 ** (((truth[b] ?? 0) - (truth[a] ?? 0)) / 400));
    const won = random.next() < expected;
    return truth.map((_, j) => (j === a ? Number(won) : j === b ? Number(!won) : Number.NaN));
  });
  const { ratings, quality } = await rate(rows);
  truth.forEach((value, j) => {
    expect(Math.abs((ratings[j] ?? 0) - value)).toBeLessThan(25);
  });
  // Quality rises with the rating.
  expect([...quality].sort((a, b) => b - a)).toEqual(quality);
});
