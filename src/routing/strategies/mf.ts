/**
 * Matrix factorisation: a bilinear score δ(M, q) = w₂ᵀ(v̂_M ⊙ W₁q) of a model's vector and a query's
 * features, v̂ of unit length. w₂ only scales the rows of W₁, so W = diag(w₂)·W₁ is learnt in their
 * place and δ = v̂_Mᵀ·W·q + b_M: the same functions with fewer numbers. `pairwise` learns who wins
 * (Bradley-Terry on δ, ties as halves), then a common slope and each model's level make quality of δ;
 * `pointwise` learns each model's quality as sigmoid(δ).
 * Source: Ong et al., "RouteLLM", arXiv 2406.18665, §4.2. Option names are LLMRouter's `mfrouter`'s,
 * which learns from (best, every other) alone and counts ties as losses.
 * A decision needs V·W alone (m×d, made when the router is loaded): one matrix-vector product.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { nextNormal } from "../../std/random.ts";
import { createTape, descend, type Matrix, type Tape } from "../../std/tape.ts";
import { f32, takeF32 } from "../safetensors.ts";
import { meanQuality } from "./examples.ts";
import {
  calibrate,
  inputOf,
  logitsOf,
  normalWeights,
  pairwiseLoss,
  pointwiseLoss,
  shuffler,
  sigmoids,
  toQuality,
  zeroWeights,
} from "./head.ts";
import { createMatvec } from "./matvec.ts";
import { defineStrategy } from "./strategy.ts";

export const mf = defineStrategy({
  name: "llmrouter-mf",
  summary: "Matrix factorisation: a vector per model against the query's (RouteLLM).",
  options: Type.Object({
    latent_dim: Type.Integer({
      default: 32,
      minimum: 1,
      maximum: 512,
      description: "Length of a model's vector.",
    }),
    loss: Type.Union([Type.Literal("pairwise"), Type.Literal("pointwise")], {
      default: "pairwise",
      description: "Learn which of two models is better, or how good each one is.",
    }),
    lr: Type.Number({ default: 0.003, exclusiveMinimum: 0, maximum: 1, description: "Step size." }),
    epochs: Type.Integer({ default: 10, minimum: 1, maximum: 1000 }),
    batch_size: Type.Integer({ default: 64, minimum: 1, maximum: 4096 }),
    weight_decay: Type.Number({ default: 0.1, minimum: 0 }),
    noise_alpha: Type.Number({
      default: 0,
      minimum: 0,
      maximum: 1,
      description: "Noise on the features while learning, as a share of their length.",
    }),
  }),
  fit(examples, options, { random, progress }) {
    const { n, d, models } = examples;
    const m = models.length;
    const mean = meanQuality(examples);
    const w = normalWeights(options.latent_dim, d, random, 0.3);
    const v = normalWeights(m, options.latent_dim, random);
    const bias = logitsOf(mean);
    const pairwise = options.loss === "pairwise";
    const scoreOf = (tape: Tape, input: Matrix) =>
      tape.addRow(tape.times(tape.times(input, w), tape.unitRows(v)), bias);
    const noise = options.noise_alpha / Math.sqrt(d);
    descend(
      [w, v, bias],
      new Set([w]),
      {
        rows: n,
        rounds: options.epochs,
        batchSize: options.batch_size,
        rate: options.lr,
        decay: options.weight_decay,
        shuffle: shuffler(random),
        progress,
      },
      (tape, rows) => {
        const input = inputOf(examples, rows);
        if (noise > 0) {
          for (let i = 0; i < input.values.length; i++) {
            input.values[i] = (input.values[i] as number) + noise * nextNormal(random);
          }
        }
        const out = scoreOf(tape, input);
        if (pairwise) pairwiseLoss(out, rows, examples);
        else pointwiseLoss(out, rows, examples);
      },
    );
    const tape = createTape();
    const unit = tape.unitRows(v).values;
    const everything = Int32Array.from({ length: n }, (_, row) => row);
    const { slope, offset } = pairwise
      ? calibrate(scoreOf(tape, inputOf(examples, everything)).values, examples, mean)
      : { slope: 1, offset: zeroWeights(1, m).values };
    return {
      tensors: {
        "mf.query": f32(w.values, options.latent_dim, d),
        "mf.model": f32(unit, m, options.latent_dim),
        "mf.bias": f32(bias.values, m),
        "mf.offset": f32(offset, m),
      },
      json: { loss: options.loss, slope },
    };
  },
  load({ tensors, json }, { d, m }, createKernels) {
    const w = takeF32(tensors, "mf.query", [-1, d]);
    const k = w.length / d;
    const v = takeF32(tensors, "mf.model", [m, k]);
    const offset = takeF32(tensors, "mf.offset", [m]);
    const slope = Number(json["slope"]);
    if (!Number.isFinite(slope)) {
      throw new GatewayError("artifact_refused", "mf: the slope is not a finite number");
    }
    const pairwise = json["loss"] !== "pointwise";
    const both = new Float32Array(m * d);
    for (let j = 0; j < m; j++) {
      for (let l = 0; l < k; l++) {
        const factor = v[j * k + l] as number;
        for (let i = 0; i < d; i++) {
          both[j * d + i] = (both[j * d + i] as number) + factor * (w[l * d + i] as number);
        }
      }
    }
    const multiply = createMatvec(both, takeF32(tensors, "mf.bias", [m]), d, createKernels);
    const uncertainty = new Float32Array(m).fill(Number.NaN);
    const calibration = { slope, offset };
    return {
      sync: true,
      score(x) {
        const quality = multiply(x);
        if (pairwise) toQuality(quality, calibration);
        else sigmoids(quality);
        return { quality, uncertainty };
      },
      close: () => undefined,
    };
  },
});
