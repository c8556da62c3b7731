/**
 * Routers of scikit-learn, joblib, pandas and Torch, imported: their scores are the original's to
 * 1e-5. The files and what the originals said were made by test/fixtures/imports/make.py.
 */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../../src/domain/errors.ts";
import { shapeNames } from "../../src/embedding/shape.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createScalarKernels } from "../../src/kernels/scalar.ts";
import { importRouter } from "../../src/learning/import/import-router.ts";
import { readRoutingLabels } from "../../src/learning/import/routing-labels.ts";
import { toArtifact } from "../../src/learning/import/write-artifact.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { runSelfTest } from "../../src/routing/self-test.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";

const folder = join(import.meta.dir, "../fixtures/imports");

interface Expected {
  readonly queries: readonly (readonly number[])[];
  readonly files: Readonly<
    Record<
      string,
      {
        readonly labels: readonly string[];
        readonly scores: readonly (number | readonly number[])[];
        readonly predicted: readonly string[] | null;
      }
    >
  >;
}

const embedder = { id: "test@0123456789abcdef", sha256: "ab".repeat(32), dimensions: 12 };
/** Never asked: queries are embeddings here. */
const silent = {
  ...embedder,
  sync: true,
  maxChars: 0,
  embed: () => new Float32Array(embedder.dimensions),
  close: () => undefined,
};

const sigma = (z: number) => 1 / (1 + Math.exp(-z));

/** What the original said of one query, as a score in 0..1 per label: write-artifact's own rule. */
function toShares(file: string, said: number | readonly number[], m: number): readonly number[] {
  if (file.startsWith("hybrid") && typeof said === "number") {
    const small = Math.min(1, Math.max(0, said));
    return [small, 1 - small];
  }
  if (typeof said === "number") return [1 - sigma(said), sigma(said)];
  if (file.startsWith("svc-votes")) return said.map((d) => (d + 1 / 3) / (m - 1 + 2 / 3));
  const isDecision = /^(linear-svc|mf|pipe-l1)/.test(file);
  return isDecision ? said.map(sigma) : said;
}

async function open(file: string, year: string, kernels = createKernels) {
  const bytes = new Uint8Array(readFileSync(join(folder, year, file)));
  const labels = file.startsWith("hybrid")
    ? ["small", "large"]
    : ["gpt-4o", "claude-haiku", "llama-3-8b", "qwen-é"];
  const imported = importRouter(bytes, { labels });
  const content = await toArtifact(imported, { name: "router", embedder, kernels, source: "00" });
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(content.files, { identity, embedder: silent, kernels });
  await runSelfTest(router, content.files, systemClock);
  return router;
}

const features = (embedding: readonly number[]) => ({
  embedderId: embedder.id,
  embedding: Float32Array.from(embedding),
  lexicalBuckets: new Uint16Array(),
  lexicalCounts: new Uint8Array(),
  shape: new Float32Array(shapeNames.length),
});

/** Where the votes and the coupled probabilities of libsvm may differ, as scikit-learn warns. */
const maySay = (file: string) => /svc-(?!votes)|-svc\./.test(file);

describe.each(["2023", "2026"])("made with the libraries of %s", (year) => {
  const { queries, files } = JSON.parse(
    readFileSync(join(folder, year, "expected.json"), "utf8"),
  ) as Expected;

  test.each(Object.keys(files))("%s", async (file) => {
    const { labels, scores, predicted } = files[file] ?? {
      labels: [],
      scores: [],
      predicted: null,
    };
    const router = await open(file, year);
    expect([...router.labels]).toEqual([...labels]);
    const ratings = file.startsWith("elo");
    const mean = ratings ? (scores as number[]).reduce((a, b) => a + b, 0) / scores.length : 0;
    for (const [row, query] of queries.entries()) {
      const { quality } = await router.scoreFeatures(features(query));
      const wanted = ratings
        ? (scores as number[]).map((rating) => 1 / (1 + 10 ** ((mean - rating) / 400)))
        : toShares(file, scores[row] ?? [], labels.length);
      quality.forEach((value, j) => {
        expect(
          Math.abs(value - (wanted[j] ?? Number.NaN)),
          `query ${row}, ${labels[j]}`,
        ).toBeLessThan(1e-5);
      });
      const best = labels[quality.indexOf(Math.max(...quality))];
      if (predicted && !maySay(file)) expect(best).toBe(predicted[row] ?? "");
    }
    router.close();
  });
});

test.each(["2023", "2026"])("LLMRouter's numbers for models, by pandas of %s", async (year) => {
  const file = join(folder, year, "routing.jsonl");
  const { routing } = JSON.parse(readFileSync(join(folder, year, "expected.json"), "utf8"));
  const labels = await readRoutingLabels(file);
  expect(labels).toEqual(routing);
  const read = (name: string) => new Uint8Array(readFileSync(join(folder, "2026", name)));
  const options = { routing: labels };
  expect(importRouter(read("mf.pt"), options).labels).toEqual(labels.rows);
  expect(importRouter(read("mlp.pkl"), options).labels).toEqual(labels.best);
});

test("every file was tried, or is refused by name", () => {
  const refused = ["bz2.joblib", "whole-module.pt", "expected.json", "routing.jsonl"];
  for (const year of ["2023", "2026"]) {
    const { files } = JSON.parse(readFileSync(join(folder, year, "expected.json"), "utf8"));
    const left = readdirSync(join(folder, year)).filter((file) => !(file in files));
    expect(left.filter((file) => !refused.includes(file))).toEqual([]);
  }
});

test("plain JavaScript gives the bits of WebAssembly", async () => {
  for (const file of ["svc-rbf.pkl", "knn-distance.pkl", "mlp-relu.pkl"]) {
    const one = await open(file, "2026");
    const other = await open(file, "2026", createScalarKernels);
    const query = features(Array.from({ length: 12 }, (_, i) => Math.sin(i)));
    const [a, b] = [await one.scoreFeatures(query), await other.scoreFeatures(query)];
    expect([...a.quality]).toEqual([...b.quality]);
  }
});

// To replay a failure: its seed is in the message.
test.each([
  "knn.pkl",
  "protocol-0-svc.pkl",
  "raw-svc.joblib",
  "lz4-knn.joblib",
  "mlp.pt",
  "mf.pkl",
])("%s with bytes changed is read or refused, never more", (file) => {
  const whole = new Uint8Array(readFileSync(join(folder, "2026", file)));
  for (let seed = 1; seed <= 300; seed++) {
    const random = createRandom(seed);
    const bytes = whole.slice(0, seed % 3 === 0 ? nextInt(random, whole.length) : whole.length);
    for (let i = 0; i < 1 + (seed % 4); i++) {
      if (bytes.length > 0) bytes[nextInt(random, bytes.length)] = nextInt(random, 256);
    }
    try {
      importRouter(bytes, { labels: ["a", "b", "c", "d"] });
    } catch (error) {
      const refusal = error instanceof GatewayError && error.code === "artifact_refused";
      if (!refusal) throw new Error(`seed ${seed}`, { cause: error });
    }
  }
});
