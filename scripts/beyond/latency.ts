/** Quality at a mean latency: the curve over the weights of latency, beside the fixed models'. */
import { createKernels } from "../../src/kernels/create.ts";
import { heightAt, type Point, toHull } from "../../src/learning/evidence/curve.ts";
import type { Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { embedder, type SetRows } from "../results/results.ts";

export interface LatencyHull {
  readonly rows: readonly {
    readonly seconds: number;
    readonly router: number;
    readonly fixed: number;
    /** The same qualities predicted, with every latency known beforehand: what no prediction passes. */
    readonly foreseen: number;
  }[];
}

const asked = [0.85, 0.98, 1.2, 1.5, 3] as const;
const weights = [0, ...Array.from({ length: 60 }, (_, i) => 0.004 * 1.15 ** i)];

export async function measureLatencyHull(
  { train, test }: SetRows,
  strategy: string,
): Promise<LatencyHull> {
  const options = { strategy, seed: 1, embedder, kernels: createKernels };
  const { files } = await trainRouter(train, options);
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(files, { identity, embedder, kernels: createKernels });
  const candidates = test.labels.map((model) => ({
    model,
    group: model,
    label: router.labels.indexOf(model),
  }));
  const own = weights.map(() => ({ cost: 0, quality: 0 }));
  const foreseen = weights.map(() => ({ cost: 0, quality: 0 }));
  for (let row = 0; row < test.n; row++) {
    const features = test.features[row];
    if (!features) continue;
    const scores = await router.scoreFeatures(features);
    const known = Float32Array.from(router.labels, (name) => cell(test, row, name).latencyMs);
    weights.forEach((latencyWeight, w) => {
      const dial = { tradeoff: 1, latencyWeight };
      const ask = { router, candidates, inputTokens: 0, dial };
      add(own[w], cell(test, row, decide({ ...ask, scores }).chosen), test.n);
      const told = { ...scores, latencyMs: known };
      add(foreseen[w], cell(test, row, decide({ ...ask, scores: told }).chosen), test.n);
    });
  }
  router.close();
  const fixed = test.labels.map((name) => {
    const point = { cost: 0, quality: 0 };
    for (let row = 0; row < test.n; row++) add(point, cell(test, row, name), test.n);
    return point;
  });
  const at = (points: readonly Point[], seconds: number) => heightAt(toHull(points), seconds);
  return {
    rows: asked.map((seconds) => ({
      seconds,
      router: at(own, seconds),
      fixed: at(fixed, seconds),
      foreseen: at(foreseen, seconds),
    })),
  };
}

function cell({ labels, quality, latencyMs }: Table, row: number, name: string) {
  const at = row * labels.length + labels.indexOf(name);
  return { quality: quality[at] as number, latencyMs: latencyMs[at] as number };
}

function add(
  sum: { cost: number; quality: number } | undefined,
  { quality, latencyMs }: { quality: number; latencyMs: number },
  n: number,
): void {
  if (!sum) return;
  sum.cost += latencyMs / 1000 / n;
  sum.quality += quality / n;
}
