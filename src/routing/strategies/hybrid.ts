/**
 * HybridLLM: a network predicts from the query whether the small model's answer holds against the
 * large one's. Targets out of the gap y_small − y_large: `deterministic` 1[gap ≥ 0], `probabilistic`
 * sigmoid(gap/τ), `transformed` 1[gap ≥ −t] with the t that spreads the labels most. What it
 * predicts is calibrated to both models' quality, so that the dial is the threshold; with
 * `router_threshold` the paper's own rule answers instead: small where the prediction reaches it.
 * Other models of the data keep their mean quality; in a group of two they play no part.
 * Source: Ding et al., "Hybrid LLM: Cost-efficient and quality-aware query routing", ICLR 2024,
 * arXiv 2404.14618. Option names are LLMRouter's `hybrid_llm`'s and scikit-learn's.
 * Cost of a decision: a matrix-vector product per layer.
 */
import { Type } from "@sinclair/typebox";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { sigmoid } from "../../std/tape.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { clampShare, meanQuality } from "./examples.ts";
import { pickBySize } from "./fixed.ts";
import { mlp } from "./mlp.ts";
import { defineStrategy, type Examples, type Scores } from "./strategy.ts";

export const hybrid = defineStrategy({
  name: "llmrouter-hybrid",
  summary: "Whether a small model's answer will do in a large one's place (HybridLLM).",
  options: Type.Object({
    small: Type.Optional(
      Type.String({ description: "The small model. Default: by parameters, price or cost." }),
    ),
    large: Type.Optional(Type.String({ description: "The large one. Default: likewise." })),
    router_mode: Type.Union(
      [Type.Literal("deterministic"), Type.Literal("probabilistic"), Type.Literal("transformed")],
      { default: "probabilistic" },
    ),
    router_tau: Type.Number({
      default: 0.1,
      exclusiveMinimum: 0,
      description: "Width of the probabilistic target.",
    }),
    router_threshold: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description: "From here on the small model answers, whatever the dial. Default: the dial.",
      }),
    ),
    hidden_layer_sizes: Type.Array(Type.Integer({ minimum: 1, maximum: 512 }), {
      default: [48],
      maxItems: 4,
      description: "Units of each hidden layer.",
    }),
    alpha: Type.Number({ default: 0.05, minimum: 0, description: "Weight decay." }),
    learning_rate_init: Type.Number({ default: 0.002, exclusiveMinimum: 0, maximum: 1 }),
    batch_size: Type.Integer({ default: 32, minimum: 1, maximum: 4096 }),
    max_iter: Type.Integer({ default: 10, minimum: 1, maximum: 1000 }),
  }),
  async fit(examples, options, context) {
    const { small, large } = findPair(examples, options);
    const pair = toPair(examples, small, large);
    const quality = toTargets(pair, options.router_mode, options.router_tau);
    const learnt = { ...examples, models: ["small"], quality };
    const network = await mlp.fit(learnt, options, context);
    const scorer = await mlp.load(network, { d: examples.d, m: 1 }, context.kernels);
    const predicted = new Float32Array(examples.n);
    for (let row = 0; row < examples.n; row++) {
      const { x, d } = examples;
      const { quality } = (await scorer.score(x.subarray(row * d, (row + 1) * d))) as Scores;
      predicted[row] = quality[0] as number;
    }
    scorer.close();
    const lines = [
      fitLine(predicted, pair.small, examples),
      fitLine(predicted, pair.large, examples),
    ];
    const { router_threshold: threshold } = options;
    return {
      tensors: {
        "hybrid.line": f32(Float32Array.from(lines.flat()), 2, 2),
        "hybrid.mean": f32(Float32Array.from(meanQuality(examples)), examples.models.length),
      },
      files: { ...network.files },
      json: { ...network.json, small, large, ...(threshold === undefined ? {} : { threshold }) },
    };
  },
  async load(fitted, { d, m }, kernels, openOnnx, pause) {
    const { json, tensors } = fitted;
    const small = Number(json["small"]);
    const large = Number(json["large"]);
    const threshold = json["threshold"] === undefined ? undefined : Number(json["threshold"]);
    const isLabel = (j: number) => Number.isSafeInteger(j) && j >= 0 && j < m;
    if (!isLabel(small) || !isLabel(large) || small === large || Number.isNaN(threshold)) {
      throw new GatewayError("artifact_refused", "hybrid: small and large do not name two models");
    }
    const line = takeF32(tensors, "hybrid.line", [2, 2]);
    const mean = takeF32(tensors, "hybrid.mean", [m]);
    const network = await mlp.load(fitted, { d, m: 1 }, kernels, openOnnx, pause);
    const quality = new Float32Array(m);
    const uncertainty = new Float32Array(m).fill(Number.NaN);
    const toScores = ({ quality: predicted }: Scores, to: Float32Array): Scores => {
      const p = predicted[0] as number;
      if (threshold === undefined) {
        to.set(mean);
        to[small] = clampShare((line[0] as number) + (line[1] as number) * p);
        to[large] = clampShare((line[2] as number) + (line[3] as number) * p);
      } else {
        to.fill(0);
        to[large] = 0.5;
        to[small] = p >= threshold ? 1 : 0.25;
      }
      return { quality: to, uncertainty };
    };
    return {
      sync: network.sync,
      constant: threshold !== undefined,
      score(x) {
        const scored = network.score(x);
        if (!(scored instanceof Promise)) return toScores(scored, quality);
        return scored.then((late) => toScores(late, new Float32Array(m)));
      },
      close: () => network.close(),
    };
  },
});

/** @throws GatewayError strategy_refused where the two cannot be told */
function findPair(
  examples: Examples,
  given: { readonly small?: string; readonly large?: string },
): { readonly small: number; readonly large: number } {
  const { models } = examples;
  const find = (name: string | undefined, sign: 1 | -1, key: string) => {
    if (name === undefined) return pickBySize(examples, sign);
    const at = models.indexOf(name);
    if (at >= 0) return at;
    const known = models.join(", ").slice(0, 400);
    return refuse(`${key} "${excerpt(name)}" is not a model of the data. There are: ${known}.`);
  };
  const small = find(given.small, 1, "small");
  const large = find(given.large, -1, "large");
  if (small !== undefined && large !== undefined && small !== large) return { small, large };
  return refuse(
    "it routes between a small and a large model, and nothing tells which they are. Name them " +
      "(--option small=NAME --option large=NAME), or give sizes or prices in models.json beside the data.",
  );
}

function toPair({ n, models, quality }: Examples, small: number, large: number) {
  const m = models.length;
  const column = (j: number) =>
    Float32Array.from({ length: n }, (_, row) => quality[row * m + j] ?? NaN);
  const pair = { small: column(small), large: column(large) };
  if (pair.small.some((q, row) => !Number.isNaN(q - (pair.large[row] as number)))) return pair;
  const [a, b] = [models[small], models[large]];
  return refuse(
    `no row has outcomes of both ${a} and ${b}: it learns from their difference. Replay some queries ` +
      "on both, or choose another strategy (llmrouter-linear learns from single outcomes).",
  );
}

type Pair = ReturnType<typeof toPair>;

/** NaN where one of the two was not seen. */
function toTargets({ small, large }: Pair, mode: string, tau: number): Float32Array {
  const gaps = small.map((q, row) => q - (large[row] as number));
  if (mode === "probabilistic") return gaps.map((gap) => sigmoid(gap / tau));
  const t = mode === "transformed" ? spreadMost(gaps) : 0;
  return gaps.map((gap) => (Number.isNaN(gap) ? gap : gap >= -t ? 1 : 0));
}

/** The relaxation t ≥ 0 at which two labels differ most often: 2p(1 − p) is largest. */
function spreadMost(gaps: Float32Array): number {
  const seen = gaps.filter((gap) => !Number.isNaN(gap)).sort();
  let best = 0;
  let bestSpread = -1;
  for (let step = 0; step <= 100; step++) {
    const t = step / 100;
    const share = seen.reduce((sum, gap) => sum + (gap >= -t ? 1 : 0), 0) / seen.length;
    const spread = 2 * share * (1 - share);
    if (spread > bestSpread + 1e-12) {
      bestSpread = spread;
      best = t;
    }
  }
  return best;
}

/** Level and slope of quality on what the network predicts, by least squares. */
function fitLine(predicted: Float32Array, quality: Float32Array, { weight }: Examples): number[] {
  let mass = 0;
  let pSum = 0;
  let qSum = 0;
  const each = (visit: (w: number, p: number, q: number) => void) => {
    quality.forEach((q, row) => {
      if (!Number.isNaN(q)) visit(weight[row] as number, predicted[row] as number, q);
    });
  };
  each((w, p, q) => {
    mass += w;
    pSum += w * p;
    qSum += w * q;
  });
  const centre = pSum / Math.max(1e-12, mass);
  const level = qSum / Math.max(1e-12, mass);
  let product = 0;
  let square = 1e-9;
  each((w, p, q) => {
    product += w * (p - centre) * (q - level);
    square += w * (p - centre) ** 2;
  });
  const slope = product / square;
  return [level - slope * centre, slope];
}

function refuse(why: string): never {
  throw new GatewayError("strategy_refused", `llmrouter-hybrid: ${why}`);
}
