/** A new model in the table: what some labels are worth, and how unsure it is without. */
import { expect, test } from "bun:test";
import { Value } from "@sinclair/typebox/value";
import { createScalarKernels } from "../../kernels/scalar.ts";
import { createRandom, nextNormal } from "../../std/random.ts";
import { clusterTable } from "./cluster-table.ts";
import type { Examples } from "./strategy.ts";

const [d, kinds, n] = [16, 4, 2000];

/** Models 0 and 1 are known; the last one is new, good at one kind only, and seen on `labels` rows. */
function makeExamples(labels: number): Examples {
  const random = createRandom(3);
  const x = new Float32Array(n * d);
  const quality = new Float32Array(n * 3);
  for (let row = 0; row < n; row++) {
    const kind = row % kinds;
    for (let i = 0; i < d; i++) {
      x[row * d + i] = (i % kinds === kind ? 0.5 : 0) + 0.05 * nextNormal(random);
    }
    const shares = [0.8, kind === 0 ? 0.2 : 0.7, kind === 0 ? 0.95 : 0.3];
    shares.forEach((share, j) => {
      const seen = j < 2 || row < labels;
      quality[row * 3 + j] = seen ? Number(random.next() < share) : Number.NaN;
    });
  }
  return {
    models: ["steady", "other", "new"],
    x,
    n,
    d,
    quality,
    weight: new Float32Array(n).fill(1),
    group: Int32Array.from({ length: n }, (_, row) => row),
    sizeB: new Float32Array(3),
    priceUsdPerMtok: new Float32Array(3),
  };
}

async function ask(labels: number, kind: number) {
  const options = Value.Default(clusterTable.options, { n_clusters: kinds }) as never;
  const fitted = await clusterTable.fit(makeExamples(labels), options, {
    random: createRandom(1),
    kernels: createScalarKernels,
    progress: () => undefined,
  });
  const scorer = await clusterTable.load(fitted, { d, m: 3 }, createScalarKernels);
  const x = Float32Array.from({ length: d }, (_, i) => (i % kinds === kind ? 0.5 : 0));
  const { quality, uncertainty } = await scorer.score(x);
  return { quality: quality[2] ?? 0, uncertainty: uncertainty[2] ?? 0 };
}

test("two hundred labels tell what a new model is good at", async () => {
  expect((await ask(200, 0)).quality).toBeGreaterThan(0.7);
  expect((await ask(200, 1)).quality).toBeLessThan(0.5);
});

test("more labels, less uncertainty", async () => {
  const [few, many] = [await ask(40, 0), await ask(n, 0)];
  expect(few.uncertainty).toBeGreaterThan(1.5 * many.uncertainty);
});
