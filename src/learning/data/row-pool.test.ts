/** More rows than are learnt from: every call counts, memory and groups stay bounded. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { createFeatureExtractor } from "../../embedding/features.ts";
import { createStaticEmbedder } from "../../embedding/static.ts";
import { createKernels } from "../../kernels/create.ts";
import { createRandom, nextInt, type Random } from "../../std/random.ts";
import { createRowPool, type Pooled, type PoolRow } from "./row-pool.ts";

setDefaultTimeout(60_000);

const { extract } = createFeatureExtractor(createStaticEmbedder());
const topics = [
  "sum the integers",
  "rhyme about rivers",
  "debug this python",
  "translate to Dutch",
];
const models = ["a", "b", "c"];

/** The model whose number is the topic's does best. */
async function makeCall(random: Random, order: number): Promise<PoolRow & { topic: number }> {
  const topic = nextInt(random, topics.length);
  const model = nextInt(random, models.length);
  const text = `${topics[topic]} number ${nextInt(random, 40)}, ${["please", "now"][nextInt(random, 2)]}`;
  const score = random.next() < (model === topic % 3 ? 0.9 : 0.2) ? 1 : 0;
  return {
    topic,
    id: String(order),
    features: await extract({ text, tools: [] }),
    outcomes: new Map([[models[model] as string, { score, costUsd: 0.001 * (model + 1) }]]),
    weight: 1 + nextInt(random, 3),
  };
}

async function pooled(count: number, maxRows: number): Promise<[PoolRow[], Pooled]> {
  const random = createRandom(3);
  const pool = createRowPool({ maxRows, seed: 1, kernels: createKernels });
  const rows: PoolRow[] = [];
  for (let i = 0; i < count; i++) {
    const row = await makeCall(random, i);
    rows.push(row);
    pool.add(row, [`g${i % 100}`]);
  }
  return [rows, pool.finish()];
}

/** Weight and mean score per model. */
function totals(rows: readonly PoolRow[]) {
  return models.map((model) => {
    let weight = 0;
    let sum = 0;
    for (const row of rows) {
      const outcome = row.outcomes.get(model);
      if (!outcome) continue;
      weight += row.weight;
      sum += row.weight * outcome.score;
    }
    return [weight, sum] as const;
  });
}

test("up to the limit rows are kept as they came", async () => {
  const [rows, out] = await pooled(200, 200);
  expect(out.rows).toEqual(rows);
  expect(out.condensed).toBeUndefined();
  expect(out.groups).toEqual({ groups: 100, nearDuplicates: 100, largestGroup: 2 });
});

test("beyond it weights, scores and calls add up per model, and topics stay apart", async () => {
  const [rows, out] = await pooled(4_000, 300);
  expect(out.rows.length).toBeLessThanOrEqual(300);
  expect(out.condensed).toEqual({ from: 4_000, to: out.rows.length });
  expect(out.mass.reduce((sum, mass) => sum + mass, 0)).toBe(4_000);
  for (const [at, [weight, sum]] of totals(out.rows).entries()) {
    expect(weight).toBeCloseTo(totals(rows)[at]?.[0] ?? 0, 6);
    expect(sum).toBeCloseTo(totals(rows)[at]?.[1] ?? 0, 3);
  }
  // A row stands for calls of its own topic: the model that is good there stays visibly good.
  const good = out.rows.filter(({ outcomes }) => (outcomes.get("a")?.score ?? 0) > 0.75);
  expect(good.length).toBeGreaterThan(20);
  const sizes = out.groups.largestGroup / out.rows.length;
  expect(sizes).toBeLessThan(0.25);
});

test("the same rows and seed give the same", async () => {
  const [[, one], [, two]] = [await pooled(1_500, 200), await pooled(1_500, 200)];
  expect(two.rows.map(({ id, weight }) => [id, weight])).toEqual(
    one.rows.map(({ id, weight }) => [id, weight]),
  );
  expect(two.group).toEqual(one.group);
});

test("rows with several outcomes are drawn evenly and weigh for those that were not", async () => {
  const pool = createRowPool({ maxRows: 100, seed: 1, kernels: createKernels });
  const features = await extract({ text: "a query", tools: [] });
  for (let i = 0; i < 1_000; i++) {
    const outcomes = new Map([
      ["a", { score: 1 }],
      ["b", { score: 0 }],
    ]);
    pool.add({ id: String(i), features, outcomes, weight: 1 }, []);
  }
  const { rows, mass } = pool.finish();
  expect(rows).toHaveLength(100);
  expect(rows.every(({ weight }) => weight === 10)).toBe(true);
  expect(mass[0]).toBe(10);
  const late = rows.filter(({ id }) => Number(id) >= 500).length;
  expect(late).toBeGreaterThan(30);
  expect(late).toBeLessThan(70);
});
