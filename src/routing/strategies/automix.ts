/**
 * The trained half of llmrouter-automix: the rule that decides by the verifier's share of favourable
 * verdicts, fitted where such shares are known. Its scores are the models' mean qualities: what is
 * learnt is when to ask again, not whom to ask first.
 * Source: Aggarwal, Madaan et al., "AutoMix", NeurIPS 2024, arXiv:2310.12963. Names of options are
 * LLMRouter's. Cost of a decision: none here; the answer and its verdicts are calls.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import {
  type AutomixCosts,
  type AutomixFit,
  type AutomixRow,
  defaultCosts,
  fitAutomix,
  type RoutingMethod,
  routingMethods,
} from "../policies/automix-rules.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { assignFolds, meanQuality, takeRows } from "./examples.ts";
import { defineStrategy, type Examples } from "./strategy.ts";

const cost = (description: string) =>
  Type.Optional(Type.Number({ exclusiveMinimum: 0, description }));

export const automix = defineStrategy({
  name: "llmrouter-automix",
  summary: "When the smaller model's verified answer is not good enough, from verification scores.",
  options: Type.Object({
    small_model: Type.String({ default: "", description: "Answers first. Default: the cheapest." }),
    large_model: Type.String({ default: "", description: "Default: the dearest." }),
    routing_method: Type.Union(
      routingMethods.map((name) => Type.Literal(name)),
      { default: "POMDP" },
    ),
    num_bins: Type.Integer({ default: 8, minimum: 1, maximum: 64 }),
    cost_small: cost("Of an answer; any unit. Default: by the models' prices, else 1, 50, 1."),
    cost_large: cost("See cost_small."),
    cost_verifier: cost("Of all verdicts on an answer. See cost_small."),
  }),
  fit(examples, options, { progress }) {
    const pair = pickPair(examples, options.small_model, options.large_model);
    const costs = toAutomixCosts(examples, pair, options);
    const method = options.routing_method as RoutingMethod;
    const fit = (part: Examples) => fitAutomix(toRows(part, pair), method, options.num_bins, costs);
    const { rule, ibcLift, quality, cost, escalated } = fit(examples);
    progress(1);
    const m = examples.models.length;
    return {
      tensors: { "automix.quality": f32(Float32Array.from(meanQuality(examples)), m) },
      json: {
        rule,
        small: examples.models[pair.small],
        large: examples.models[pair.large],
        rows: toRows(examples, pair).length,
        on_training: { ibc_lift: ibcLift, quality, cost, escalated },
        agreement: agreement(examples, fit, rule),
      },
    };
  },
  load({ tensors }, { m }) {
    const table = takeF32(tensors, "automix.quality", [m]);
    if (!table.every((q) => q >= 0 && q <= 1)) {
      throw new GatewayError("artifact_refused", "automix: a quality is not between 0 and 1");
    }
    const quality = new Float32Array(m);
    const scores = { quality, uncertainty: new Float32Array(m).fill(Number.NaN) };
    return {
      sync: true,
      score() {
        quality.set(table); // whoever reads it may write to it
        return scores;
      },
      close: () => undefined,
    };
  },
});

interface Pair {
  readonly small: number;
  readonly large: number;
}

function pickPair(
  { models, priceUsdPerMtok, sizeB }: Examples,
  small: string,
  large: string,
): Pair {
  const by = priceUsdPerMtok.some(Number.isFinite) ? priceUsdPerMtok : sizeB;
  const known = models.map((_, j) => j).filter((j) => Number.isFinite(by[j]));
  known.sort((a, b) => (by[a] as number) - (by[b] as number));
  const find = (name: string, otherwise: number | undefined, option: string) => {
    const at = name === "" ? otherwise : models.indexOf(name);
    if (at !== undefined && at >= 0) return at;
    throw new GatewayError(
      "strategy_refused",
      `llmrouter-automix: ${name === "" ? `no price or size tells which model is the ${option.slice(0, 5)} one` : `no row has the model "${name.slice(0, 80)}"`}. Set --option ${option}=<one of: ${models.slice(0, 20).join(", ")}>.`,
    );
  };
  return {
    small: find(small, known[0], "small_model"),
    large: find(large, known.at(-1), "large_model"),
  };
}

interface CostOptions {
  readonly cost_small?: number;
  readonly cost_large?: number;
  readonly cost_verifier?: number;
}

/** By the ratio of the prices where both are known: a verdict costs about what an answer does. */
export function toAutomixCosts(
  { priceUsdPerMtok }: Pick<Examples, "priceUsdPerMtok">,
  pair: Pair,
  options: CostOptions,
): AutomixCosts {
  const ratio = (priceUsdPerMtok[pair.large] ?? 0) / (priceUsdPerMtok[pair.small] ?? 0);
  const small = options.cost_small ?? defaultCosts.small;
  const large = Number.isFinite(ratio) && ratio > 0 ? small * ratio : defaultCosts.large;
  return {
    small,
    large: options.cost_large ?? large,
    verifier: options.cost_verifier ?? small,
  };
}

/** @throws GatewayError strategy_refused where no row has what it takes */
function toRows({ models, n, quality, verification, weight }: Examples, { small, large }: Pair) {
  const m = models.length;
  const rows: AutomixRow[] = [];
  for (let row = 0; row < n; row++) {
    const p = verification?.[row * m + small] ?? Number.NaN;
    const both = [quality[row * m + small], quality[row * m + large]] as [number, number];
    if (Number.isNaN(p) || both.every(Number.isNaN)) continue;
    rows.push({ small: both[0], large: both[1], p, weight: weight[row] as number });
  }
  if (rows.length > 0) return rows;
  throw new GatewayError(
    "strategy_refused",
    `llmrouter-automix: no row has outcomes of both an answer and its verification by ${models[small]}. Give "verification" (0 to 1) beside its score, or learn from the events of a gateway that ran llmrouter-automix with a threshold.`,
  );
}

const folds = 5;

/** Share of the folds whose own rule is the whole's: low where the data are too few to choose by. */
function agreement(
  examples: Examples,
  fit: (part: Examples) => AutomixFit,
  rule: AutomixFit["rule"],
): number {
  const fold = assignFolds(examples.group, folds);
  const whole = JSON.stringify(rule);
  let same = 0;
  for (let out = 0; out < folds; out++) {
    try {
      if (JSON.stringify(fit(takeRows(examples, (row) => fold[row] !== out)).rule) === whole)
        same++;
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown; // too few rows with verdicts: no agreement
    }
  }
  return same / folds;
}
