/**
 * Receipts execute again, whatever decided: every strategy of the registry, with floors, latency,
 * conversations, draws of each kind and online learning; through the bytes and the JSON of the log.
 */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { replay } from "../../src/cli/replay.ts";
import type { ExplorationMode } from "../../src/domain/decision.ts";
import type { CallEvent } from "../../src/domain/event.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createOnlineRegression } from "../../src/learning/online/online-regression.ts";
import { createTableBuilder } from "../../src/learning/table.ts";
import { trainRouter } from "../../src/learning/train.ts";
import { simpleShuffle } from "../../src/routing/balancers/simple-shuffle.ts";
import { createExplorationBudget } from "../../src/routing/exploration-budget.ts";
import { createExplorer } from "../../src/routing/explore.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { type OnlineState, onlineInputs } from "../../src/routing/online.ts";
import { createPool } from "../../src/routing/pool.ts";
import type { Ranking, RankRequest } from "../../src/routing/ranking.ts";
import { createRouter } from "../../src/routing/router.ts";
import { createSessions } from "../../src/routing/sessions.ts";
import { createSlot } from "../../src/routing/slot.ts";
import { strategies } from "../../src/routing/strategies/registry.ts";
import type { TrainedRouter } from "../../src/routing/trained-router.ts";
import { createRandom, nextNormal } from "../../src/std/random.ts";
import { parseEventJson, toEvent, toEventText } from "../../src/storage/event-json.ts";
import { toPage } from "../../src/storage/event-layout.ts";
import { readRecord } from "../../src/storage/read-record.ts";
import { roomFor, writeRecord } from "../../src/storage/write-record.ts";
import { deployment } from "../support/deployments.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

setDefaultTimeout(120_000);

const models = ["openai/large", "openai/middle", "small"];
const topics = ["sum the numbers", "write a poem", "fix this code", "translate to French"];
const embedder = createStaticEmbedder();
const extractor = createFeatureExtractor(embedder);
afterAll(() => embedder.close());

const prices = new Map(
  models.map((model, j) => [model, { input: 9 / 3 ** j, output: 9 / 3 ** j, sizeB: 90 / 3 ** j }]),
);

/** A fresh one each time, as another process would load it. */
async function train(strategy: string): Promise<() => Promise<TrainedRouter>> {
  const builder = createTableBuilder();
  const random = createRandom(5);
  for (let row = 0; row < 96; row++) {
    const text = `${topics[row % 4]}, please: item ${row} of ${row * 7}`;
    const outcomes = models.map((model, j) => {
      const score = Math.min(1, (row % 4 === j ? 0.7 : 0.5 - 0.05 * j) + 0.3 * random.next());
      return [
        model,
        { score, costUsd: 0.004 / 2 ** j, outputTokens: 50 + 10 * j, latencyMs: 900 - 200 * j },
      ] as const;
    });
    builder.add({
      id: String(row),
      features: await extractor.extract({ text, tools: [] }),
      outcomes: new Map(outcomes) as never,
      weight: 1,
      groupKeys: [text],
      verification: new Map([["small", random.next()]]), // as llmrouter-automix learns from
    });
  }
  const { files } = await trainRouter(builder.finish(prices, "all"), {
    strategy,
    seed: 1,
    embedder,
    kernels: createKernels,
  });
  const identity = { name: "router", version: 1, sha256: "cd".repeat(32) };
  return () => loadRouter(files, { identity, embedder, kernels: createKernels });
}

/** A stranger beside the artifact's models, and one that sees no tools. */
const price = (usd: number) => ({
  inputUsdPerToken: usd,
  outputUsdPerToken: usd,
  cacheReadUsdPerToken: usd / 10,
});
const deployments = [
  ...models.map((candidate, j) =>
    deployment(`d${j}`, { candidate, facts: { price: price(1e-5 / 3 ** j) } }),
  ),
  deployment("d3", { candidate: "openai/stranger", facts: { price: price(2e-6) } }),
  deployment("d4", { candidate: "openai/blind", facts: { capabilities: { tools: false } } }),
];
const resolution = { kind: "group", group: "g", deployments } as const;

function stateOf(router: TrainedRouter): OnlineState {
  const random = createRandom(8);
  const regression = createOnlineRegression(router.labels.length);
  for (let i = 0; i < 60; i++) {
    const inputs = Float32Array.from({ length: onlineInputs }, () => nextNormal(random) / 5);
    regression.learn(i % router.labels.length, inputs, random.next() - 0.4);
  }
  return { id: 65, artifact: router.identity.sha256, ...regression.posterior() };
}

interface Setup {
  readonly mode?: ExplorationMode;
  readonly online?: OnlineState;
  readonly latencyWeight?: number;
}

/** Thirty calls: bare ones, of a floor, of a dial, with tools, and a conversation of several turns. */
async function serve(router: TrainedRouter, { mode, online, latencyWeight }: Setup) {
  const clock = createVirtualClock();
  const slot = createSlot({ status: "missing" });
  slot.swap(router, { status: "active", name: "router", version: 1 });
  const budget = createExplorationBudget(clock);
  budget.limit({ perHourUsd: 0.02 }); // it runs out on the way
  const random = createRandom(3);
  const made = createRouter({
    options: {
      learned: router.strategy,
      staticBalancer: simpleShuffle,
      balancer: simpleShuffle,
      dial: { tradeoff: 0.5, ...(latencyWeight === undefined ? {} : { latencyWeight }) },
      labelMapping: {},
      latencyBuffer: 0,
      strictFilters: false,
      decisionTimeoutMs: 1000,
      prior: "never",
    },
    slot,
    pool: createPool(clock, createRandom(1)),
    sessions: createSessions(),
    clock,
    ...(mode
      ? { explorer: createExplorer({ mode, rate: 0.3, width: 3, arms: 4 }, { random, budget }) }
      : {}),
    ...(online ? { online: { stateFor: () => online, ended: () => undefined } } : {}),
    onRouterFailure: (error) => {
      throw error;
    },
  });
  const events: CallEvent[] = [];
  for (let call = 0; call < 30; call++) {
    const content = `${topics[call % 4]}, please: item ${call} of ${call * 7}`;
    const dials = [undefined, { floor: { share: 0.9, model: "large" } }, { tradeoff: 0.4 }];
    const dial = dials[call % 3];
    const body = {
      messages: [{ role: "user", content }],
      ...(call % 5 === 4 ? { tools: [{ type: "function", function: { name: "f" } }] } : {}),
    };
    const request: RankRequest = {
      resolution,
      body,
      stream: false,
      chat: true,
      ...(dial ? { dial } : {}),
      ...(call % 2 === 1 ? { session: { key: `s${call % 4}`, explicit: true } } : {}),
    };
    const ranking = (await made.rank(request)) as Ranking;
    // Whoever answered in the end: a fallback, say.
    made.remember(request, models[call % 3] as string, { inputTokens: 4000 });
    events.push(toCallEvent(ranking, call));
  }
  return events;
}

function toCallEvent({ decision, features, inputTokens }: Ranking, call: number): CallEvent {
  return {
    receipt: {
      callId: `call-${call}`,
      requestId: `call-${call}`,
      atMs: 1,
      caller: "anonymous",
      requestedModel: "g",
      operation: "chat",
      stream: false,
      decision,
      attempts: [],
      outcome: "success",
      timings: { decisionUs: 1, overheadUs: 1, totalMs: 1 },
      feedback: [],
    },
    tenant: "t",
    inputTokens,
    ...(features ? { features } : {}),
  };
}

/** As the log keeps it: packed on the serving thread, JSON on disk. */
function stored(event: CallEvent): CallEvent {
  const names: (string | undefined)[] = [undefined];
  const numberOf = (text: string | undefined) => {
    if (text === undefined) return 0;
    if (!names.includes(text)) names.push(text);
    return names.indexOf(text);
  };
  const page = toPage(new ArrayBuffer((roomFor(event) + 7) & ~7));
  writeRecord(page, 0, event, numberOf);
  const read = readRecord(page, 0, names);
  const { features } = read;
  const json = toEvent(parseEventJson(toEventText(read)));
  return features ? { ...json, features } : json;
}

describe.each(strategies.map(({ name }) => name))("%s", (strategy) => {
  test("decides again what it decided, bit for bit", async () => {
    const open = await train(strategy);
    const serving = await open();
    const elsewhere = await open();
    const online = stateOf(serving);
    const setups: readonly Setup[] = [
      {},
      { latencyWeight: 0.3 },
      { mode: "epsilon" },
      { mode: "thompson", online },
      { mode: "linucb", online, latencyWeight: 0.1 },
    ];
    const reasons = new Set<string>();
    for (const setup of setups) {
      for (const event of await serve(serving, setup)) {
        const { decision } = event.receipt;
        reasons.add(decision?.reason ?? "");
        const again = await replay(stored(event), {
          router: elsewhere,
          findState: async (id) => (id === online.id ? online : undefined),
        });
        expect(again).toMatchObject({ largestDifference: 0, same: true, exact: true });
        expect([again.chosen, again.compared]).toEqual([decision?.chosen, models.length]);
        const sum = decision?.candidates.reduce((all, { probability }) => all + probability, 0);
        expect(sum).toBeCloseTo(1, 12);
      }
    }
    // A fixed model is no matter of draws, nor of what a conversation would lose.
    const expected = serving.constant ? [] : ["explored", "sticky"];
    for (const reason of expected) expect([...reasons]).toContain(reason);
    expect(reasons.has("explored")).toBe(!serving.constant);
    serving.close();
    elsewhere.close();
  });
});

test("a state of online learning that is kept no more is told", async () => {
  const router = await (await train("llmrouter-linear"))();
  const [event] = await serve(router, { mode: "thompson", online: stateOf(router) });
  const again = replay(event as CallEvent, { router, findState: async () => undefined });
  expect(again).rejects.toThrow(/State 65 of online learning/);
});
