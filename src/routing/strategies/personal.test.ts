/** Personal effects: users of different tastes, few ratings, and nobody known. */
import { expect, test } from "bun:test";
import { createScalarKernels } from "../../kernels/scalar.ts";
import { hashUser } from "../../security/hashing.ts";
import { createRandom, nextInt, nextNormal } from "../../std/random.ts";
import { personal } from "./personal.ts";
import type { Examples, Scorer } from "./strategy.ts";

const d = 16;
const usual = { l2_lambda: 0, min_interactions: 3, max_users: 1000 };

interface Taste {
  readonly user: string | undefined;
  readonly rows: number;
  /** Probability that each of the two models pleases. */
  readonly pleases: readonly [number, number];
  /** Models that a row shows the outcome of: one, as a log has it, or both. */
  readonly seen?: readonly [boolean, boolean];
}

function makeExamples(tastes: readonly Taste[]): Examples {
  const random = createRandom(6);
  const rows = tastes.flatMap((taste) => Array.from({ length: taste.rows }, () => taste));
  const n = rows.length;
  return {
    models: ["terse", "chatty"],
    x: Float32Array.from({ length: n * d }, () => nextNormal(random) / 4),
    n,
    d,
    quality: Float32Array.from(
      rows.flatMap(({ pleases, seen }) => {
        const only = nextInt(random, 2);
        return pleases.map((share, j) => {
          const shown = seen ? seen[j] : j === only;
          return shown ? Number(random.next() < share) : Number.NaN;
        });
      }),
    ),
    weight: new Float32Array(n).fill(1),
    group: Int32Array.from({ length: n }, (_, row) => row),
    sizeB: new Float32Array(2),
    priceUsdPerMtok: new Float32Array(2),
    user: rows.map(({ user }) => (user === undefined ? undefined : hashUser("t", user))),
  };
}

async function train(tastes: readonly Taste[]): Promise<Scorer> {
  const context = {
    random: createRandom(1),
    kernels: createScalarKernels,
    progress: () => undefined,
  };
  const fitted = await personal.fit(makeExamples(tastes), usual, context);
  return personal.load(fitted, { d, m: 2 }, createScalarKernels);
}

async function ask(scorer: Scorer, user?: string) {
  const scores = await scorer.score(
    new Float32Array(d),
    user === undefined ? undefined : hashUser("t", user),
  );
  const [terse = 0, chatty = 0] = scores.quality;
  return { gap: terse - chatty, uncertainty: scores.uncertainty[0] ?? 0, terse };
}

const crowd: readonly Taste[] = [
  ...Array.from(
    { length: 20 },
    (_, i): Taste => ({ user: `a${i}`, rows: 60, pleases: [0.9, 0.3] }),
  ),
  ...Array.from(
    { length: 20 },
    (_, i): Taste => ({ user: `b${i}`, rows: 60, pleases: [0.3, 0.9] }),
  ),
];

test("users get what they like, an unknown one what the pool likes", async () => {
  const scorer = await train(crowd);
  expect(scorer.personal).toBe(true);
  const [a, b, cold, nobody] = [
    await ask(scorer, "a3"),
    await ask(scorer, "b3"),
    await ask(scorer, "somebody new"),
    await ask(scorer),
  ];
  expect(a.gap).toBeGreaterThan(0.3);
  expect(b.gap).toBeLessThan(-0.3);
  expect(Math.abs(cold.gap)).toBeLessThan(0.1);
  expect(nobody).toEqual(cold);
  expect(cold.uncertainty).toBeGreaterThan(a.uncertainty);
});

test("few ratings say little", async () => {
  const one: Taste = { user: "one", rows: 4, pleases: [1, 0] };
  const scorer = await train([...crowd, one]);
  const { gap } = await ask(scorer, "one");
  const whole = (await ask(scorer, "a3")).gap;
  expect(gap).toBeGreaterThan(0);
  expect(gap).toBeLessThan(whole);
});

test("where users do not differ, nobody is treated as if they did", async () => {
  const alike = Array.from(
    { length: 40 },
    (_, i): Taste => ({
      user: `u${i}`,
      rows: 40,
      pleases: [0.7, 0.5],
      seen: [true, true],
    }),
  );
  const scorer = await train(alike);
  const pool = (await ask(scorer)).gap;
  for (let i = 0; i < 40; i++) {
    expect(Math.abs((await ask(scorer, `u${i}`)).gap - pool)).toBeLessThan(0.12);
  }
});

test("a strict judge who mostly used one model does not tell against it", async () => {
  const strict: Taste = { user: "strict", rows: 60, pleases: [0.2, 0.2], seen: [true, false] };
  const mild = Array.from(
    { length: 20 },
    (_, i): Taste => ({
      user: `m${i}`,
      rows: 60,
      pleases: [0.8, 0.8],
    }),
  );
  const scorer = await train([...mild, strict]);
  expect((await ask(scorer, "strict")).gap).toBeGreaterThan(-0.25);
});
