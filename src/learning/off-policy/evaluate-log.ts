/**
 * What a router would have been worth on logged calls, beside what served them: every estimator
 * with its interval, how far the log can tell at all, and a verdict only where it can.
 */

import { withoutPrefix } from "../../domain/model.ts";
import type { Price } from "../../domain/usage.ts";
import type { Embedder } from "../../embedding/embedder.ts";
import type { Kernels } from "../../kernels/kernels.ts";
import { type CandidateInput, decide, toSetting } from "../../routing/decide.ts";
import { featurizerDefaults, fitFeaturizer } from "../../routing/featurizer.ts";
import { loadFeaturizer } from "../../routing/load-featurizer.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import { createRandom } from "../../std/random.ts";
import type { PriceList } from "../dataset.ts";
import {
  asServed,
  type Compared,
  compare,
  type LoggedRows,
  type Overlap,
  type Policy,
  toOverlap,
} from "./estimators.ts";
import { type LogCounts, type LoggedCall, type LoggedCalls, unexplored } from "./logged-calls.ts";
import { predictRewards } from "./reward-model.ts";
import { unitsOf } from "./units.ts";
import { judgeLog, type Verdict } from "./verdict.ts";

export interface LogEvaluation {
  readonly strategy: string;
  readonly artifact: string;
  readonly counts: LogCounts;
  readonly sessions: number;
  readonly models: number;
  /** What the router is compared with: the policy that ran, its exploration taken away where it can be. */
  readonly rival: "incumbent" | "as served";
  readonly overlap: Overlap & {
    /** Share of the calls on which both pick the same. */
    readonly agreed: number;
  };
  readonly quality: Compared;
  readonly costUsd: Compared;
  /** quality − λ·cost/costRef at the dial of each call: what the operator asked for. */
  readonly utility: Compared;
  /** Mean over the calls as they were served, exploration and all. */
  readonly served: { readonly quality: number; readonly costUsd: number };
  /** Share of the calls whose cost is known; the others count as their model's mean. */
  readonly costKnown: number;
  readonly verdict: Verdict;
}

export interface EvaluateLogOptions {
  readonly seed: number;
  readonly embedder: Embedder;
  readonly kernels: (bytes: number) => Kernels;
  /** Trade-off of calls that were logged without a dial. Default 0.5. */
  readonly tradeoff?: number;
  /** The operator's prices; without, costs are predicted as the router learnt them. */
  readonly prices?: PriceList;
  readonly bootstrap?: number;
  readonly progress?: (share: number) => void;
}

const usualBootstrap = 400;

export async function evaluateLog(
  router: TrainedRouter,
  { calls, counts }: LoggedCalls,
  options: EvaluateLogOptions,
): Promise<LogEvaluation> {
  const { seed, bootstrap = usualBootstrap, progress = () => undefined } = options;
  const models = [...new Set(calls.flatMap((call) => call.candidates.map(({ model }) => model)))];
  models.sort();
  const choices = await choose(router, calls, models, options);
  progress(0.5);
  const { x, d } = await featurize(calls, options);
  const rows = toRows(calls, models);
  const reward = toRewards(calls, rows, choices.pricing);
  const measure = (values: Float64Array, salt: number) => {
    const logged: LoggedRows = { ...rows, reward: values };
    const drawing = { rounds: bootstrap, random: createRandom(seed + salt) };
    return compare(logged, choices, predictRewards(logged, x, d), drawing);
  };
  const quality = measure(reward.quality, 1);
  progress(0.7);
  const costUsd = measure(reward.costUsd, 2);
  const utility = measure(reward.utility, 3);
  progress(1);
  const overlap = {
    ...toOverlap({ ...rows, reward: reward.quality }, choices.policy),
    agreed: choices.agreed / Math.max(1, calls.length),
  };
  return {
    strategy: router.strategy,
    artifact: `${router.identity.name}@${router.identity.version}`,
    counts,
    sessions: new Set(rows.session).size,
    models: models.length,
    rival: choices.rival.choice.every((at) => at === asServed) ? "as served" : "incumbent",
    overlap,
    quality,
    costUsd,
    utility,
    served: { quality: meanOf(reward.quality), costUsd: meanOf(reward.costUsd) },
    costKnown: reward.costKnown,
    verdict: judgeLog({ calls: calls.length, overlap, gain: utility.gain }),
  };
}

interface Choices {
  readonly policy: Policy;
  readonly rival: Policy;
  /** λ/costRef per call. */
  readonly pricing: Float64Array;
  readonly agreed: number;
}

/** What the router would have picked of the candidates that each call had. */
async function choose(
  router: TrainedRouter,
  calls: readonly LoggedCall[],
  models: readonly string[],
  { tradeoff = 0.5, prices, progress = () => undefined }: EvaluateLogOptions,
): Promise<Choices> {
  const indexOf = new Map(models.map((model, j) => [model, j]));
  const empty = (): Policy => ({
    choice: new Int32Array(calls.length),
    probability: new Float64Array(calls.length),
  });
  const policy = empty();
  const rival = empty();
  const pricing = new Float64Array(calls.length);
  let agreed = 0;
  for (let row = 0; row < calls.length; row++) {
    const call = calls[row] as LoggedCall;
    const dial = call.dial ?? { tradeoff };
    const candidates = call.candidates.map((one) => toInput(router, one, prices));
    const scores = await router.scoreFeatures(call.features);
    const { inputTokens } = call;
    const { chosen } = decide({ router, scores, candidates, inputTokens, dial });
    const before = unexplored(call);
    policy.choice[row] = indexOf.get(chosen) ?? 0;
    policy.probability[row] = chanceOf(call, chosen);
    rival.choice[row] = before === undefined ? asServed : (indexOf.get(before) ?? 0);
    rival.probability[row] = before === undefined ? 1 : chanceOf(call, before);
    pricing[row] = toSetting(router, dial).lambda / (router.costRefUsd || 1);
    if (chosen === (before ?? call.chosen)) agreed++;
    if (row % 256 === 0) progress((0.5 * row) / calls.length);
  }
  return { policy, rival, pricing, agreed };
}

function chanceOf({ candidates }: LoggedCall, model: string): number {
  return candidates.find((one) => one.model === model)?.probability ?? 0;
}

function toInput(
  router: TrainedRouter,
  { model, group }: { readonly model: string; readonly group: string },
  prices: PriceList | undefined,
): CandidateInput {
  const bare = withoutPrefix(model);
  const label = router.labels.findIndex((name) => name === model || name === bare);
  const listed = prices?.get(model) ?? prices?.get(bare);
  const price: Price | undefined =
    listed?.input === undefined
      ? undefined
      : {
          inputUsdPerToken: listed.input / 1e6,
          outputUsdPerToken: (listed.output ?? listed.input) / 1e6,
        };
  return { model, group, label, ...(price ? { price } : {}) };
}

async function featurize(calls: readonly LoggedCall[], options: EvaluateLogOptions) {
  const features = calls.map((call) => call.features);
  const { seed, kernels, embedder } = options;
  const progress = () => undefined;
  const fitting = { random: createRandom(seed), kernels, progress };
  const tensors = fitFeaturizer(features, featurizerDefaults, fitting);
  const featurizer = await loadFeaturizer(tensors, embedder.dimensions, kernels);
  const d = featurizer.dimensions;
  const x = new Float32Array(calls.length * d);
  features.forEach((raw, row) => {
    featurizer.apply(raw, x.subarray(row * d, (row + 1) * d));
  });
  return { x, d };
}

function toRows(
  calls: readonly LoggedCall[],
  models: readonly string[],
): Omit<LoggedRows, "reward"> {
  const indexOf = new Map(models.map((model, j) => [model, j]));
  return {
    n: calls.length,
    m: models.length,
    action: Int32Array.from(calls, ({ chosen }) => indexOf.get(chosen) ?? 0),
    propensity: Float64Array.from(calls, ({ propensity }) => propensity),
    session: unitsOf(calls, (call) => call.session),
  };
}

function toRewards(
  calls: readonly LoggedCall[],
  { action, m }: Omit<LoggedRows, "reward">,
  pricing: Float64Array,
) {
  const sums = new Float64Array(m);
  const counts = new Float64Array(m);
  let known = 0;
  calls.forEach(({ costUsd }, row) => {
    if (Number.isNaN(costUsd)) return;
    const j = action[row] as number;
    sums[j] = (sums[j] as number) + costUsd;
    counts[j] = (counts[j] as number) + 1;
    known++;
  });
  const quality = Float64Array.from(calls, (call) => call.quality);
  const costUsd = Float64Array.from(calls, (call, row) => {
    if (!Number.isNaN(call.costUsd)) return call.costUsd;
    const j = action[row] as number;
    return (counts[j] as number) > 0 ? (sums[j] as number) / (counts[j] as number) : 0;
  });
  const utility = quality.map((q, row) => q - (pricing[row] as number) * (costUsd[row] as number));
  return { quality, costUsd, utility, costKnown: known / Math.max(1, calls.length) };
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / Math.max(1, values.length);
}
