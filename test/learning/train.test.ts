/** Training and evaluation end to end on made-up data: it learns, repeats itself, and refuses lies. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { evaluate } from "../../src/learning/evidence/evaluate.ts";
import { measureEvidence, outOfFoldChoices } from "../../src/learning/evidence/evidence.ts";
import { prepareTraining } from "../../src/learning/fit/prepare.ts";
import { readTable, type Table } from "../../src/learning/table.ts";
import { type Trained, trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { routerPaths } from "../../src/routing/router-format.ts";
import { createSelfTest, runSelfTest } from "../../src/routing/self-test.ts";
import { systemClock } from "../../src/std/clock.ts";
import { makeRows, prices, stream } from "../support/routing-data.ts";

setDefaultTimeout(180_000);

const embedder = createStaticEmbedder();
const extractor = createFeatureExtractor(embedder);
const identity = { name: "router", version: 0, sha256: "" };

const tableOf = (count: number, seed: number): Promise<Table> =>
  readTable([{ rows: stream(makeRows(count, seed)), prices }], extractor, "all");
const trainOn = (table: Table, strategy: string, seed = 1): Promise<Trained> =>
  trainRouter(table, { strategy, seed, embedder, kernels: createKernels });
const load = (files: ReadonlyMap<string, Uint8Array>) =>
  loadRouter(files, { identity, embedder, kernels: createKernels });

let train: Table;
let held: Table;
beforeAll(async () => {
  train = await tableOf(500, 1);
  held = await tableOf(400, 2);
});

const learned = ["llmrouter-knn", "llmrouter-mlp", "llmrouter-svm", "llmrouter-linear"];

describe.each([...learned, "llmrouter-ensemble", "auto"])("%s", (strategy) => {
  test("gains over fixed models where there is something to learn", async () => {
    const router = await load((await trainOn(train, strategy)).files);
    const { evaluation } = await evaluate(router, held, { seed: 1, bootstrap: 50 });
    const { zeroRouter, oracle } = evaluation.baselines;
    expect(evaluation.gain.low).toBeGreaterThan(0);
    expect(evaluation.router.aiq).toBeLessThan(oracle.aiq);
    expect(evaluation.control.aiq).toBeLessThan(zeroRouter.aiq + 0.002);
    expect(evaluation.calibrationError).toBeLessThan(0.12);
  });
});

test("the same data and seed give the same bytes, another seed does not", async () => {
  const table = await tableOf(120, 1);
  const one = await trainOn(table, "llmrouter-ensemble");
  const two = await trainOn(await tableOf(120, 1), "llmrouter-ensemble");
  const three = await trainOn(table, "llmrouter-ensemble", 2);
  const digest = (trained: Trained) =>
    [...trained.files].map(([path, bytes]) => `${path} ${Bun.hash(bytes)}`);
  expect(digest(two)).toEqual(digest(one));
  expect(digest(three)).not.toEqual(digest(one));
});

test("what was prepared once serves several strategies, bit for bit", async () => {
  const table = await tableOf(120, 3);
  const parts = { seed: 1, embedder, kernels: createKernels };
  const prepared = await prepareTraining(table, parts);
  for (const strategy of ["llmrouter-knn", "llmrouter-cluster"]) {
    const shared = await trainRouter(table, { ...parts, strategy, prepared });
    const alone = await trainRouter(table, { ...parts, strategy });
    expect(shared.files).toEqual(alone.files);
  }
});

test.each([
  ["llmrouter-smallest", "small-model"],
  ["llmrouter-largest", "big-model"],
])("%s always answers %s", async (strategy, model) => {
  const router = await load((await trainOn(train, strategy)).files);
  const candidates = router.labels.map((label, at) => ({ model: label, group: "g", label: at }));
  for (const tradeoff of [0, 0.5, 1]) {
    const scores = await router.score({ text: "prime matrix", tools: [] });
    const dial = { tradeoff };
    expect(decide({ router, scores, candidates, inputTokens: 10, dial }).chosen).toBe(model);
  }
});

describe("the dial", () => {
  test("goes from least cost to best quality", async () => {
    const router = await load((await trainOn(train, "llmrouter-linear")).files);
    const { evaluation } = await evaluate(router, held, { seed: 1, bootstrap: 2 });
    const curve = evaluation.curve.filter(({ name }) => name.startsWith("tradeoff="));
    const first = curve[0];
    const last = curve.at(-1);
    expect(first?.cost).toBeLessThan((last?.cost ?? 0) / 5);
    expect(last?.quality).toBeGreaterThan(0.85);
    const costs = curve.map(({ cost }) => cost);
    costs.slice(1).forEach((cost, i) => {
      expect(cost).toBeGreaterThanOrEqual((costs[i] ?? 0) - 1e-4);
    });
  });

  test("a floor is held at less than the model's cost", async () => {
    const router = await load((await trainOn(train, "llmrouter-linear")).files);
    const candidates = router.labels.map((label, at) => ({ model: label, group: "g", label: at }));
    const dial = { tradeoff: 0.5, floor: { share: 0.95, model: "any/big-model" } };
    let quality = 0;
    let cost = 0;
    for (let row = 0; row < held.n; row++) {
      const features = held.features[row];
      if (!features) continue;
      const scores = await router.scoreFeatures(features);
      const decided = decide({ router, scores, candidates, inputTokens: 0, dial });
      expect(decided.reason).toBe("floor");
      const at = row * 3 + held.labels.indexOf(decided.chosen);
      quality += (held.quality[at] ?? 0) / held.n;
      cost += (held.costUsd[at] ?? 0) / held.n;
    }
    expect(quality).toBeGreaterThan(0.95 * 0.9 - 0.04);
    expect(cost).toBeLessThan(0.008);
  });
});

test("a query unlike the training data is novel, and routed by the global table", async () => {
  const router = await load((await trainOn(train, "llmrouter-knn")).files);
  const known = await router.score({ text: makeRows(1, 3)[0]?.query ?? "", tools: [] });
  const foreign = await router.score({ text: "кот сидит на окне и смотрит вдаль", tools: [] });
  expect(known.novelty).toBeLessThan(0.5);
  expect(foreign.novelty).toBeGreaterThan(0.9);
  foreign.quality.forEach((q, j) => {
    expect(Math.abs(q - (router.labelQuality[j] ?? 0))).toBeLessThan(0.1);
  });
});

test("the evidence for the gate says so when there is a gain", async () => {
  const trained = await trainOn(train, "llmrouter-linear");
  const gate = measureEvidence(train, outOfFoldChoices(train, trained), { seed: 1 });
  expect(gate?.["best_single"]).toMatchObject({ model: "big-model" });
  expect(gate?.["rows"]).toBe(500);
  // Against itself nothing gains; against a worse one it does.
  const identity = { name: "router", version: 3, sha256: "0".repeat(64) };
  const own = outOfFoldChoices(train, trained);
  const against = (choices: readonly Int32Array[]) =>
    measureEvidence(train, own, { seed: 1, rival: { identity, choices } })?.["incumbent"];
  expect(against(own)).toMatchObject({ version: 3, sha256: identity.sha256 });
  const lower = (value: unknown) => Number((value as { gain_lower: string }).gain_lower);
  expect(lower(against(own))).toBeLessThanOrEqual(0);
  const careless = own.map(() => Int32Array.from({ length: train.n }, (_, row) => row % 2));
  expect(lower(against(careless))).toBeGreaterThan(0);
});

describe("files from outside", () => {
  const decoder = new TextDecoder();
  const change = (
    files: Map<string, Uint8Array>,
    edit: (router: Record<string, unknown>) => void,
  ) => {
    const router = JSON.parse(decoder.decode(files.get(routerPaths.router)));
    edit(router);
    return new Map(files).set(routerPaths.router, new TextEncoder().encode(JSON.stringify(router)));
  };
  const hostile: [string, (files: Map<string, Uint8Array>) => Map<string, Uint8Array>][] = [
    ["no weights", (files) => new Map([...files].filter(([path]) => !path.startsWith("weights")))],
    [
      "weights cut short",
      (files) => {
        const bytes = files.get(routerPaths.weights) ?? new Uint8Array();
        return new Map(files).set(routerPaths.weights, bytes.slice(0, bytes.length - 100));
      },
    ],
    [
      "a header of 2^63 bytes",
      (files) => {
        const bytes = (files.get(routerPaths.weights) ?? new Uint8Array()).slice();
        bytes.fill(0xff, 0, 8);
        return new Map(files).set(routerPaths.weights, bytes);
      },
    ],
    ["not JSON", (files) => new Map(files).set(routerPaths.router, new Uint8Array([0xff, 0xfe]))],
    [
      "an unknown strategy",
      (files) => change(files, (router) => void Object.assign(router, { strategy: "evil" })),
    ],
    [
      "more labels than weights",
      (files) =>
        change(files, (router) => void Object.assign(router, { labels: ["a", "b", "c", "d"] })),
    ],
    [
      "another embedder",
      (files) =>
        change(files, (router) => void Object.assign(router.embedder as object, { id: "x@0" })),
    ],
    [
      "another feature schema",
      (files) => change(files, (router) => void Object.assign(router, { feature_schema: 99 })),
    ],
    [
      "a strategy whose tensors are not there",
      (files) =>
        change(
          files,
          (router) =>
            void Object.assign(router, {
              strategy: "llmrouter-mlp",
              learned: { layers: [112, 4, 3] },
            }),
        ),
    ],
    [
      "NaN in the weights",
      (files) => {
        const bytes = (files.get(routerPaths.weights) ?? new Uint8Array()).slice();
        // The last tensor by name is router.quality, three floats, padded to the end.
        new DataView(bytes.buffer).setFloat32(bytes.length - 4, Number.NaN, true);
        return new Map(files).set(routerPaths.weights, bytes);
      },
    ],
  ];
  test.each(hostile)("%s is refused", async (_name, break_) => {
    const { files } = await trainOn(train, "llmrouter-knn");
    expect(load(break_(files))).rejects.toMatchObject({ code: "artifact_refused" });
  });

  test("a self-test passes as trained, and fails when a score was altered", async () => {
    const { files } = await trainOn(train, "llmrouter-svm");
    const router = await load(files);
    const golden = await createSelfTest(router);
    await runSelfTest(router, golden, systemClock);
    const scores = JSON.parse(decoder.decode(golden.get(routerPaths.scores)));
    scores[0].quality[0] += 1e-4;
    golden.set(routerPaths.scores, new TextEncoder().encode(JSON.stringify(scores)));
    expect(runSelfTest(router, golden, systemClock)).rejects.toMatchObject({
      code: "artifact_refused",
    });
  });
});

test("an unknown strategy or option is refused with what there is", () => {
  expect(trainOn(train, "llmrouter-kn")).rejects.toThrow(/llmrouter-knn/);
  const options = { strategy: "llmrouter-knn", options: { n_neighbours: 3 }, seed: 1 };
  expect(
    trainRouter(train, { ...options, embedder, kernels: createKernels }),
  ).rejects.toMatchObject({
    code: "strategy_refused",
  });
});
