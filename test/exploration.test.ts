/** Exploration in a running gateway: draws in receipts, scores that teach, money that ends, metrics. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { replay } from "../src/cli/replay.ts";
import { openFolder } from "../src/cli/replay-artifact.ts";
import type { Receipt } from "../src/domain/decision.ts";
import { writeArtifactFolder } from "../src/learning/artifacts/folder.ts";
import { readState } from "../src/learning/online/online-files.ts";
import { routerPaths } from "../src/routing/router-format.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { openEvents } from "../src/storage/sqlite/read-events.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { trainFolder } from "./support/trained.ts";
import { openaiReply } from "./support/upstreams.ts";

setDefaultTimeout(60_000);
const temp = mkdtempSync(join(tmpdir(), "routeiq-exploration-"));
const models = ["openai/alpha", "openai/beta"];
const artifact = join(temp, "artifact");
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => Response.json(openaiReply),
});

beforeAll(async () => {
  const { files } = await trainFolder(models);
  const selfTest = { input: routerPaths.queries, output: routerPaths.scores };
  const provenance = { strategy: "llmrouter-linear" };
  await writeArtifactFolder(artifact, { name: "router", files, selfTest, provenance });
});
afterAll(async () => {
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

/** Beta costs more, so that it is worth a try and takes money. */
async function start(exploration: Record<string, unknown> | undefined): Promise<TestGateway> {
  const running = await startTestGateway({
    yaml: stringify({
      model_list: models.map((model, i) => ({
        model_name: "best",
        litellm_params: {
          model,
          api_base: `${upstream.url.origin}/v1`,
          api_key: "sk-test",
          input_cost_per_token: 0.000_001 * (1 + i),
          output_cost_per_token: 0.000_001 * (1 + i),
        },
      })),
      router_settings: {
        routing_strategy: "llmrouter-linear",
        routing_strategy_args: {
          model_path: artifact,
          allow_unsigned_local: true,
          tradeoff: 0.9,
          ...(exploration ? { exploration } : {}),
        },
      },
    }),
    outbound: createOutbound(),
  });
  await running.gateway.reloadRouter();
  return running;
}

async function ask(
  { gateway }: TestGateway,
  item: number,
  topic = "write a poem",
): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "best",
      messages: [{ role: "user", content: `${topic}, please: item ${item} of ${item * 7}` }],
    }),
  });
  await response.arrayBuffer();
  expect(response.status).toBe(200);
  return response.headers.get("x-routeiq-call-id") ?? "";
}

async function receiptOf({ gateway }: TestGateway, callId: string): Promise<Receipt> {
  const url = `${gateway.url}/v1/routing/decisions/${callId}`;
  return (await (await fetch(url)).json()) as Receipt;
}

/** The series about exploration. */
async function metricsOf({ gateway }: TestGateway): Promise<string[]> {
  const text = await (await fetch(`${gateway.url}/metrics`)).text();
  const lines = text.split("\n").filter((line) => line.startsWith("routeiq_exploration"));
  return lines.map((line) => line.replace(/ .*$/, "")).sort();
}

const feedback = ({ gateway }: TestGateway, body: object) =>
  fetch(`${gateway.url}/v1/feedback`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

describe("exploration", () => {
  test("draws, teaches, is kept, and its receipts execute again", async () => {
    const running = await start({ mode: "thompson", rate: 0.5, width: 4 });
    const ids: string[] = [];
    for (let i = 0; i < 70; i++) ids.push(await ask(running, i));
    const receipts = await Promise.all(ids.map((id) => receiptOf(running, id)));
    const drawn = receipts.filter(({ decision }) => decision?.exploration);
    expect(drawn.length).toBeGreaterThan(30);
    expect(new Set(drawn.map(({ decision }) => decision?.reason))).toEqual(
      new Set(["utility", "explored"]),
    );
    for (const { decision } of drawn) {
      const sum = decision?.candidates.reduce((all, { probability }) => all + probability, 0);
      expect(sum).toBeCloseTo(1, 12);
    }
    for (const [i, { decision }] of receipts.entries()) {
      // Beta turns out to be what people want.
      const score = decision?.chosen === "openai/beta" ? 1 : 0;
      const told = await feedback(running, { call_id: ids[i], score });
      expect(told.status).toBe(202);
    }
    expect(await metricsOf(running)).toEqual([
      'routeiq_exploration_draws_total{mode="thompson",drawn="best"}',
      'routeiq_exploration_draws_total{mode="thompson",drawn="other"}',
      'routeiq_exploration_spent_usd{window="day"}',
      'routeiq_exploration_spent_usd{window="hour"}',
    ]);
    // 64 scores made a batch, and the state that it made scores what comes now.
    let later: Receipt | undefined;
    for (let i = 100; i < 200 && (later?.decision?.online ?? 0) < 128; i++) {
      later = await receiptOf(running, await ask(running, i));
    }
    expect(later?.decision?.online).toBeGreaterThanOrEqual(128);
    const beta = later?.decision?.candidates.find(({ model }) => model === "openai/beta");
    expect(beta?.quality).toBeGreaterThan(0.5);

    await running.gateway.events.flush();
    const reader = openEvents(running.dataDir);
    const router = await openFolder(artifact);
    const findState = (id: number, sha256: string) =>
      readState(running.dataDir, { id, artifact: sha256 });
    for (const callId of [...ids.slice(0, 20), later?.callId ?? ""]) {
      const event = reader.find(callId);
      if (!event) throw new Error(`${callId} is not in the log`);
      const again = await replay(event, { router, findState });
      expect(again).toMatchObject({ exact: true, chosen: event.receipt.decision?.chosen });
    }
    reader.close();
    router.close();
    const online = join(running.dataDir, "online");
    expect(readdirSync(online).some((name) => /^[0-9a-f]{16}$/.test(name))).toBe(true);
    await running.gateway.close();
  });

  test("ends with its money", async () => {
    const running = await start({ mode: "epsilon", rate: 1, width: 9, max_usd_per_day: 0 });
    for (let i = 0; i < 10; i++) {
      // What alpha, the cheaper one, answers best: a try of beta would cost money.
      const callId = await ask(running, i, "sum the numbers");
      const { decision } = await receiptOf(running, callId);
      expect([decision?.reason, decision?.chosen]).toEqual(["utility", "openai/alpha"]);
    }
    await running.gateway.close();
  });

  test("is off unless it is asked for, and then nothing of it is there", async () => {
    const running = await start(undefined);
    const { decision } = await receiptOf(running, await ask(running, 1));
    expect([decision?.exploration, decision?.online]).toEqual([undefined, undefined]);
    expect(existsSync(join(running.dataDir, "online"))).toBe(false);
    expect(await metricsOf(running)).toEqual([]);
    await running.gateway.close();
  });
});
