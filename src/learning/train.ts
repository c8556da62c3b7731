/** From a table of observed queries to a router's files: features, strategy, dial, self-test. */
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../domain/errors.ts";
import { featureSchema } from "../embedding/features.ts";
import { type RouterFile, routerFormat, routerPaths } from "../routing/router-format.ts";
import { encodeSafetensors, f32 } from "../routing/safetensors.ts";
import { meanQuality } from "../routing/strategies/examples.ts";
import { findStrategy, strategyNames } from "../routing/strategies/registry.ts";
import type { Strategy } from "../routing/strategies/strategy.ts";
import { rankNearest } from "../std/nearest.ts";
import { createRandom } from "../std/random.ts";
import type { Point } from "./evidence/curve.ts";
import { fitFloors, toFloorFiles } from "./evidence/floors.ts";
import {
  autoStrategies,
  type Contender,
  explainChoice,
  pickCandidate,
} from "./fit/choose-strategy.ts";
import { fitDial } from "./fit/dial.ts";
import { withFactor } from "./fit/fit-blend.ts";
import { type Prepared, type PrepareOptions, prepareTraining } from "./fit/prepare.ts";
import { drawToPrior } from "./fit/prior-means.ts";
import { gainOverSingles, temper, toSingles, type Validation, validate } from "./fit/validate.ts";
import type { Table } from "./table.ts";
import { toPriorModels } from "./table-prior.ts";

export interface TrainOptions extends PrepareOptions {
  /** A strategy's name, or "auto". */
  readonly strategy: string;
  readonly options?: Readonly<Record<string, unknown>>;
  /** What `prepareTraining` made of the same table and options, where several strategies are trained. */
  readonly prepared?: Prepared;
}

export interface Trained {
  /** The artifact's files, but for `release.json`. */
  readonly files: Map<string, Uint8Array>;
  readonly strategy: string;
  /** Every strategy tried: what its curve gains over the fixed models, on rows not trained on. */
  readonly tried: readonly Tried[];
  /** Why that strategy, where `auto` chose it: a sentence. */
  readonly why?: string;
  /** Out-of-fold predictions as the router gives them, for evidence. */
  readonly evidence: {
    readonly predicted: Float32Array;
    readonly costs: Float32Array;
    readonly costRef: number;
    readonly lambdas: readonly number[];
  };
}

export interface Tried {
  readonly strategy: string;
  readonly gain: number;
  readonly shrink: number;
}

/** @throws GatewayError strategy_refused (unknown name or option), invalid_request (too few rows). */
export async function trainRouter(table: Table, options: TrainOptions): Promise<Trained> {
  const wanted = options.strategy === "auto" ? autoStrategies : [options.strategy];
  const members = wanted.map(getStrategy);
  const progress = options.progress ?? (() => undefined);
  const prepared = options.prepared ?? (await prepareTraining(table, options));
  const { examples, costs, costRef, outcomes, singles, judged, judgedCosts } = prepared;
  const judgedSingles = toSingles(judged.outcomes);

  const candidates: Candidate[] = [];
  for (const strategy of members) {
    const settings = readOptions(strategy, options.options);
    const validation = await validate({
      examples,
      strategy,
      settings,
      outcomes,
      costs,
      costRef,
      seed: options.seed + 1000,
      kernels: options.kernels,
      progress: (share) => progress(`validate ${strategy.name}`, share),
    });
    const predicted = temper(validation);
    const { constant } = validation;
    const dial = fitDial({
      outcomes: judged.outcomes,
      predicted: judged.take(predicted),
      costs: judgedCosts,
      costRef,
      constant,
    });
    const points = dial
      .filter(({ fixed }) => fixed === undefined)
      .map((p): Point => ({ cost: p.meanCostUsd, quality: p.meanQuality }));
    const gain = gainOverSingles(points, judgedSingles);
    candidates.push({ strategy, settings, validation, predicted, dial, gain });
  }
  const chosen = pickCandidate(candidates, table.n);
  const { strategy, settings, validation } = chosen;
  const fitted = await strategy.fit(examples, settings, {
    random: createRandom(options.seed + 1),
    kernels: options.kernels,
    progress: (share) => progress(`fit ${strategy.name}`, share),
  });
  const floors = chosen.validation.constant
    ? undefined
    : toFloorFiles(
        fitFloors({
          outcomes: judged.outcomes,
          predicted: judged.take(chosen.predicted),
          costs: judgedCosts,
          costRef,
          seed: options.seed + 7,
        }),
      );
  const router: RouterFile = {
    format: routerFormat,
    feature_schema: featureSchema,
    strategy: strategy.name,
    options: settings,
    embedder: {
      id: options.embedder.id,
      sha256: options.embedder.sha256,
      dimensions: options.embedder.dimensions,
    },
    labels: [...table.labels],
    learned: fitted.json,
    shrink: validation.blend ? 1 : validation.shrink,
    novelty: prepared.novelty,
    cost_ref_usd: costRef,
    ...toLatencyRef(table),
    ...(floors ? { floors: floors.file } : {}),
    dial: chosen.dial.map((point) => ({
      lambda: point.lambda,
      mean_quality: point.meanQuality,
      // Of data without costs or prices nothing is known; quality alone is routed by.
      mean_cost_usd: Number.isFinite(point.meanCostUsd) ? point.meanCostUsd : 0,
      ...(point.fixed === undefined ? {} : { fixed: point.fixed }),
    })),
    rows: table.n,
  };
  const m = table.labels.length;
  const weights = encodeSafetensors({
    ...prepared.featureTensors,
    ...prepared.outlook,
    ...fitted.tensors,
    ...(floors ? { "router.floors": floors.tensor } : {}),
    ...(validation.blend
      ? { "router.blend": f32(withFactor(validation.blend, validation.shrink), m, m) }
      : {}),
    "router.quality": f32(
      drawToPrior(meanQuality(examples), toCounts(table), toPriorModels(table)),
      m,
    ),
    "router.cost_usd": f32(
      Float32Array.from(singles, ({ cost }) => (Number.isFinite(cost) ? cost : -1)),
      m,
    ),
  });
  const files = new Map<string, Uint8Array>([
    [routerPaths.router, new TextEncoder().encode(JSON.stringify(router))],
    [routerPaths.weights, weights],
    ...Object.entries(fitted.files ?? {}),
  ]);
  return {
    files,
    strategy: strategy.name,
    ...(options.strategy === "auto" ? { why: explainChoice(candidates, chosen, table.n) } : {}),
    tried: candidates.map((one) => ({
      strategy: one.strategy.name,
      gain: one.gain,
      shrink: one.validation.shrink,
    })),
    evidence: {
      predicted: chosen.predicted,
      costs,
      costRef,
      lambdas: chosen.dial.flatMap((p) => (p.fixed === undefined ? [p.lambda] : [])),
    },
  };
}

/** m: rows that each model was observed on. */
function toCounts({ n, labels, quality }: Table): Float64Array {
  const counts = new Float64Array(labels.length);
  for (let at = 0; at < n * labels.length; at++) {
    if (!Number.isNaN(quality[at]))
      counts[at % labels.length] = (counts[at % labels.length] ?? 0) + 1;
  }
  return counts;
}

/** The slowest model's mean latency, as the cost's reference is the dearest one's mean cost. */
function toLatencyRef({ n, labels, latencyMs }: Table): { latency_ref_ms?: number } {
  const m = labels.length;
  let slowest = 0;
  for (let j = 0; j < m; j++) {
    let sum = 0;
    let count = 0;
    for (let row = 0; row < n; row++) {
      const ms = latencyMs[row * m + j] as number;
      if (Number.isNaN(ms)) continue;
      sum += ms;
      count++;
    }
    if (count > 0) slowest = Math.max(slowest, sum / count);
  }
  return slowest > 0 ? { latency_ref_ms: slowest } : {};
}

interface Candidate extends Contender {
  readonly settings: Record<string, unknown>;
  readonly validation: Validation;
  readonly predicted: Float32Array;
  readonly dial: ReturnType<typeof fitDial>;
}

/** @throws GatewayError strategy_refused, with the nearest names */
export function getStrategy(name: string): Strategy {
  const strategy = findStrategy(name);
  if (strategy) return strategy;
  const near = rankNearest(name, ["auto", ...strategyNames], 3).join(", ");
  throw new GatewayError(
    "strategy_refused",
    `strategy "${name.slice(0, 80)}" is unknown; nearest: ${near}. There are: auto, ${strategyNames.join(", ")}.`,
  );
}

function readOptions(
  strategy: Strategy,
  given: Readonly<Record<string, unknown>> | undefined,
): Record<string, unknown> {
  const filled = Value.Default(strategy.options, { ...given });
  const unknown = Object.keys(given ?? {}).find((key) => !(key in strategy.options.properties));
  const first = unknown
    ? `${unknown} is not one of its options`
    : [...Value.Errors(strategy.options, filled)].map((e) => `${e.path}: ${e.message}`)[0];
  if (first) throw new GatewayError("strategy_refused", `${strategy.name}: ${first}`);
  return filled as Record<string, unknown>;
}
