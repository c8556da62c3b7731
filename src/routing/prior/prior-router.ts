/**
 * A router that has learnt nothing of this gateway's traffic: what each model is thought to be worth
 * from its name and the catalog (`capability.ts`), times how much a query needs it (`need.ts`). It
 * decides until there is a trained one, by the same dial and floors.
 */
import type { RoutingQuery } from "../../domain/features.ts";
import type { ModelFacts } from "../../domain/model.ts";
import { toToolText, toWindow } from "../../embedding/lexical.ts";
import { toShape } from "../../embedding/shape.ts";
import type { DialPoint, QueryScores, TrainedRouter } from "../trained-router.ts";
import { type Capability, type CapabilityOf, createCapabilities } from "./capability.ts";
import { type Need, needOf, usualNeed, usualNeeds } from "./need.ts";

/** A model as the prior sees it. */
export interface PriorModel {
  /** The label, and what the capability is read off. */
  readonly name: string;
  /** What the provider calls it, where the label says less. */
  readonly upstreamModel?: string;
  readonly facts: ModelFacts;
  /** USD of a usual call, where it is known better than by price. */
  readonly meanCostUsd?: number;
}

export interface PriorOptions {
  readonly capabilityOf?: CapabilityOf;
  readonly need?: Need;
}

export const priorStrategy = "catalog-prior";

/** Quality per index point for a query of usual need: the slope over the sets of `need.ts`. */
const perPoint = 0.016;
/** Variance of true indices among a gateway's models: what a doubtful one is drawn to their mean by. */
const variance = 64;
/** Tokens of a usual call, for the reference cost and the dial. */
const usualTokens = { input: 500, output: 256 } as const;

/** @param models at least one. Cost: some 50 µs per model, once. */
export function createPriorRouter(
  models: readonly PriorModel[],
  { capabilityOf = createCapabilities(), need = usualNeed }: PriorOptions = {},
): TrainedRouter {
  const m = models.length;
  const capabilities = models.map((model) => capabilityOf(toNotes(model)));
  const indices = shrink(capabilities);
  const centre = indices.reduce((sum, index) => sum + index / m, 0);
  const level = toLevel(centre);
  const gains = Float32Array.from(indices, (index) => perPoint * (index - centre));
  const costs = Float32Array.from(models, toUsualCost);
  const costRefUsd = Math.max(1e-12, ...costs.filter(Number.isFinite));
  const labelQuality = gains.map((gain) => toQuality(level, gain));
  const quality = new Float32Array(m);
  const uncertainty = Float32Array.from(capabilities, ({ spread }) => spread * perPoint);
  const unknown = new Float32Array(m).fill(Number.NaN);
  // Where prices are known, the decision reckons with them and with the call's own tokens.
  const costUsd = Float32Array.from(models, ({ meanCostUsd }) => meanCostUsd ?? Number.NaN);
  const scores: QueryScores = {
    quality,
    uncertainty,
    outputTokens: unknown,
    costUsd,
    latencyMs: unknown,
    novelty: 0,
    abstain: false,
  };
  const scoreShape = (shape: ArrayLike<number>): QueryScores => {
    const factor = needOf(shape, need);
    for (let j = 0; j < m; j++) quality[j] = toQuality(level, factor * (gains[j] as number));
    return scores;
  };
  return {
    identity: { name: "none", version: 0, sha256: "" },
    strategy: priorStrategy,
    embedderId: "",
    labels: models.map(({ name }) => name),
    labelQuality,
    labelCostUsd: costs,
    costRefUsd,
    dial: toDial({ gains, level, costs, costRefUsd, uncertainty }),
    prior: true,
    sync: true,
    score: (query) => scoreShape(shapeOf(query)),
    scoreFeatures: ({ shape }) => scoreShape(shape),
    close: () => undefined,
  };
}

export function shapeOf({ text, tools }: RoutingQuery): Float32Array {
  const toolUnits = tools.length > 0 ? toToolText(tools).length : 0;
  return toShape(text, toWindow(text), tools.length, toolUnits);
}

export function toNotes({ name, upstreamModel, facts }: PriorModel) {
  const { price, sizeB, maxInputTokens, capabilities } = facts;
  return {
    name: upstreamModel ?? name,
    usdPerMtok: price && (price.inputUsdPerToken + price.outputUsdPerToken) * 1e6,
    sizeB,
    contextTokens: maxInputTokens,
    reasoning: capabilities?.reasoning,
  };
}

/** Draws each index to the mean of all, the more the less is known of it. */
export function shrink(capabilities: readonly Capability[]): number[] {
  let sum = 0;
  let mass = 0;
  for (const { index, spread } of capabilities) {
    const weight = 1 / (spread ** 2 + variance);
    sum += weight * index;
    mass += weight;
  }
  const mean = sum / mass;
  return capabilities.map(
    ({ index, spread }) => mean + ((index - mean) * variance) / (variance + spread ** 2),
  );
}

/** What a model of the mean index answers well, kept where gains do not run into the ends. */
function toLevel(index: number): number {
  return Math.max(0.35, Math.min(0.7, 1 / (1 + Math.exp(-0.6 - 0.05 * (index - 120)))));
}

const toQuality = (level: number, gain: number) => Math.max(0.01, Math.min(0.99, level + gain));

/** NaN where nothing is known of its price. */
function toUsualCost({ facts: { price }, meanCostUsd }: PriorModel): number {
  if (meanCostUsd !== undefined) return meanCostUsd;
  if (!price) return Number.NaN;
  const { input, output } = usualTokens;
  return input * price.inputUsdPerToken + output * price.outputUsdPerToken;
}

interface Believed {
  readonly gains: Float32Array;
  readonly level: number;
  readonly costs: Float32Array;
  readonly costRefUsd: number;
  readonly uncertainty: Float32Array;
}

const dialPoints = 49;
/** How far below what is believed a floor counts a model: nobody has measured anything yet. */
const caution = 0.5;

/**
 * λ in equal ratios, from where the ablest model is first given up to where the cheapest answers all;
 * with the mean quality and cost over queries of usual need, quality counted with caution.
 */
function toDial({ gains, level, costs, costRefUsd, uncertainty }: Believed): DialPoint[] {
  const m = gains.length;
  const costOf = (j: number) => {
    const cost = costs[j] as number;
    return Number.isFinite(cost) ? cost : costRefUsd;
  };
  const measure = (lambda: number): DialPoint => {
    let quality = 0;
    let cost = 0;
    for (const need of usualNeeds) {
      let best = 0;
      let most = Number.NEGATIVE_INFINITY;
      for (let j = 0; j < m; j++) {
        const utility = need * (gains[j] as number) - (lambda * costOf(j)) / costRefUsd;
        if (utility > most) {
          most = utility;
          best = j;
        }
      }
      const doubt = caution * need * (uncertainty[best] as number);
      quality += toQuality(level, need * (gains[best] as number) - doubt) / usualNeeds.length;
      cost += costOf(best) / usualNeeds.length;
    }
    return { lambda, meanQuality: quality, meanCostUsd: cost };
  };
  const [low, high] = toLambdas(gains, costOf, costRefUsd);
  const rest = Array.from(
    { length: dialPoints - 1 },
    (_, i) => low * (high / low) ** (i / (dialPoints - 2)),
  );
  return [0, ...rest].map(measure);
}

/**
 * The λ at which a query of usual need first gives up the ablest model, and last takes the cheapest:
 * the slopes at the two ends of the hull of (cost, gain), for the needs at the ends of the usual ones.
 */
function toLambdas(gains: Float32Array, costOf: (j: number) => number, costRefUsd: number) {
  const slopes = toHullSlopes(
    [...gains].map((gain, j) => ({ gain, cost: costOf(j) / costRefUsd })),
  );
  const [first, last] = [slopes[0], slopes.at(-1)];
  // No ability costs more than less of it: any λ gives the same.
  if (first === undefined || last === undefined) return [1e-3, 1] as const;
  const [least, most] = [usualNeeds[0] as number, usualNeeds.at(-1) as number];
  return [Math.max(1e-6, last * least), Math.min(1e6, first * most)] as const;
}

interface Worth {
  readonly cost: number;
  readonly gain: number;
}

/** Gain per cost from each model of the upper hull to the next dearer one: falling. */
function toHullSlopes(models: readonly Worth[]): number[] {
  const sorted = models.toSorted((a, b) => a.cost - b.cost || b.gain - a.gain);
  const hull: Worth[] = [];
  for (const one of sorted) {
    const top = hull.at(-1);
    if (top && one.gain <= top.gain) continue;
    while (hull.length > 1 && slope(hull.at(-1), one) >= slope(hull.at(-2), hull.at(-1))) {
      hull.pop();
    }
    hull.push(one);
  }
  return hull.slice(1).map((one, at) => slope(hull[at], one));
}

function slope(from: Worth | undefined, to: Worth | undefined): number {
  if (!from || !to) return 0;
  return (to.gain - from.gain) / Math.max(1e-12, to.cost - from.cost);
}
