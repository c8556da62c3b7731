/** The decision around a trained router: labels, filters, conversations, and what happens without one. */
import { describe, expect, test } from "bun:test";
import { deployment } from "../../test/support/deployments.ts";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import { hashUser } from "../security/hashing.ts";
import { createRandom } from "../std/random.ts";
import { simpleShuffle } from "./balancers/simple-shuffle.ts";
import { createExplorationBudget } from "./exploration-budget.ts";
import { createExplorer, type Explorer } from "./explore.ts";
import { createPool } from "./pool.ts";
import type { Ranking, RankRequest, RouterOptions } from "./ranking.ts";
import { createRouter } from "./router.ts";
import { createSessions } from "./sessions.ts";
import { createSlot } from "./slot.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

const price = (usd: number) => ({ inputUsdPerToken: usd, outputUsdPerToken: usd });
const rows: Deployment[] = [
  deployment("cheap", { candidate: "openai/cheap", facts: { price: price(1e-6) } }),
  deployment("strong", { candidate: "openai/strong", facts: { price: price(1e-5) } }),
  deployment("mapped", { candidate: "openai/mapped", facts: { price: price(1e-4) } }),
];

type Scoring = (labels: readonly string[]) => QueryScores | Promise<QueryScores>;

function scores(quality: readonly number[]): QueryScores {
  const n = quality.length;
  return {
    features: {
      embedderId: "e",
      embedding: new Float32Array(2),
      lexicalBuckets: new Uint16Array(),
      lexicalCounts: new Uint8Array(),
      shape: new Float32Array(),
    },
    quality: Float32Array.from(quality),
    uncertainty: new Float32Array(n),
    costUsd: new Float32Array(n).fill(Number.NaN),
    outputTokens: new Float32Array(n).fill(100),
    latencyMs: new Float32Array(n).fill(Number.NaN),
    novelty: 0.1,
    abstain: false,
  };
}

function trained(labels: readonly string[], score: Scoring): TrainedRouter {
  return {
    identity: { name: "r", version: 3, sha256: "0" },
    strategy: "llmrouter-knn",
    embedderId: "e",
    labels,
    labelQuality: new Float32Array(labels.length).fill(0.5),
    labelCostUsd: new Float32Array(labels.length).fill(0.001),
    costRefUsd: 0.001,
    dial: [],
    sync: true,
    score: () => score(labels),
    scoreFeatures: () => score(labels),
    close: () => undefined,
  };
}

function create(
  router: TrainedRouter | undefined,
  more: Partial<RouterOptions> = {},
  explorer?: Explorer,
) {
  const clock = createVirtualClock();
  const slot = createSlot({ status: "missing" });
  if (router) slot.swap(router, { status: "active", name: "r", version: 3 });
  const pool = createPool(clock, createRandom(5));
  const failures: unknown[] = [];
  const made = createRouter({
    options: {
      learned: "llmrouter-knn",
      staticBalancer: simpleShuffle,
      balancer: simpleShuffle,
      dial: { tradeoff: 1 },
      labelMapping: { theirs: "openai/mapped" },
      latencyBuffer: 0,
      strictFilters: false,
      decisionTimeoutMs: 100,
      prior: "never",
      ...more,
    },
    slot,
    pool,
    sessions: createSessions(),
    clock,
    explorer,
    onRouterFailure: (error) => failures.push(error),
  });
  const rank = (body: JsonObject = {}, request: Partial<RankRequest> = {}) =>
    made.rank({
      resolution: { kind: "group", group: "group", deployments: rows },
      body: { messages: [{ role: "user", content: "hi" }], ...body },
      stream: false,
      chat: true,
      ...request,
    });
  return { clock, pool, failures, rank, remember: made.remember };
}

const byLabels =
  (quality: Record<string, number>): Scoring =>
  (labels) =>
    scores(labels.map((label) => quality[label] ?? 0));

describe("a personal router is told who asks", () => {
  const caller = { id: "k1", tenant: "t1", admin: false };
  test.each([
    ["the end user whom the call names", { caller, user: "ann" }, hashUser("t1", "ann")],
    ["else the key", { caller }, hashUser("t1", "key k1")],
    ["nobody", { caller: { ...caller, id: "anonymous" } }, undefined],
  ])("%s", async (_, request, wanted) => {
    const told: (string | undefined)[] = [];
    const router = trained(["openai/cheap"], byLabels({ "openai/cheap": 0.5 }));
    const { rank } = create({
      ...router,
      personal: true,
      score: (query, user) => {
        told.push(user);
        return router.score(query);
      },
    });
    await rank({}, request);
    expect(told).toEqual([wanted]);
  });
});

describe("with a trained router", () => {
  test("labels match by name, without the prefix, by label_mapping; the rest have a prior", () => {
    const labels = ["openai/cheap", "strong", "theirs"];
    const it = create(trained(labels, byLabels({ "openai/cheap": 0.2, strong: 0.4, theirs: 0.9 })));
    const { decision, first, options } = it.rank() as Ranking;
    expect(first.id).toBe("mapped");
    expect(decision).toMatchObject({
      strategy: "llmrouter-knn",
      artifact: "r@3",
      chosen: "openai/mapped",
    });
    expect(options.map((option) => option.deployments[0]?.id)).toEqual([
      "mapped",
      "strong",
      "cheap",
    ]);
    expect(decision.candidates.reduce((sum, { probability }) => sum + probability, 0)).toBe(1);
    const few = create(trained(["strong"], byLabels({ strong: 0.9 })));
    const ranked = (few.rank() as Ranking).decision.candidates;
    expect(
      ranked
        .filter(({ prior }) => prior)
        .map(({ model }) => model)
        .sort(),
    ).toEqual(["openai/cheap", "openai/mapped"]);
  });

  test("who cannot serve is left out, with a reason", () => {
    const limited = [
      { ...(rows[0] as Deployment), facts: { capabilities: { tools: false } } },
      { ...(rows[1] as Deployment), facts: { maxInputTokens: 10 } },
      rows[2] as Deployment,
    ];
    const labels = ["cheap", "strong", "mapped"];
    const it = create(trained(labels, byLabels({ cheap: 0.9, strong: 0.9, mapped: 0.1 })));
    const body = {
      tools: [{ type: "function" }],
      messages: [{ role: "user", content: "x".repeat(99) }],
    };
    const { decision } = it.rank(body, {
      resolution: { kind: "group", group: "group", deployments: limited },
    }) as Ranking;
    expect(decision.chosen).toBe("openai/mapped");
    const reasons = Object.fromEntries(decision.candidates.map((one) => [one.model, one.filtered]));
    expect(reasons).toMatchObject({
      "openai/cheap": "missing_tools",
      "openai/strong": "context_window",
    });
  });

  test("facts that would leave nobody are set aside, unless filters are strict", () => {
    const blind = rows.map((row) => ({ ...row, facts: { capabilities: { vision: false } } }));
    const body = { messages: [{ role: "user", content: [{ type: "image_url" }] }] };
    const request = { resolution: { kind: "group", group: "group", deployments: blind } } as const;
    const router = trained(["cheap"], byLabels({ cheap: 1 }));
    expect((create(router).rank(body, request) as Ranking).first).toBeDefined();
    const strict = create(router, { strictFilters: true });
    expect(() => strict.rank(body, request)).toThrow(/can serve this request/);
  });
});

describe("a conversation", () => {
  const session = { key: "s", explicit: true };
  const labels = ["cheap", "strong", "mapped"];
  const at = (cheap: number, strong: number) => byLabels({ cheap, strong, mapped: 0 });

  test("keeps its model over a small gain, and leaves it for a large one", () => {
    let scoring = at(0.5, 0.51);
    const it = create(trained(labels, (given) => scoring(given)));
    it.remember(
      {
        resolution: { kind: "group", group: "group", deployments: rows },
        body: {},
        stream: false,
        chat: true,
        session,
      },
      "openai/cheap",
      { inputTokens: 1000 },
    );
    const kept = it.rank({}, { session }) as Ranking;
    expect(kept.decision).toMatchObject({ reason: "sticky", chosen: "openai/cheap" });
    expect(kept.decision.candidates[0]).toMatchObject({ model: "openai/cheap", probability: 1 });
    scoring = at(0.5, 0.9);
    expect((it.rank({}, { session }) as Ranking).decision.chosen).toBe("openai/strong");
  });

  test("without a name sticks from its second turn on", () => {
    const hashed = { key: "h", explicit: false };
    const it = create(trained(labels, at(0.5, 0.51)));
    const resolution = { kind: "group", group: "group", deployments: rows } as const;
    it.remember(
      { resolution, body: {}, stream: false, chat: true, session: hashed },
      "openai/cheap",
      { inputTokens: 10 },
    );
    expect((it.rank({}, { session: hashed }) as Ranking).decision.chosen).toBe("openai/strong");
    const messages = [
      { role: "user", content: "hi" },
      { role: "assistant", content: "yes" },
      { role: "user", content: "go on" },
    ];
    expect((it.rank({ messages }, { session: hashed }) as Ranking).decision.chosen).toBe(
      "openai/cheap",
    );
  });
});

describe("exploration", () => {
  const session = { key: "s", explicit: true };
  const dear = { cheap: 0.7, strong: 0.75, mapped: 0.8 };
  const explore = (
    more: { readonly rate?: number; readonly router?: Partial<TrainedRouter> } = {},
  ) => {
    const budget = createExplorationBudget(createVirtualClock());
    const options = { mode: "epsilon", rate: more.rate ?? 1, width: 3, arms: 5 } as const;
    const explorer = createExplorer(options, { random: createRandom(9), budget });
    const router = { ...trained(Object.keys(dear), byLabels(dear)), ...more.router };
    return { budget, ...create(router, {}, explorer) };
  };

  test("draws, and logs every candidate's probability and what it takes to draw again", () => {
    const { rank } = explore();
    const seen = new Map<string, number>();
    for (let i = 0; i < 300; i++) {
      const { decision, first } = rank() as Ranking;
      seen.set(first.candidate, (seen.get(first.candidate) ?? 0) + 1);
      expect(decision.candidates.map(({ probability }) => probability)).toEqual([
        1 / 3,
        1 / 3,
        1 / 3,
      ]);
      expect(decision.chosen).toBe(first.candidate);
      expect(decision.candidates[0]?.model).toBe(first.candidate);
      expect(decision.exploration).toMatchObject({
        mode: "epsilon",
        greedy: "openai/mapped",
        rate: 1,
      });
      expect(decision.reason).toBe(first.candidate === "openai/mapped" ? "utility" : "explored");
    }
    for (const count of seen.values()) expect(count).toBeGreaterThan(70);
    expect(seen.size).toBe(3);
  });

  test("is no matter of a conversation under way, of a floor, or of a fixed model", () => {
    const { rank, remember } = explore();
    const resolution = { kind: "group", group: "group", deployments: rows } as const;
    const request: RankRequest = { resolution, body: {}, stream: false, chat: true, session };
    remember(request, "openai/cheap", { inputTokens: 10 });
    const stay = (rank({}, { session }) as Ranking).decision;
    expect([stay.exploration, stay.stay]).toEqual([
      undefined,
      { model: "openai/cheap", lostUsd: 0 },
    ]);
    const floor = { share: 0.5, model: "strong" };
    expect((rank({}, { dial: { floor } }) as Ranking).decision.exploration).toBeUndefined();
    const fixed = explore({
      router: { dial: [{ lambda: 0, meanQuality: 1, meanCostUsd: 1, fixed: 0 }] },
    });
    expect((fixed.rank() as Ranking).decision).toMatchObject({
      reason: "fixed",
      chosen: "openai/cheap",
    });
  });

  test("that comes to a model none of whose deployments can be had is none", () => {
    const { rank, pool, budget } = explore();
    const full = rows.map((row) => ({ ...row, maxParallelRequests: row.id === "cheap" ? 9 : 1 }));
    const held = full.slice(1).map((row) => pool.open(row));
    const resolution = { kind: "group", group: "group", deployments: full } as const;
    const reasons = new Set<string>();
    for (let i = 0; i < 30; i++) {
      const { decision } = rank({}, { resolution }) as Ranking;
      expect(decision.chosen).toBe("openai/cheap");
      reasons.add(decision.reason);
      if (decision.reason !== "fallback") continue;
      expect(decision.exploration).toBeUndefined();
      expect(decision.candidates.map(({ probability }) => probability)).toEqual([1, 0, 0]);
    }
    expect([...reasons].sort()).toEqual(["explored", "fallback"]);
    expect(budget.spent().hourUsd).toBe(0);
    expect(held.length).toBe(2);
  });
});

describe("without an answer from a router", () => {
  const fallback = { strategy: "simple-shuffle", artifact: "none", reason: "fallback" };

  test("none in force, one that throws, one that is too slow: static, and said so", async () => {
    expect((create(undefined).rank() as Ranking).decision).toMatchObject(fallback);
    const broken = create(
      trained(["cheap"], () => {
        throw new Error("broken");
      }),
    );
    expect((broken.rank() as Ranking).decision).toMatchObject(fallback);
    expect(broken.failures.length).toBe(1);
    const slow = create(trained(["cheap"], () => new Promise(() => undefined)));
    const ranking = slow.rank();
    await slow.clock.advance(100);
    expect((await ranking).decision).toMatchObject(fallback);
    expect(slow.failures.length).toBe(1);
  });

  test("the static pick logs its probabilities", () => {
    const weighted = [
      { ...(rows[0] as Deployment), weight: 3 },
      { ...(rows[1] as Deployment), weight: 1 },
    ];
    const { decision } = create(undefined, { learned: undefined } as never).rank(
      {},
      { resolution: { kind: "group", group: "group", deployments: weighted } },
    ) as Ranking;
    const told = Object.fromEntries(decision.candidates.map((one) => [one.model, one.probability]));
    expect(told).toEqual({ "openai/cheap": 0.75, "openai/strong": 0.25 });
    expect(decision.reason).toBe("static");
  });
});
