/**
 * What training does before it comes to a strategy: features, the outlook on cost, tokens and latency,
 * and how the rows are judged. The same for every strategy, so that who trains several on one table
 * does it once.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Embedder } from "../../embedding/embedder.ts";
import { shapeNames } from "../../embedding/shape.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { featurizerDefaults, fitFeaturizer } from "../../routing/featurizer.ts";
import { loadFeaturizer } from "../../routing/load-featurizer.ts";
import { loadOutlook } from "../../routing/outlook.ts";
import type { Tensors } from "../../routing/safetensors.ts";
import type { Examples } from "../../routing/strategies/strategy.ts";
import { createRandom } from "../../std/random.ts";
import type { Point } from "../evidence/curve.ts";
import type { Outcomes } from "../outcomes.ts";
import type { Table } from "../table.ts";
import { type Judged, toJudged } from "./complete-rows.ts";
import { fillLogged } from "./fill-log.ts";
import { fitNovelty, fitOutlook } from "./fit-outlook.ts";
import { imputeQuality, type Kinds } from "./impute.ts";
import { toSingles } from "./validate.ts";

export interface PrepareOptions {
  readonly seed: number;
  readonly embedder: Embedder;
  readonly kernels: (bytes: number) => Kernels;
  readonly progress?: (label: string, share: number) => void;
}

export interface Prepared {
  readonly featureTensors: Tensors;
  readonly examples: Examples;
  /** What predicts cost, tokens, latency and novelty. */
  readonly outlook: Tensors;
  /** Similarities at which a query counts as known and as novel. */
  readonly novelty: { readonly near: number; readonly far: number };
  /** n×m: the cost that serving will predict for each row, USD. */
  readonly costs: Float32Array;
  /** The dearest model's mean cost, USD: λ is quality per so much. */
  readonly costRef: number;
  readonly outcomes: Outcomes;
  readonly singles: readonly Point[];
  /** The rows that are judged on, and what of the costs belongs to them. */
  readonly judged: Judged;
  readonly judgedCosts: Float32Array;
}

/**
 * Cost: seconds for some thousand rows. The same table, seed and embedder give the same.
 * @throws GatewayError invalid_request: too few rows or models.
 */
export async function prepareTraining(table: Table, options: PrepareOptions): Promise<Prepared> {
  checkTable(table);
  const { featureTensors, examples, kept, shapeAt } = await featurize(table, options);
  const { d } = examples;
  const outlookTensors = fitOutlook(table, { x: examples.x, d, shapeAt });
  const { tensors, near, far } = fitNovelty(examples, kept, {
    random: createRandom(options.seed + 101),
    kernels: options.kernels,
  });
  const outlook = { ...outlookTensors, ...tensors };
  const costs = predictCosts(table, examples, outlook, options.kernels);
  const outcomes: Outcomes = { ...table, m: table.labels.length };
  const singles = toSingles(outcomes);
  const judged = toJudged(outcomes, { quality: examples.quality, costs });
  const costRef = Math.max(...singles.map(({ cost }) => (Number.isFinite(cost) ? cost : 0)), 1e-12);
  return {
    featureTensors,
    examples,
    outlook,
    novelty: { near, far },
    costs,
    costRef,
    outcomes,
    singles,
    judged,
    judgedCosts: judged.take(costs),
  };
}

const leastRows = 20;

function checkTable(table: Table): void {
  if (table.n < leastRows) {
    throw new GatewayError(
      "invalid_request",
      `${table.n} rows are too few to learn from: give at least ${leastRows}`,
    );
  }
  if (table.labels.length < 2) {
    throw new GatewayError(
      "invalid_request",
      `the data has outcomes of ${table.labels.length} model: routing needs at least 2`,
    );
  }
}

async function featurize(table: Table, { seed, kernels, progress, embedder }: PrepareOptions) {
  const tensors = fitFeaturizer(table.features, featurizerDefaults, {
    random: createRandom(seed),
    kernels,
    progress: (share) => progress?.("features", share),
  });
  const featurizer = await loadFeaturizer(tensors, embedder.dimensions, kernels);
  const { n, labels } = table;
  const d = featurizer.dimensions;
  const x = new Float32Array(n * d);
  const kept = new Float32Array(n);
  table.features.forEach((raw, row) => {
    kept[row] = featurizer.apply(raw, x.subarray(row * d, (row + 1) * d));
  });
  const examples: Examples = {
    models: labels,
    x,
    n,
    d,
    quality: fillQuality(table, { x, d, random: createRandom(seed + 57), kernels }),
    weight: table.weight,
    group: table.group,
    sizeB: table.sizeB,
    priceUsdPerMtok: table.priceUsdPerMtok,
    meanCostUsd: Float32Array.from(toSingles({ ...table, m: labels.length }), ({ cost }) => cost),
    ...(table.users && { user: table.users }),
    ...(table.verification ? { verification: table.verification } : {}),
  };
  return { featureTensors: tensors, examples, kept, shapeAt: d - shapeNames.length };
}

function fillQuality(table: Table, kinds: Kinds): Float32Array {
  const imputed = imputeQuality(table, kinds);
  return imputed === table.quality ? fillLogged(table, kinds) : imputed;
}

/** n×m: the cost that serving will predict for each training row; the model's mean where unknown. */
function predictCosts(
  table: Table,
  { x, d }: Examples,
  tensors: Tensors,
  kernels: (bytes: number) => Kernels,
): Float32Array {
  const { n, labels } = table;
  const m = labels.length;
  const predict = loadOutlook(tensors, { d, m }, { near: 1, far: 0 }, kernels);
  const costs = new Float32Array(n * m);
  for (let row = 0; row < n; row++) {
    const { costUsd } = predict(x.subarray(row * d, (row + 1) * d), 1);
    for (let j = 0; j < m; j++) {
      const cost = costUsd[j] as number;
      costs[row * m + j] = Number.isFinite(cost) ? cost : 0;
    }
  }
  return costs;
}
