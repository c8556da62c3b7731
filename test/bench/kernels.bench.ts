/** The kernels: top-k against the same loop in C, and what a decision is made of. */
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createDenseRunner, denseBytes } from "../../src/kernels/dense-network.ts";
import type { Kernels } from "../../src/kernels/kernels.ts";
import { createScalarKernels } from "../../src/kernels/scalar.ts";
import { nextInt, nextNormal, type Random } from "../../src/std/random.ts";
import { type BenchContext, type BenchRow, defineBench, quantile, skipped } from "./bench.ts";
import { compileNative, nativeMissing } from "./native.ts";

const d = 256;
const k = 10;

/**
 * What the code costs when nothing else is in its way: the least of many batches of about a
 * millisecond, short enough to fall between the turns of other processes.
 */
function bestUs({ size }: BenchContext, work: () => unknown): number {
  const time = (count: number) => {
    const start = Bun.nanoseconds();
    for (let i = 0; i < count; i++) work();
    return (Bun.nanoseconds() - start) / 1000 / count;
  };
  for (let i = 0; i < size(2, 50); i++) time(size(1, 20)); // until it is compiled
  const perBatch = Math.max(1, Math.round(1000 / time(size(1, 100))));
  let best = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < size(2, 1500); batch++) best = Math.min(best, time(perBatch));
  return best;
}

const us = (value: number) => `${value < 10 ? value.toFixed(2) : value.toFixed(0)} µs`;
const ns = (value: number) => `${value.toFixed(1)} ns/row`;

function createSearch(kernels: Kernels, random: Random, n: number) {
  const rows = kernels.alloc(n * d);
  const values = kernels.i8(rows, n * d);
  for (let i = 0; i < values.length; i++) values[i] = nextInt(random, 255) - 127;
  const scales = kernels.alloc(n * 4);
  kernels.f32(scales, n).fill(0.01);
  const sums = kernels.alloc(n * 4);
  kernels.rowSumsI8(rows, n, d, sums);
  const source = kernels.alloc(d * 4);
  kernels.f32(source, d).forEach((_, i, all) => {
    all[i] = nextNormal(random);
  });
  const query = kernels.alloc(d);
  const out = kernels.alloc(k * 8);
  return () => {
    const scale = kernels.quantizeQueryF32(source, query, d);
    kernels.topKI8(rows, scales, sums, query, scale, n, d, k, out, out + k * 4);
  };
}

function createSearchF32(kernels: Kernels, random: Random, n: number) {
  const rows = kernels.alloc(n * d * 4);
  const values = kernels.f32(rows, n * d);
  for (let i = 0; i < values.length; i++) values[i] = nextNormal(random);
  const out = kernels.alloc(k * 8);
  return () => kernels.topKF32(rows, rows, n, d, k, out, out + k * 4);
}

/** ns per row of the C program, or why not. */
function native(form: string, n: number, rounds: number): number | string {
  const missing = nativeMissing();
  if (missing) return missing;
  const flags = ["-O3", "-march=native", ...(form === "f32" ? ["-ffast-math"] : [])];
  const program = compileNative("top-k", flags);
  const ran = Bun.spawnSync([program, form, String(n), String(d), String(k), String(rounds)]);
  if (ran.exitCode === 3) return "this processor has no VNNI";
  if (ran.exitCode !== 0) return `the C program ended with ${ran.exitCode}`;
  return Number(ran.stdout.toString().split(" ")[0]);
}

function compareTopK(context: BenchContext, n: number): BenchRow[] {
  const bytes = n * d + n * 8 + 8192;
  const search = createSearch(createKernels(bytes), context.random, n);
  const ours = (bestUs(context, search) * 1000) / n;
  const shape = `${n} × ${d}, int8, k ${k}`;
  const rows: BenchRow[] = [];
  const compare = (form: string, name: string, budget: string, ok: (ratio: number) => boolean) => {
    const theirs = native(form, n, context.size(20, 2000));
    const what = `KNN kernel, ${shape}: WASM against C ${name}`;
    if (typeof theirs === "string") return rows.push(skipped(what, theirs, budget));
    const ratio = theirs / ours;
    return rows.push({
      what,
      measured: `${ratio.toFixed(2)} × its speed`,
      budget,
      ...(context.full ? { ok: ok(ratio) } : {}),
      detail: `${ns(ours)} against ${ns(theirs)}; least of the rounds`,
    });
  };
  compare("i8", "-O3 (auto-vectorised)", "> 1 ×", (ratio) => ratio > 1);
  compare("vnni", "with VNNI", "≥ 0.25 ×", (ratio) => ratio >= 0.25);
  return rows;
}

function timeTopKF32(context: BenchContext, n: number): BenchRow {
  const kernels = createKernels(n * d * 4 + 8192);
  const search = createSearchF32(kernels, context.random, n);
  const ours = (bestUs(context, search) * 1000) / n;
  const theirs = native("f32", n, context.size(10, 1000));
  return {
    what: `KNN kernel, ${n} × ${d}, float`,
    measured: ns(ours),
    detail: typeof theirs === "string" ? theirs : `C -O3 -ffast-math ${ns(theirs)}`,
  };
}

/** Single searches, each timed: what a decision waits for. */
function timeExactKnn(context: BenchContext): BenchRow {
  const n = context.size(500, 10_000);
  const search = createSearch(createKernels(n * d + n * 8 + 8192), context.random, n);
  for (let i = 0; i < context.size(10, 2000); i++) search();
  const times: number[] = [];
  for (let i = 0; i < context.size(10, 3000); i++) {
    const start = Bun.nanoseconds();
    search();
    times.push((Bun.nanoseconds() - start) / 1000);
  }
  const p50 = quantile(times, 0.5);
  return {
    what: `exact KNN over ${n} × ${d}`,
    measured: `p50 ${us(p50)}, p99 ${us(quantile(times, 0.99))}`,
    budget: "≤ 150 µs p50",
    ...(context.full ? { ok: p50 <= 150 } : {}),
  };
}

const prompts: readonly (readonly [string, string])[] = [
  ["30 characters", "What is the capital of France?"],
  [
    "650 characters",
    "Write a Python function that parses a CSV file and returns the median of each numeric column. Consider missing values, dates such as 2024-01-31, and quoted commas. "
      .repeat(4)
      .slice(0, 650),
  ],
  [
    "4,096 characters",
    "The quick brown fox jumps over the lazy dog, and so on. ".repeat(74).slice(0, 4096),
  ],
];

function timeEmbed(context: BenchContext): BenchRow[] {
  const embedder = createStaticEmbedder();
  const out = new Float32Array(embedder.dimensions);
  return prompts.map(([name, text]) => {
    const work = () => embedder.embedInto(text, out);
    return {
      what: `static embedding of ${name}`,
      measured: us(bestUs(context, work)),
      detail: `${embedder.dimensions} dimensions; least of the rounds`,
    };
  });
}

function timeFeatures(context: BenchContext): BenchRow {
  const [, [name, text] = ["", ""]] = prompts;
  const { extract } = createFeatureExtractor(createStaticEmbedder());
  const query = { text, tools: [] };
  return {
    what: `all features of ${name}`,
    measured: us(bestUs(context, () => extract(query))),
    detail: "embedding, hashed words, shape; least of the rounds",
  };
}

function timeDense(context: BenchContext): BenchRow {
  const layer = (inputs: number, outputs: number) => ({
    inputs,
    outputs,
    weight: Float32Array.from({ length: inputs * outputs }, () => nextNormal(context.random)),
    bias: new Float32Array(outputs),
    activation: "relu" as const,
  });
  const network = { layers: [layer(256, 256), layer(256, 64), layer(64, 16)] };
  const time = (kernels: Kernels) => {
    const runner = createDenseRunner(kernels, network);
    runner.input.fill(0.1);
    return bestUs(context, () => runner.run());
  };
  const ours = time(createKernels(denseBytes(network)));
  const scalar = time(createScalarKernels(denseBytes(network)));
  return {
    what: "dense network 256-256-64-16",
    measured: us(ours),
    detail: `without SIMD (the oracle) ${us(scalar)}`,
  };
}

export const kernelsBench = defineBench("kernels", async (context) => {
  context.note("top-k over int8 and float rows, embedding, dense network");
  const sizes = context.full ? [1000, 10_000] : [200];
  return [
    ...sizes.flatMap((n) => compareTopK(context, n)),
    ...sizes.map((n) => timeTopKF32(context, n)),
    timeExactKnn(context),
    ...timeEmbed(context),
    timeFeatures(context),
    timeDense(context),
  ];
});
