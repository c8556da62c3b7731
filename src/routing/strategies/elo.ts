/**
 * Elo ratings: Bradley-Terry strengths by maximum likelihood over every pair of models that were
 * seen on one query. A rating looks at no query; a logistic curve through the models' mean qualities
 * makes qualities of ratings, so that the dial still has costs to weigh them against.
 *
 * Ties: `davidson` gives a tie its own probability, ν√(πᵢπⱼ) / (πᵢ + πⱼ + ν√(πᵢπⱼ)), fitted with the
 * strengths; `half` counts it as half a win for each, as FastChat's leaderboard does. With few ties
 * they agree; where most rows are ties, halves press all ratings together.
 * Sources: Bradley & Terry, Biometrika 39, 1952; Davidson, "On extending the Bradley-Terry model to
 * accommodate ties", JASA 65, 1970; Hunter, "MM algorithms for generalized Bradley-Terry models",
 * Annals of Statistics 32, 2004. Option names are LLMRouter's `elorouter`'s, whose training lets the
 * best of a row beat all others and ties with it lose.
 * Cost of a decision: none.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { clampShare, meanQuality } from "./examples.ts";
import { toLogit } from "./head.ts";
import { defineStrategy, type Examples } from "./strategy.ts";

export const elo = defineStrategy({
  name: "llmrouter-elo",
  summary: "One rating per model from pairwise wins (Bradley-Terry); the query does not matter.",
  options: Type.Object({
    scale: Type.Number({
      default: 400,
      exclusiveMinimum: 0,
      description: "Points of rating that multiply the odds of a win by `base`.",
    }),
    base: Type.Number({ default: 10, exclusiveMinimum: 1 }),
    init_rating: Type.Number({ default: 1000, description: "The mean of the ratings." }),
    ties: Type.Union([Type.Literal("davidson"), Type.Literal("half")], { default: "davidson" }),
  }),
  fit(examples, options, { progress }) {
    const m = examples.models.length;
    const pairs = countPairs(examples);
    const { strengths, tieRate } = fitStrengths(pairs, m, options.ties === "davidson");
    const points = options.scale / Math.log(options.base);
    const ratings = Float32Array.from(strengths, (s) => options.init_rating + points * s);
    progress(1);
    return {
      tensors: {
        "elo.rating": f32(ratings, m),
        "elo.quality": f32(toQualities(strengths, examples), m),
      },
      json: { scale: options.scale, base: options.base, tie_rate: tieRate },
    };
  },
  load({ tensors }, { m }) {
    takeF32(tensors, "elo.rating", [m]);
    const table = takeF32(tensors, "elo.quality", [m]);
    if (!table.every((q) => q >= 0 && q <= 1)) {
      throw new GatewayError("artifact_refused", "elo: a quality is not between 0 and 1");
    }
    const quality = new Float32Array(m);
    const uncertainty = new Float32Array(m).fill(Number.NaN);
    const scores = { quality, uncertainty };
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

interface Pairs {
  /** m×m: how often the row's model beat the column's, by weight. */
  readonly wins: Float64Array;
  /** m×m, symmetric. */
  readonly ties: Float64Array;
}

/** Scores nearer than this are a tie. */
const tieWidth = 1e-9;

function countPairs({ n, models, quality, weight }: Examples): Pairs {
  const m = models.length;
  const wins = new Float64Array(m * m);
  const ties = new Float64Array(m * m);
  for (let row = 0; row < n; row++) {
    const w = weight[row] as number;
    for (let a = 0; a < m; a++) {
      for (let b = 0; b < a; b++) {
        const gap = (quality[row * m + a] as number) - (quality[row * m + b] as number);
        if (Number.isNaN(gap)) continue;
        if (Math.abs(gap) <= tieWidth) {
          add(ties, a * m + b, w);
          add(ties, b * m + a, w);
        } else add(wins, gap > 0 ? a * m + b : b * m + a, w);
      }
    }
  }
  return { wins, ties };
}

const mostRounds = 2000;
/** A win and a loss against everyone that did not happen: a model without a loss stays finite. */
const priorGames = 1;

/**
 * log π per model, of mean 0, and ν. Minorisation-maximisation: each round raises the likelihood.
 * Halves are the case ν = 0 with ties added to the wins of both.
 */
function fitStrengths({ wins, ties }: Pairs, m: number, davidson: boolean) {
  const won = (a: number, b: number) =>
    (wins[a * m + b] as number) + (davidson ? 0 : 0.5 * (ties[a * m + b] as number)) + priorGames;
  const tied = (a: number, b: number) => (davidson ? (ties[a * m + b] as number) : 0);
  const strength = new Float64Array(m).fill(1);
  let tieRate = davidson ? 1 : 0;
  for (let round = 0; round < mostRounds; round++) {
    let moved = 0;
    let tieMass = 0;
    let tieShare = 0;
    const next = new Float64Array(m);
    for (let a = 0; a < m; a++) {
      let gained = 0;
      let share = 0;
      const own = strength[a] as number;
      for (let b = 0; b < m; b++) {
        if (a === b) continue;
        const other = strength[b] as number;
        const root = Math.sqrt(own * other);
        const games = won(a, b) + won(b, a) + tied(a, b);
        const total = own + other + tieRate * root;
        gained += won(a, b) + 0.5 * tied(a, b);
        share += (games * (1 + (0.5 * tieRate * root) / own)) / total;
        if (b < a) {
          tieMass += tied(a, b);
          tieShare += (games * root) / total;
        }
      }
      next[a] = share > 0 ? gained / share : own;
    }
    if (davidson) tieRate = tieShare > 0 ? tieMass / tieShare : 0;
    const centre = Math.exp(next.reduce((sum, s) => sum + Math.log(s), 0) / m);
    for (let a = 0; a < m; a++) {
      const value = (next[a] as number) / centre;
      moved = Math.max(moved, Math.abs(Math.log(value / (strength[a] as number))));
      strength[a] = value;
    }
    if (moved < 1e-10) break;
  }
  return { strengths: strength.map(Math.log), tieRate };
}

/** Qualities on a rising logistic curve of the strengths, by least squares on logits of the means. */
function toQualities(strengths: Float64Array, examples: Examples): Float32Array {
  const mean = meanQuality(examples);
  const logits = mean.map(toLogit);
  const m = mean.length;
  const level = logits.reduce((sum, value) => sum + value, 0) / m;
  let product = 0;
  let square = 1e-12;
  strengths.forEach((s, j) => {
    product += s * ((logits[j] as number) - level);
    square += s * s;
  });
  const slope = Math.max(0, product / square);
  return Float32Array.from(strengths, (s) => clampShare(1 / (1 + Math.exp(-level - slope * s))));
}

function add(values: Float64Array, at: number, by: number): void {
  values[at] = (values[at] as number) + by;
}
