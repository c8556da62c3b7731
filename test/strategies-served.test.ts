/** Strategies that need more of a call than its text, through a whole gateway: who asks, what it costs. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { replay } from "../src/cli/replay.ts";
import { openFolder } from "../src/cli/replay-artifact.ts";
import type { Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { createFeatureExtractor } from "../src/embedding/features.ts";
import { createStaticEmbedder } from "../src/embedding/static.ts";
import { createKernels } from "../src/kernels/create.ts";
import { writeArtifactFolder } from "../src/learning/artifacts/folder.ts";
import { addEvents } from "../src/learning/events/from-events.ts";
import { createTableBuilder } from "../src/learning/table.ts";
import { trainRouter } from "../src/learning/train.ts";
import { loadRouter } from "../src/routing/load-router.ts";
import { routerPaths } from "../src/routing/router-format.ts";
import { createSelfTest } from "../src/routing/self-test.ts";
import { hashUser } from "../src/security/hashing.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createRandom } from "../src/std/random.ts";
import { readEvents } from "../src/storage/sqlite/read-events.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { openaiReply } from "./support/upstreams.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-strategies-"));
const models = ["openai/terse", "openai/chatty"];
const text = (row: number) => `write a poem, please: item ${row} of ${row * 7}`;
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => Response.json(openaiReply),
});
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});
afterAll(async () => {
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

/** Ann likes the terse model, Bob the chatty one; 40 others are divided. */
beforeAll(async () => {
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  const builder = createTableBuilder();
  const random = createRandom(3);
  for (let row = 0; row < 1200; row++) {
    const user = row % 42;
    const terse = user % 2 === 0 ? 0.9 : 0.3;
    builder.add({
      id: String(row),
      features: await extractor.extract({ text: text(row), tools: [] }),
      outcomes: new Map(
        models.map((model, j) => [
          model,
          {
            score: random.next() < (j === 0 ? terse : 1.2 - terse) ? 1 : 0,
            costUsd: j === 0 ? 1.2e-4 : 6e-4,
            outputTokens: 100,
          },
        ]),
      ),
      weight: 1,
      user: hashUser("default", user === 0 ? "ann" : user === 1 ? "bob" : `other-${user}`),
      groupKeys: [String(row)],
    });
  }
  const parts = { embedder, kernels: createKernels };
  const trained = await trainRouter(builder.finish(new Map(), "all"), {
    ...parts,
    strategy: "llmrouter-gmt",
    seed: 1,
  });
  const identity = { name: "router", version: 0, sha256: "" };
  const router = await loadRouter(trained.files, { identity, ...parts });
  await writeArtifactFolder(join(temp, "gmt"), {
    name: "router",
    files: new Map([...trained.files, ...(await createSelfTest(router))]),
    selfTest: { input: routerPaths.queries, output: routerPaths.scores },
    provenance: { strategy: trained.strategy },
  });
  router.close();
  embedder.close();
}, 60_000);

async function serve(routing_strategy: string, routing_strategy_args: object) {
  const it = await startTestGateway({
    yaml: stringify({
      model_list: models.map((model, at) => ({
        model_name: "best",
        litellm_params: {
          model,
          api_base: `${upstream.url.origin}/v1`,
          api_key: "sk-test",
          input_cost_per_token: at === 0 ? 1e-6 : 5e-6,
          output_cost_per_token: at === 0 ? 1e-6 : 5e-6,
        },
      })),
      router_settings: { routing_strategy, routing_strategy_args },
    }),
    outbound: createOutbound(),
  });
  closers.push(() => it.gateway.close());
  return it;
}

async function ask({ gateway }: TestGateway, more: object = {}) {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "best",
      messages: [{ role: "user", content: text(3) }],
      ...more,
    }),
  });
  await response.arrayBuffer();
  const id = response.headers.get("x-routeiq-call-id") ?? "";
  const found = await fetch(`${gateway.url}/v1/routing/decisions/${id}`);
  return { id, headers: response.headers, receipt: (await found.json()) as Receipt };
}

const trained = { model_path: join(temp, "gmt"), allow_unsigned_local: true, tradeoff: 1 };

test("llmrouter-gmt: each user gets what they like, and the log knows them by a hash", async () => {
  const it = await serve("llmrouter-gmt", trained);
  await it.gateway.reloadRouter();
  const ann = await ask(it, { user: "ann" });
  const bob = await ask(it, { user: "bob" });
  expect(ann.receipt.decision?.chosen).toBe("openai/terse");
  expect(bob.receipt.decision?.chosen).toBe("openai/chatty");
  const [somebody, nobody] = [await ask(it, { user: "new here" }), await ask(it)];
  const qualities = ({ receipt }: typeof ann) =>
    receipt.decision?.candidates.map(({ model, quality }) => [model, quality]);
  expect(qualities(somebody)).toEqual(qualities(nobody));

  await it.gateway.events.flush();
  const events: CallEvent[] = [];
  for await (const event of readEvents(it.dataDir)) events.push(event);
  const logged = events.find(({ receipt }) => receipt.callId === ann.id);
  expect(logged?.userHash).toBe(hashUser("default", "ann"));
  if (!logged) throw new Error("the call is not in the log");
  const router = await openFolder(join(temp, "gmt"));
  const again = await replay(logged, { router, findState: async () => undefined });
  expect(again).toMatchObject({ same: true, compared: 2, chosen: "openai/terse" });
  router.close();

  const builder = createTableBuilder();
  const rated = events.map((event) => ({
    ...event,
    receipt: {
      ...event.receipt,
      feedback: [{ callId: event.receipt.callId, score: 1, source: "user", atMs: 0 }],
    },
  }));
  const embedderId = logged.features?.embedderId ?? "";
  await addEvents(builder, { events: stream(rated), embedderId });
  const { users = [] } = builder.finish(new Map(), "all");
  expect(users.filter((user) => user !== undefined).sort()).toEqual(
    ["ann", "bob", "new here"].map((name) => hashUser("default", name)).sort(),
  );
}, 60_000);

describe("llmrouter-cost-aware", () => {
  test("without a trained router the cheapest answers", async () => {
    const it = await serve("llmrouter-cost-aware", {});
    const { headers, receipt } = await ask(it);
    expect(headers.get("x-routeiq-strategy")).toBe("llmrouter-cost-aware");
    expect(receipt.decision).toMatchObject({ chosen: "openai/terse", reason: "static" });
  });

  test("over a trained router its quality counts, until a call brings a dial", async () => {
    const args = { ...trained, inner_strategy: "llmrouter-gmt", quality_threshold: 0 };
    const it = await serve("llmrouter-cost-aware", { ...args, cost_weight: 0.05 });
    await it.gateway.reloadRouter();
    const { receipt } = await ask(it, { user: "bob" });
    expect(receipt.decision).toMatchObject({ chosen: "openai/chatty", reason: "cost_aware" });
    const dear = await serve("llmrouter-cost-aware", { ...args, cost_weight: 1 });
    await dear.gateway.reloadRouter();
    expect((await ask(dear, { user: "bob" })).receipt.decision?.chosen).toBe("openai/terse");
  });
});

async function* stream<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}
