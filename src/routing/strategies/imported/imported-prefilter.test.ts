/** The prefilter never loses a row that is among the nearest, and keeps few of those that are not. */
import { expect, test } from "bun:test";
import { createKernels } from "../../../kernels/create.ts";
import { createRandom, nextInt, nextNormal } from "../../../std/random.ts";
import { createPrefilter, prefilterBytes } from "./imported-prefilter.ts";

interface Shape {
  readonly n: number;
  readonly d: number;
  readonly k: number;
  readonly cosine: boolean;
  /** Length of what all rows have in common: a narrow cone. */
  readonly common: number;
  /** How far clusters lie from each other. */
  readonly spread: number;
}

const shapes: readonly (readonly [string, Shape])[] = [
  ["clusters", { n: 3000, d: 48, k: 5, cosine: false, common: 0, spread: 2 }],
  ["clusters by angle", { n: 3000, d: 48, k: 5, cosine: true, common: 0, spread: 2 }],
  ["no structure", { n: 2000, d: 33, k: 9, cosine: false, common: 0, spread: 0 }],
  ["a narrow cone", { n: 3000, d: 48, k: 5, cosine: false, common: 60, spread: 2 }],
  ["a narrow cone by angle", { n: 3000, d: 48, k: 5, cosine: true, common: 60, spread: 2 }],
  ["many neighbours", { n: 1000, d: 16, k: 100, cosine: false, common: 1, spread: 1 }],
  ["as many as there are", { n: 40, d: 16, k: 40, cosine: false, common: 0, spread: 1 }],
];

test.each(shapes)("%s", async (_name, { n, d, k, cosine, common, spread }) => {
  const random = createRandom(n + d);
  const normals = () => Float32Array.from({ length: d }, () => nextNormal(random));
  const base = normals().map((value) => (value * common) / Math.sqrt(d));
  const centres = Array.from({ length: 12 }, () => normals().map((value) => value * spread));
  const point = () => {
    const centre = centres[nextInt(random, 12)] as Float32Array;
    return normals().map((value, i) => value + (centre[i] as number) + (base[i] as number));
  };
  const rows = new Float32Array(n * d);
  for (let r = 0; r < n; r++) rows.set(point(), r * d);
  const parts = { kernels: createKernels(prefilterBytes(n, d)), rows, n, d, k, cosine };
  const filter = await createPrefilter(parts);
  let kept = 0;
  const queries = 20;
  for (let i = 0; i < queries; i++) {
    const x = Float64Array.from(i === 0 ? rows.subarray(0, d) : point());
    filter.begin(x);
    for (let from = 0; from < n; from += 700) filter.scan(from, Math.min(n, from + 700));
    const found = new Set(filter.collect());
    kept += found.size / n / queries;
    for (const row of nearest(x, parts)) expect(found.has(row)).toBe(true);
  }
  if (spread === 2) expect(kept).toBeLessThan(0.1);
});

function nearest(
  x: Float64Array,
  parts: Pick<Shape, "n" | "d" | "k" | "cosine"> & { rows: Float32Array },
) {
  const { rows, n, d, k, cosine } = parts;
  const distances = Array.from({ length: n }, (_, r) => {
    const row = rows.subarray(r * d, (r + 1) * d);
    const dot = row.reduce((sum, value, i) => sum + value * (x[i] as number), 0);
    const square = row.reduce((sum, value) => sum + value * value, 0);
    return cosine ? -dot / Math.sqrt(square) : square - 2 * dot;
  });
  const order = distances.map((_, r) => r);
  return order.sort((a, b) => (distances[a] ?? 0) - (distances[b] ?? 0) || a - b).slice(0, k);
}
