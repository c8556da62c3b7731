/** Calls that wait for a slot: order, bounds, ways out, and what it costs where nothing is set. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../src/domain/json.ts";
import { type CallFailed, handle } from "../src/pipeline/handle.ts";
import { findReceipt } from "../src/pipeline/receipts.ts";
import { arrivalOf, configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const rows = (limit: string) => `
model_list:
  - {model_name: one, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k${limit}}}
  - {model_name: two, litellm_params: {model: openai/b, api_base: "http://b.test/v1", api_key: k}}
`;
const single = rows(", max_parallel_requests: 1");

async function world(yaml: string, behave: () => Behaviour = () => slow) {
  const clock = createVirtualClock();
  const { outbound, seen } = createUpstreams(clock, behave);
  const services = createTestServices(await configOf(yaml), { clock, outbound });
  const ended: string[] = [];
  function call(
    name: string,
    more: JsonObject = {},
    arrival: Parameters<typeof arrivalOf>[2] = {},
  ) {
    const arrived = arrivalOf(hello("one", { ...more, user: name }), clock, arrival);
    handle(arrived, services).then(
      () => ended.push(name),
      (failed) => {
        const { error } = failed as CallFailed;
        ended.push(`${name}:${error.code}:${error.status}:${error.retryAfterS ?? "-"}`);
      },
    );
    return arrived.id;
  }
  const asked = () => seen.map(({ body }) => body["user"]);
  return { clock, seen, services, call, ended, asked };
}

const slow: Behaviour = { kind: "answer", afterMs: 1_000 };
const queue = (more: string) => `routeiq_settings: {concurrency: {${more}}}`;

describe("a deployment at its limit", () => {
  test("calls wait, the best priority first, by header or body; nothing of it goes upstream", async () => {
    const it = await world(single + queue("max_queued: 10"));
    it.call("first");
    it.call("batch", { priority: 200 });
    it.call("plain");
    it.call("header", {}, { headers: new Headers({ "x-litellm-priority": "5" }) });
    it.call("urgent", { priority: 0 });
    const id = it.call("nonsense", { priority: "soon" });
    await it.clock.advance(10_000);
    expect(it.asked()).toEqual(["first", "urgent", "header", "plain", "nonsense", "batch"]);
    for (const { body } of it.seen) expect(body).not.toHaveProperty("priority");
    const receipt = await findReceipt(id, it.services);
    expect(receipt?.timings.queuedMs).toBe(4_000);
    expect(receipt?.timings.overheadUs).toBeLessThan(1_000);
    expect(it.services.failures).toEqual([]);
  });

  test("where the queue is full the lowest are sent away, with a time to come back", async () => {
    const it = await world(single + queue("max_queued: 2"));
    for (const name of ["first", "a", "b", "c"]) it.call(name);
    await it.clock.advance(0);
    expect(it.ended).toEqual(["c:overloaded:503:5"]);
    it.call("urgent", { priority: 1 });
    await it.clock.advance(0);
    expect(it.ended[1]).toStartWith("b:overloaded:503");
    await it.clock.advance(10_000);
    expect(it.asked()).toEqual(["first", "urgent", "a"]);
  });

  test("a wait ends at max_wait_ms, and at the caller's own deadline", async () => {
    const it = await world(single + queue("max_queued: 10, max_wait_ms: 3000"), () => ({
      kind: "answer",
      afterMs: 60_000,
    }));
    it.call("first");
    it.call("waits");
    it.call("hurries", {}, { headers: new Headers({ "x-routeiq-deadline-ms": "500" }) });
    await it.clock.advance(600);
    expect(it.ended).toEqual(["hurries:deadline_exceeded:504:-"]);
    await it.clock.advance(2_500);
    expect(it.ended[1]).toBe("waits:overloaded:503:1");
    expect(it.asked()).toEqual(["first"]);
  });

  test("a caller who hangs up while waiting leaves at once, uncharged", async () => {
    const it = await world(single + queue("max_queued: 10"));
    const controller = new AbortController();
    it.call("first");
    const id = it.call("gone", {}, { signal: controller.signal });
    it.call("next");
    await it.clock.advance(100);
    controller.abort();
    await it.clock.advance(0);
    expect(it.ended).toEqual(["gone:caller_gone:499:-"]);
    const receipt = await findReceipt(id, it.services);
    expect(receipt?.outcome).toBe("cancelled");
    expect(receipt?.usage).toBeUndefined();
    await it.clock.advance(5_000);
    expect(it.asked()).toEqual(["first", "next"]);
    expect(it.services.activity.count).toBe(0);
    expect(it.clock.pending).toBeLessThanOrEqual(1); // the one that all attempts share
  });

  test("draining ends those who wait", async () => {
    const it = await world(single + queue("max_queued: 10"));
    it.call("first");
    it.call("waits");
    await it.clock.advance(100);
    it.services.activity.abortAll();
    await it.clock.advance(0);
    expect(it.ended.sort()).toEqual(["first:draining:503:1", "waits:draining:503:1"]);
  });

  test("who was sent away has the group's fallbacks", async () => {
    const fallbacks = "router_settings: {fallbacks: [{one: [two]}]}\n";
    const it = await world(single + fallbacks + queue("max_queued: 10, max_wait_ms: 100"));
    it.call("first");
    it.call("second");
    await it.clock.advance(5_000);
    expect(it.seen.map(({ host }) => host)).toEqual(["a.test", "b.test"]);
    expect(it.ended).toEqual(["first", "second"]);
  });

  test("without a queue: refused at once, as newer LiteLLM does", async () => {
    const it = await world(single);
    expect(it.services.admission).toBeUndefined();
    it.call("first");
    it.call("second");
    await it.clock.advance(0);
    expect(it.ended.map((text) => text.split(":").slice(0, 3).join(":"))).toEqual([
      "second:no_deployment:429",
    ]);
  });

  test("a failure frees the slot as well", async () => {
    const it = await world(
      `${single}router_settings: {num_retries: 0}\n${queue("max_queued: 9")}`,
      () => ({
        kind: "status",
        status: 400,
      }),
    );
    for (const name of ["a", "b", "c"]) it.call(name);
    await it.clock.advance(100);
    expect(it.asked()).toEqual(["a", "b", "c"]);
  });
});

describe("the gateway at its limit", () => {
  test("max_calls counts calls from their arrival to their end", async () => {
    const it = await world(rows("") + queue("max_calls: 2, max_queued: 1"));
    for (const name of ["a", "b", "c", "d"]) it.call(name);
    await it.clock.advance(0);
    expect(it.asked()).toEqual(["a", "b"]);
    expect(it.ended.map((text) => text.split(":").slice(0, 3).join(":"))).toEqual([
      "d:overloaded:503",
    ]);
    await it.clock.advance(5_000);
    expect(it.asked()).toEqual(["a", "b", "c"]);
  });

  test("LiteLLM's names for it", async () => {
    const general = `
general_settings:
  max_in_flight_requests_per_worker: 1
  max_queued_requests_per_worker: 5
  admission_queue_timeout_seconds: 0.5
`;
    const it = await world(rows("") + general);
    it.call("a");
    it.call("b");
    await it.clock.advance(600);
    expect(it.ended.map((text) => text.split(":").slice(0, 3).join(":"))).toEqual([
      "b:overloaded:503",
    ]);
  });

  test("a call that fails early, or is refused, leaves no trace", async () => {
    const it = await world(rows("") + queue("max_calls: 1"));
    for (let i = 0; i < 3; i++) it.call(`bad ${i}`, { model: "nobody" });
    it.call("good");
    await it.clock.advance(5_000);
    expect(it.asked()).toEqual(["good"]);
  });
});

describe("learnt limits", () => {
  test("an unloaded gateway never waits; a provider that slows down is given less", async () => {
    let serving = 0;
    const capacity = 8;
    const it = await world(rows("") + queue("adaptive: true, max_wait_ms: 60000"), () => {
      serving++;
      // A provider that begins later the more it has to do.
      const afterMs = 200 * Math.max(1, serving / capacity);
      it.clock.after(afterMs, () => serving--);
      return { kind: "answer", afterMs };
    });
    for (let i = 0; i < 200; i++) {
      it.call(`calm ${i}`);
      await it.clock.advance(50);
    }
    expect(it.services.admission?.waiting).toBe(0);
    const [deployment] = it.services.table.deployments;
    if (!deployment) throw new Error("there is one");
    expect(it.services.pool.limitOf(deployment)).toBe(32);
    for (let i = 0; i < 2_000; i++) {
      it.call(`storm ${i}`);
      await it.clock.advance(10); // 100 a second, of which it can do 40
    }
    const limit = it.services.pool.limitOf(deployment) ?? 0;
    expect(limit).toBeGreaterThanOrEqual(8);
    expect(limit).toBeLessThan(32);
  });
});
