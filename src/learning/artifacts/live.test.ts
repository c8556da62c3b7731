/** A configuration followed over reloads, and what calls tell of the router that decided them. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { addRelease, craft, honestFiles, text } from "../../../test/support/artifact-repository.ts";
import { buildStubRouter } from "../../../test/support/stub-router.ts";
import type { Config } from "../../config/config.ts";
import type { Receipt } from "../../domain/decision.ts";
import { createSlot } from "../../routing/slot.ts";
import { createOutbound } from "../../security/outbound.ts";
import { type Clock, systemClock } from "../../std/clock.ts";
import { createRandom } from "../../std/random.ts";
import { createMemoryEventLog } from "../../storage/memory/event-log.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { watchEvents } from "../rollout/watch-events.ts";
import { createLiveRouter } from "./live.ts";
import { createSource } from "./thread.ts";

const temp = await mkdtemp(join(tmpdir(), "routeiq-live-"));
afterAll(() => rm(temp, { recursive: true, force: true }));

/** Real time stands still at the time of the crafted repositories. */
const clock: Clock = {
  ...systemClock,
  now: () => Date.parse("2026-11-25T12:00:00Z"),
  after: () => () => undefined,
};

function createWorld(name: string) {
  const lines: Record<string, unknown>[] = [];
  const telemetry: Telemetry = {
    counter: () => ({ add: () => undefined, of: () => ({ add: () => undefined }) }),
    histogram: () => ({ observe: () => undefined, of: () => ({ observe: () => undefined }) }),
    gauge: () => ({ set: () => undefined }),
    onCollect: () => undefined,
    log: (_level, _message, fields) => void lines.push({ ...fields }),
    span: () => undefined,
    spansOn: false,
  };
  const slot = createSlot({ status: "none" });
  const live = createLiveRouter({
    slot,
    dataDir: join(temp, `${name}-data`),
    env: {},
    openSource: (config) => createSource(config, { outbound: createOutbound(), clock }),
    build: buildStubRouter,
    clock,
    random: createRandom(1),
    telemetry,
  });
  return { live, slot, lines, repository: join(temp, name) };
}

async function layOut(folder: string, repository: ReturnType<typeof craft>): Promise<void> {
  for (const [key, bytes] of repository) await Bun.write(join(folder, key), bytes);
}

const configOf = (args: object, strategy = "llmrouter-knn") =>
  ({ router: { routingStrategy: strategy, routingStrategyArgs: args } }) as unknown as Config;

const receipt = (callId: string, over: Partial<Receipt> & { artifact?: string } = {}): Receipt => ({
  callId,
  requestId: callId,
  atMs: 0,
  caller: "anonymous",
  requestedModel: "best",
  operation: "chat",
  stream: false,
  attempts: [],
  outcome: "success",
  timings: { decisionUs: 10, overheadUs: 100, totalMs: 300 },
  feedback: [],
  decision: {
    strategy: "llmrouter-knn",
    artifact: over.artifact ?? "router@1",
    reason: "utility",
    candidates: [],
    chosen: "m",
    decisionUs: 10,
  },
  ...over,
});

test("a configuration is followed, unchanged ones cost nothing, another strategy ends it", async () => {
  const { live, slot, repository } = createWorld("follow");
  await layOut(repository, craft());
  const args = { model_path: repository, model_root: join(repository, "root/1.root.json") };
  await live.follow(configOf(args), true);
  expect(await live.reload()).toMatchObject({ status: "active", version: 1 });
  const held = slot.acquire();
  await live.follow(configOf({ ...args, tradeoff: 0.9 }), true);
  const again = slot.acquire();
  expect(again?.router).toBe(held?.router as NonNullable<typeof held>["router"]);
  held?.release();
  again?.release();
  await live.follow(configOf({ ...args, model_path: "x.pkl" }), true);
  expect(slot.status()).toMatchObject({ status: "refused", code: "format" });
  await live.follow(configOf(args), true);
  expect(slot.status()).toMatchObject({ status: "active", version: 1 }); // from the copy, at once
  await live.follow(configOf(args, "simple-shuffle"), false);
  expect(slot.status()).toEqual({ status: "none" });
  live.close();
});

test("a reload that says nonsense is refused, and changes nothing", async () => {
  const { live, slot, repository } = createWorld("nonsense");
  await layOut(repository, craft());
  const args = { model_path: repository, model_root: join(repository, "root/1.root.json") };
  await live.follow(configOf(args), true);
  await live.reload();
  await expect(live.follow(configOf({ ...args, max_stale: "soon" }), true)).rejects.toThrow();
  expect(slot.status()).toMatchObject({ status: "active", version: 1 });
  live.close();
});

describe("the health window reads the event log", () => {
  async function afterSwap(name: string) {
    const world = createWorld(name);
    const repository = craft();
    await layOut(world.repository, repository);
    const root = join(world.repository, "root/1.root.json");
    const { live } = world;
    const events = watchEvents(createMemoryEventLog({ clock }), {
      routers: live,
      experiments: () => undefined,
    });
    await live.follow(configOf({ model_path: world.repository, model_root: root }), true);
    await live.reload();
    const call = (id: number, over: Parameters<typeof receipt>[1]) =>
      events.append({ receipt: receipt(`c${id}`, over), tenant: "t" });
    for (let id = 0; id < 200; id++) call(id, {});
    addRelease(repository, { version: 2, files: { ...honestFiles, "router.json": text('"2"') } });
    await layOut(world.repository, repository);
    expect(await live.reload()).toMatchObject({ version: 2 });
    return { ...world, events, call };
  }
  const artifact = "router@2";

  test("failures of the new router's calls bring the old one back", async () => {
    const { live, slot, call, lines } = await afterSwap("bad");
    for (let id = 1000; id < 1200; id++) call(id, { artifact, outcome: "failure" });
    await live.reload(); // waits for what the window began
    expect(slot.status()).toMatchObject({ status: "active", version: 1 });
    expect(lines).toContainEqual(expect.objectContaining({ audit: "artifact.rolled_back" }));
    live.close();
  });

  test("callers' own mistakes, hang-ups and calls without a choice are nobody's fault", async () => {
    const { live, slot, call } = await afterSwap("innocent");
    for (let id = 1000; id < 1300; id++) {
      call(id, { artifact, outcome: "cancelled" });
      call(id, { artifact, outcome: "failure", error: "invalid_request" });
      const single = { ...receipt("x", { artifact }).decision, reason: "single_candidate" };
      call(id, { outcome: "failure", decision: single as Receipt["decision"] & object });
    }
    await live.reload();
    expect(slot.status().version).toBe(2);
    live.close();
  });

  test("feedback that comes later is counted for the router that decided", async () => {
    const { live, slot, call, events } = await afterSwap("feedback");
    const score = (callId: string, value: number) =>
      events.addFeedback({ callId, score: value, source: "user", atMs: 0 });
    for (let id = 0; id < 100; id++) await score(`c${id}`, 0.9);
    for (let id = 1000; id < 1100; id++) {
      call(id, { artifact });
      await score(`c${id}`, id % 10 === 0 ? 0.9 : 0.2);
    }
    await live.reload();
    expect(slot.status().version).toBe(1);
    live.close();
  });
});
