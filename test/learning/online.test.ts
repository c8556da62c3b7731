/**
 * Learning while serving, over the border of the thread: lessons, scores, states, what is kept on
 * disk; and on real outcomes, replayed: what is earned while learning.
 */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { readPrices, readRows } from "../../src/learning/dataset.ts";
import {
  keptStates,
  readSpend,
  readState,
  writeSpend,
} from "../../src/learning/online/online-files.ts";
import { createOnlineLearner } from "../../src/learning/online/online-learner.ts";
import { createOnlineRegression } from "../../src/learning/online/online-regression.ts";
import { createOnlineThread, type OnlineService } from "../../src/learning/online/online-thread.ts";
import { readTable } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { decide } from "../../src/routing/decide.ts";
import { createExplorationBudget } from "../../src/routing/exploration-budget.ts";
import { createExplorer } from "../../src/routing/explore.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { correct, onlineInputs, toInputs } from "../../src/routing/online.ts";
import type { QueryScores, TrainedRouter } from "../../src/routing/trained-router.ts";
import { createRandom, shuffle } from "../../src/std/random.ts";
import type { Remote } from "../../src/std/rpc.ts";
import { createTelemetry } from "../../src/telemetry/create.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

const root = join(import.meta.dir, "..", "..");
const data = join(resolve(root, process.env["ROUTEIQ_TEST_DATA"] ?? "../shared/data"), "routing");
setDefaultTimeout(300_000);

const artifact = "ab".repeat(32);
const router = {
  identity: { name: "router", version: 1, sha256: artifact },
  labels: ["a", "b"],
} as unknown as TrainedRouter;
const x = Float32Array.from({ length: 30 }, (_, i) => (i === 0 ? 0.5 : 0.1));
const lessonOf = (label: number) => ({ artifact, label, inputs: toInputs(x), predicted: 0.5 });
const scores = { x, quality: Float32Array.of(0.5, 0.5), uncertainty: new Float32Array(2) };

let dataDir: string;
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), "routeiq-online-"));
});
afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

function start(service: OnlineService = createOnlineThread(() => undefined)) {
  const clock = createVirtualClock();
  const telemetry = createTelemetry({ clock, log: { format: "json", write: () => undefined } });
  const call = (method: keyof OnlineService, params: never) =>
    (service[method] as (of: never) => Promise<unknown>)(structuredClone(params));
  const remote = { call } as unknown as Remote<OnlineService>;
  const learner = createOnlineLearner({ remote, dataDir, process: 1, clock, telemetry });
  const state = async () => {
    learner.stateFor(router);
    await learner.flush();
    const found = learner.stateFor(router);
    if (found) return found;
    throw new Error("there is no state");
  };
  return { clock, telemetry, learner, state };
}

describe("the learner", () => {
  test("knows nothing at first; scores teach, in a batch; a failure teaches at once", async () => {
    const { learner, state, telemetry } = start();
    const first = await state();
    expect([...first.mean].every((value) => value === 0)).toBe(true);
    for (let i = 0; i < 40; i++) {
      learner.ended(`a${i}`, lessonOf(0), true);
      learner.teach(`a${i}`, 1);
      learner.teach(`a${i}`, 0); // the second word on a call is not heard
      learner.ended(`b${i}`, lessonOf(1), false);
    }
    learner.teach("nobody", 1);
    await learner.flush();
    const learnt = await state();
    expect(learnt.id).toBeGreaterThan(first.id);
    const { quality } = correct(scores as unknown as QueryScores, toInputs(x), learnt);
    expect(quality[0]).toBeGreaterThan(0.6);
    expect(quality[1]).toBeLessThan(0.4);
    expect(telemetry.prometheus()).toContain("routeiq_online_outcomes_total 80");
  });

  test("sends what waits after a while by itself", async () => {
    const { learner, state, clock } = start();
    const first = await state();
    learner.ended("a", lessonOf(0), false);
    await clock.advance(15_000);
    await learner.flush();
    expect((await state()).id).toBeGreaterThan(first.id);
  });

  test("remembers over a restart, bit for bit; keeps states to execute receipts again", async () => {
    const one = start();
    await one.state();
    for (let i = 0; i < 64; i++) one.learner.ended(`b${i}`, lessonOf(1), false);
    await one.learner.flush();
    const before = await one.state();
    const two = start();
    const after = await two.state();
    expect(after.mean).toEqual(before.mean);
    expect(after.covariance).toEqual(before.covariance);
    expect(after.id).toBeGreaterThan(before.id);
    expect(await readState(dataDir, before)).toEqual(before);
    expect(await readState(dataDir, { artifact, id: 1 })).toBeUndefined();
    for (let i = 0; i < keptStates + 5; i++) {
      two.learner.ended(`c${i}`, lessonOf(0), false);
      await two.learner.flush();
    }
    const folder = join(dataDir, "online", artifact.slice(0, 16), "states");
    expect(readdirSync(folder).length).toBe(keptStates);
  });

  test("learns on without a disk, and says so; a thread that fails loses a batch, counted", async () => {
    const told: string[] = [];
    dataDir = "/proc/nowhere";
    const { state } = start(
      createOnlineThread((level, message) => told.push(`${level} ${message}`)),
    );
    expect((await state()).id).toBeGreaterThan(0);
    expect(told[0]).toContain("could not be kept");
    const service = createOnlineThread(() => undefined);
    const broken = start({ ...service, learn: () => Promise.reject(new Error("down")) });
    await broken.state();
    broken.learner.ended("a", lessonOf(0), false);
    await broken.learner.flush();
    expect(broken.telemetry.prometheus()).toContain("routeiq_online_dropped_total 1");
  });

  test("what was spent is kept, and nonsense is not believed", async () => {
    const spend = { hour: 1, hourUsd: 0.5, day: 2, dayUsd: 0.75 };
    await writeSpend(dataDir, 1, spend);
    expect(await readSpend(dataDir, 1)).toEqual(spend);
    expect(await readSpend(dataDir, 2)).toBeUndefined();
    await Bun.write(join(dataDir, "online", "spend-1.json"), '{"hour": "x"}');
    expect(await readSpend(dataDir, 1)).toBeUndefined();
  });
});

/**
 * reference: LinUCB and Thompson while learning, 5,000 requests over the models worth trying, after a
 * budget of queries replayed on all of them; utility = score − 100·USD.
 */
const perUsd = 100;
const shadow = 400;
const here = existsSync(join(data, "mmlu-pro"));

describe.skipIf(!here)("mmlu-pro, replayed (skipped without ../shared/data)", async () => {
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  const path = join(data, "mmlu-pro", "train.jsonl.gz");
  const read = async (take: (row: number) => boolean) => {
    const rows = async function* () {
      let at = 0;
      for await (const row of readRows(path)) if (take(at++)) yield row;
    };
    return readTable([{ rows: rows(), prices: await readPrices(path) }], extractor, "common");
  };
  const prepare = async () => {
    const all = await read(() => true);
    const order = shuffle([...Array(all.n).keys()], createRandom(11));
    const replayed = new Set(order.slice(0, shadow));
    const few = await read((row) => replayed.has(row));
    const trained = await trainRouter(few, {
      strategy: "llmrouter-linear",
      seed: 1,
      embedder,
      kernels: createKernels,
    });
    const identity = { name: "router", version: 0, sha256: "" };
    const loaded = await loadRouter(trained.files, { identity, embedder, kernels: createKernels });
    const m = all.labels.length;
    const utilityOf = (row: number, j: number) =>
      (all.quality[row * m + j] as number) - perUsd * (all.costUsd[row * m + j] as number);
    const live = order.slice(shadow);
    const scored: QueryScores[] = [];
    for (const features of all.features) {
      const of = await loaded.scoreFeatures(features);
      scored.push({
        ...of,
        x: of.x?.slice() ?? new Float32Array(),
        quality: of.quality.slice(),
        uncertainty: of.uncertainty.slice(),
        costUsd: of.costUsd.slice(),
        outputTokens: of.outputTokens.slice(),
        latencyMs: of.latencyMs.slice(),
      });
    }
    const singles = all.labels.map((_, j) => ({
      j,
      quality: mean(few.quality, j, m),
      cost: mean(few.costUsd, j, m),
    }));
    const arms = singles
      .filter((a) => !singles.some((b) => b.quality > a.quality && b.cost < a.cost))
      .sort((a, b) => b.quality - perUsd * b.cost - (a.quality - perUsd * a.cost))
      .slice(0, 5)
      .map(({ j }) => ({ model: all.labels[j] as string, group: "g", label: j, j }));
    const bestSingle = Math.max(
      ...all.labels.map((_, j) => live.reduce((sum, row) => sum + utilityOf(row, j), 0)),
    );
    return { all, loaded, live, scored, arms, utilityOf, bestSingle: bestSingle / live.length, m };
  };
  const prepared = here ? await prepare() : undefined;

  test.each(["thompson", "linucb"] as const)(
    "%s earns the best model's worth while learning",
    (mode) => {
      if (!prepared) return;
      const { all, loaded, live, scored, arms, utilityOf, bestSingle, m } = prepared;
      const means = [1, 2].map((seed) => {
        const random = createRandom(seed);
        const budget = createExplorationBudget(createVirtualClock());
        const explorer = createExplorer(
          { mode, rate: 0.02, width: 0.5, arms: 5 },
          { random, budget },
        );
        const regression = createOnlineRegression(m);
        let posterior = regression.posterior();
        let sum = 0;
        shuffle([...live], createRandom(seed + 50)).forEach((row, count) => {
          const raw = scored[row] as QueryScores;
          const inputs = toInputs(raw.x as Float32Array);
          const decided = decide({
            router: loaded,
            scores: correct(raw, inputs, posterior),
            candidates: arms,
            inputTokens: 0,
            dial: { tradeoff: 1 },
            setting: { lambda: perUsd * loaded.costRefUsd, muPerMs: 0 },
          });
          const drawn = explorer.draw(decided.candidates);
          const chosen = decided.candidates[drawn?.chosen ?? 0]?.model ?? "";
          const j = all.labels.indexOf(chosen);
          sum += utilityOf(row, j);
          const residual = (all.quality[row * m + j] as number) - (raw.quality[j] as number);
          regression.learn(j, inputs, residual);
          if (count % 20 === 0) posterior = regression.posterior();
        });
        return sum / live.length;
      });
      const mean = means.reduce((sum, each) => sum + each / means.length, 0);
      expect(mean).toBeGreaterThan(bestSingle - 0.005);
    },
  );
});

function mean(values: Float32Array | Float64Array, j: number, m: number): number {
  let sum = 0;
  for (let at = j; at < values.length; at += m) sum += values[at] as number;
  return sum / (values.length / m);
}

test("inputs are as many as the kernels of the state expect", () => {
  expect(toInputs(x).length).toBe(onlineInputs);
});
