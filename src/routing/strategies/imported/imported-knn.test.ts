/** Many rows, looked up in slices behind the prefilter: the votes of a plain look at every row. */
import { expect, test } from "bun:test";
import { createKernels } from "../../../kernels/create.ts";
import { createRandom, nextInt, nextNormal } from "../../../std/random.ts";
import { i32 } from "../../safetensors.ts";
import { importedKnn } from "./imported-knn.ts";

const [n, d, m, k] = [12_000, 48, 4, 7];
const random = createRandom(3);
const normals = () => Float32Array.from({ length: d }, () => nextNormal(random));
const rows = new Float32Array(n * d);
for (let r = 0; r < n; r++) rows.set(normals(), r * d);
const labels = Int32Array.from({ length: n }, () => nextInt(random, m));

async function load(metric: string) {
  const fitted = {
    tensors: {
      "knn.rows": { dtype: "F32" as const, shape: [n, d], values: rows },
      "knn.labels": i32(labels, n),
    },
    json: { n_neighbors: k, weights: "distance", metric, p: 2, steps: [] },
  };
  return await importedKnn.load(fitted, { d, m }, createKernels);
}

/** Weights by distance: a row at none outweighs all others. */
function vote(x: Float32Array, metric: string): number[] {
  const distances = Array.from({ length: n }, (_, r) => {
    let [dot, row, query, squared] = [0, 0, 0, 0];
    for (let i = 0; i < d; i++) {
      const [a, b] = [rows[r * d + i] as number, x[i] as number];
      dot += a * b;
      row += a * a;
      query += b * b;
      squared += (a - b) ** 2;
    }
    if (metric === "euclidean") return Math.sqrt(squared);
    return query === 0 ? 1 : Math.max(0, 1 - dot / Math.sqrt(row * query));
  });
  const order = distances.map((_, r) => r);
  order.sort((a, b) => (distances[a] as number) - (distances[b] as number) || a - b);
  const nearest = order.slice(0, k);
  const exact = nearest.some((r) => (distances[r] as number) < 1e-7);
  const sums = new Array<number>(m).fill(0);
  let total = 0;
  for (const r of nearest) {
    const distance = distances[r] as number;
    const weight = exact ? Number(distance < 1e-7) : 1 / distance;
    sums[labels[r] as number] = (sums[labels[r] as number] as number) + weight;
    total += weight;
  }
  return sums.map((sum) => sum / total);
}

test.each(["euclidean", "cosine"])("%s, and queries beside each other", async (metric) => {
  const scorer = await load(metric);
  expect(scorer.sync).toBe(false);
  const queries = [rows.slice(5 * d, 6 * d), new Float32Array(d), normals(), normals(), normals()];
  const answers = await Promise.all(queries.map((query) => scorer.score(query)));
  answers.forEach(({ quality }, i) => {
    const wanted = vote(queries[i] as Float32Array, metric);
    for (const [j, value] of quality.entries()) expect(value).toBeCloseTo(wanted[j] as number, 5);
  });
  scorer.close();
});

test("more queries than may wait are refused, and the others answered", async () => {
  const scorer = await load("euclidean");
  const x = normals();
  const asked = Array.from({ length: 64 }, () => Promise.resolve(scorer.score(x)));
  expect(() => scorer.score(x)).toThrow("wait for their neighbours");
  expect(await Promise.all(asked)).toHaveLength(64);
  await scorer.score(x);
});
