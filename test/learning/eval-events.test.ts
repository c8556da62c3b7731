/** `eval --events`: a router that was really trained, on logs of calls whose every outcome we know. */
import { beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import type { CallEvent } from "../../src/domain/event.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import type { DataRow } from "../../src/learning/dataset.ts";
import { evaluateLog } from "../../src/learning/off-policy/evaluate-log.ts";
import { propensityOf, readLoggedCalls } from "../../src/learning/off-policy/logged-calls.ts";
import { toLogReport } from "../../src/learning/off-policy/report.ts";
import { readTable } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import type { TrainedRouter } from "../../src/routing/trained-router.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";
import { callEvent } from "../support/events.ts";
import { makeRows, prices, stream } from "../support/routing-data.ts";

setDefaultTimeout(60_000);
const embedder = createStaticEmbedder();
const extractor = createFeatureExtractor(embedder);
const models = ["big-model", "maths-model", "small-model"];

let router: TrainedRouter;
beforeAll(async () => {
  const table = await readTable([{ rows: stream(makeRows(500, 1)), prices }], extractor, "all");
  const options = { strategy: "llmrouter-linear", seed: 1, embedder, kernels: createKernels };
  const identity = { name: "router", version: 0, sha256: "" };
  const { files } = await trainRouter(table, options);
  router = await loadRouter(files, { identity, embedder, kernels: createKernels });
});

interface LogPlan {
  readonly exploration: number;
  readonly incumbent: string;
  readonly tradeoff?: number;
}

/** A call as the gateway logs it: the drawn model's grade is its feedback. */
async function toEvent(row: DataRow, at: number, plan: LogPlan): Promise<CallEvent> {
  const { exploration, incumbent, tradeoff = 0.5 } = plan;
  const random = createRandom(at + 1);
  const chosen = random.next() < exploration ? (models[nextInt(random, 3)] ?? "") : incumbent;
  const outcome = row.outcomes.get(chosen);
  const base = callEvent(at);
  const candidates = models.map((model) => ({
    model,
    group: "auto",
    probability: exploration / 3 + (model === incumbent ? 1 - exploration : 0),
  }));
  return {
    tenant: "default",
    sessionHash: `session-${at}`,
    inputTokens: 10,
    features: await extractor.extract({ text: row.query, tools: [] }),
    receipt: {
      ...base.receipt,
      outcome: "success",
      decision: {
        strategy: "llmrouter-linear",
        artifact: "router@1",
        reason: chosen === incumbent ? "utility" : "explored",
        candidates,
        chosen,
        dial: { tradeoff },
        decisionUs: 10,
      },
      costMicroUsd: Math.round((outcome?.costUsd ?? 0) * 1e6),
      feedback: [
        { callId: base.receipt.callId, score: outcome?.score ?? 0, source: "user", atMs: 1 },
      ],
    },
  };
}

async function* logOf(rows: readonly DataRow[], plan: LogPlan): AsyncGenerator<CallEvent> {
  for (const [at, row] of rows.entries()) yield toEvent(row, at, plan);
}

const estimate = async (rows: readonly DataRow[], plan: LogPlan) =>
  evaluateLog(
    router,
    await readLoggedCalls({ events: logOf(rows, plan), embedderId: embedder.id }),
    {
      seed: 1,
      embedder,
      kernels: createKernels,
      bootstrap: 200,
    },
  );

describe("with half of the calls explored", () => {
  const rows = makeRows(1500, 9);

  test("the router is better than a weak incumbent, and the log says so", async () => {
    const found = await estimate(rows, { exploration: 0.5, incumbent: "small-model", tradeoff: 1 });
    expect(found.counts).toMatchObject({
      used: 1500,
      deterministic: 0,
      labels: { feedback: 1500 },
    });
    expect(found.overlap.effectiveSamples).toBeGreaterThan(200);
    expect(Math.abs(found.overlap.meanWeight - 1)).toBeLessThan(0.15);
    // At full quality the router sends all but what it may save: .9 on either kind of query.
    const { low, high } = found.quality.policy.doublyRobustClipped;
    expect(low).toBeLessThan(0.9);
    expect(high).toBeGreaterThan(0.85);
    expect(found.quality.rival.doublyRobustClipped.value).toBeCloseTo(0.5, 1);
    expect(found.verdict.verdict).toBe("better");
    const page = toLogReport([{ events: "<log>", evaluation: found }], "1.0.0");
    expect(page).toContain("&#60;log&#62;");
    expect(page).toContain("Effective sample");
  });

  test("a few calls give no verdict", async () => {
    const few = rows.slice(0, 150);
    const found = await estimate(few, { exploration: 0.5, incumbent: "small-model", tradeoff: 1 });
    expect(found.verdict.verdict).toBe("refused");
    expect(found.verdict.reason).toContain("effective sample");
  });
});

describe("choices that were certain", () => {
  test("are counted, marked and never taken for exploration", async () => {
    const plan = { exploration: 0, incumbent: "small-model" };
    const events = logOf(makeRows(300, 5), plan);
    const { calls, counts } = await readLoggedCalls({ events, embedderId: embedder.id });
    expect(calls).toEqual([]);
    expect(counts).toMatchObject({ seen: 300, used: 0, deterministic: 300 });
  });

  const decision = (probabilities: readonly number[], chosen = "a") => ({
    receipt: {
      decision: {
        chosen,
        candidates: probabilities.map((probability, i) => ({
          model: "abc"[i] ?? "",
          group: "g",
          probability,
        })),
      },
    },
  });
  const cases = [
    ["one candidate", [1], undefined],
    ["a sticky conversation", [1, 0, 0], undefined],
    ["a share of 1 but for rounding", [1 - 1e-12, 0], undefined],
    ["a draw", [0.7, 0.2, 0.1], 0.7],
    ["what had no chance and answered all the same", [0, 1], undefined],
  ] as const;
  test.each(cases)("%s", (_name, probabilities, expected) => {
    expect(propensityOf(decision(probabilities).receipt as never)).toBe(expected as never);
  });
});
