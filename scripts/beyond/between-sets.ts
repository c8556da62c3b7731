/** Trained on one set, measured on another, over the models that both know. */
import { createKernels } from "../../src/kernels/create.ts";
import { evaluate } from "../../src/learning/evidence/evaluate.ts";
import type { Table } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { embedder } from "../results/results.ts";

/** Names of one model in different sets; the two minor versions of Mistral 7B count as one. */
const sameModel: Readonly<Record<string, string>> = {
  "mixtral-8x7b-chat": "mixtral-8x7b",
  "mixtral-8x7b-instruct-v0.1": "mixtral-8x7b",
  "mistral-7b-chat": "mistral-7b",
  "mistral-7b-instruct-v0.2": "mistral-7b",
  "mistral-7b-instruct-v0.3": "mistral-7b",
};
const nameOf = (label: string) => sameModel[label] ?? label;

export interface Between {
  readonly from: string;
  readonly to: string;
  readonly models: readonly string[];
  readonly zero: number;
  readonly gain: number;
  readonly low: number;
  readonly high: number;
  readonly novelty: number;
}

export function commonModels(a: Table, b: Table): string[] {
  const there = new Set(b.labels.map(nameOf));
  return a.labels
    .map(nameOf)
    .filter((name) => there.has(name))
    .sort();
}

export async function measureBetween(
  from: { readonly name: string; readonly train: Table },
  to: { readonly name: string; readonly test: Table },
  strategy: string,
): Promise<Between | undefined> {
  const models = commonModels(from.train, to.test);
  if (models.length < 2) return undefined;
  const options = { strategy, seed: 1, embedder, kernels: createKernels };
  const { files } = await trainRouter(restrict(from.train, models), options);
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(files, { identity, embedder, kernels: createKernels });
  const { evaluation: e } = await evaluate(router, restrict(to.test, models), {
    seed: 1,
    bootstrap: 200,
  });
  router.close();
  return {
    from: from.name,
    to: to.name,
    models,
    zero: e.baselines.zeroRouter.aiq,
    gain: e.gain.value,
    low: e.gain.low,
    high: e.gain.high,
    novelty: e.novelty,
  };
}

function restrict(table: Table, models: readonly string[]): Table {
  const m = table.labels.length;
  const places = models.map((name) => table.labels.findIndex((label) => nameOf(label) === name));
  const cells = <T extends Float32Array | Float64Array>(values: T): T =>
    values.subarray(0, table.n * places.length).map((_, at) => {
      const row = Math.floor(at / places.length);
      return values[row * m + (places[at % places.length] ?? 0)] as number;
    }) as T;
  const perModel = (values: Float32Array) =>
    Float32Array.from(places, (j) => values[j] ?? Number.NaN);
  return {
    ...table,
    labels: models,
    quality: cells(table.quality),
    costUsd: cells(table.costUsd),
    outputTokens: cells(table.outputTokens),
    latencyMs: cells(table.latencyMs),
    sizeB: perModel(table.sizeB),
    priceUsdPerMtok: perModel(table.priceUsdPerMtok),
  };
}
