/** A second attempt beside a slow first one: who wins, what is paid, what is left of the other. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../src/domain/json.ts";
import { CallFailed, handle } from "../src/pipeline/handle.ts";
import { findReceipt } from "../src/pipeline/receipts.ts";
import { isWhole, type Reply } from "../src/pipeline/reply.ts";
import { arrivalOf, configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

/** The first of the pair is asked first: the other only stands in (`order`). */
const pair = `
model_list:
  - {model_name: pair, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1, order: 1, input_cost_per_token: 0.001, output_cost_per_token: 0.002}}
  - {model_name: pair, litellm_params: {model: openai/b, api_base: "http://b.test/v1", api_key: k2, order: 2, input_cost_per_token: 0.001, output_cost_per_token: 0.002}}
  - {model_name: alone, litellm_params: {model: openai/c, api_base: "http://c.test/v1", api_key: k3}}
`;
const hedging = (more: string) => `routeiq_settings: {hedging: {enabled: true, ${more}}}`;

async function world(settings: string, behave: (host: string, nth: number) => Behaviour) {
  const clock = createVirtualClock();
  const times = new Map<string, number>();
  const { outbound, seen } = createUpstreams(clock, ({ host }) => {
    const name = host.slice(0, 1);
    times.set(name, (times.get(name) ?? 0) + 1);
    return behave(name, times.get(name) ?? 0);
  });
  const services = createTestServices(await configOf(pair + settings), { clock, outbound });
  async function call(more: JsonObject = {}, arrival: Parameters<typeof arrivalOf>[2] = {}) {
    const arrived = arrivalOf(hello("pair", more), clock, arrival);
    const startedAtMs = clock.now();
    let tookMs = 0;
    const done = handle(arrived, services)
      .catch((thrown: unknown) => thrown)
      .then((outcome) => {
        tookMs = clock.now() - startedAtMs;
        return outcome as Reply | CallFailed;
      });
    await clock.advance(60_000);
    const outcome = await done;
    let text = "";
    if (!(outcome instanceof CallFailed)) {
      const { body } = outcome;
      if (isWhole(body)) text = String(body instanceof ArrayBuffer ? Buffer.from(body) : body);
      else {
        const reading = (async () => {
          for (let bytes = await body.next(); bytes; bytes = await body.next()) {
            text += new TextDecoder().decode(bytes);
          }
        })();
        await clock.advance(60_000);
        await reading;
      }
    }
    return { outcome, text, tookMs, receipt: await findReceipt(arrived.id, services) };
  }
  const hosts = () => seen.map(({ host }) => host.slice(0, 1)).join("");
  return { clock, seen, services, call, hosts };
}

const slow: Behaviour = { kind: "answer", afterMs: 5_000 };
const quick: Behaviour = { kind: "answer", afterMs: 100 };

describe("the race", () => {
  test.each([true, false])(
    "a slow first attempt loses (stream %p); both are in the receipt and paid",
    async (stream) => {
      const it = await world(hedging("after_ms: 500"), (host) => (host === "a" ? slow : quick));
      const { receipt, text, tookMs, outcome } = await it.call({ stream });
      expect(it.hosts()).toBe("ab");
      expect(tookMs).toBe(600);
      if (stream) expect(text).toContain("[DONE]");
      expect(it.seen[0]?.abortedAtMs).toBe((it.seen[0]?.atMs ?? 0) + 600);
      expect(
        receipt?.attempts.map(({ model, because, outcome, error }) => [
          model,
          because,
          outcome,
          error,
        ]),
      ).toEqual([
        ["openai/a", "first", "cancelled", "superseded"],
        ["openai/b", "hedge", "ok", undefined],
      ]);
      const inputTokens = (outcome as Reply).record.ranking?.inputTokens ?? 0;
      expect(receipt?.attempts[0]?.costMicroUsd).toBe(inputTokens * 1000);
      const output = stream ? 3 : 5;
      expect(receipt?.costMicroUsd).toBe(10 * 1000 + output * 2000 + inputTokens * 1000);
      expect(receipt?.deployment).toBe(it.services.table.deployments[1]?.id ?? "");
      expect(receipt?.outcome).toBe("success");
    },
  );

  test("a first attempt that is in time is alone", async () => {
    const it = await world(hedging("after_ms: 500"), () => quick);
    const { receipt } = await it.call();
    expect(it.hosts()).toBe("a");
    expect(receipt?.attempts.length).toBe(1);
  });

  test("the first attempt wins after all: the hedge is let go", async () => {
    const it = await world(hedging("after_ms: 500"), (host) =>
      host === "a" ? { kind: "answer", afterMs: 800 } : slow,
    );
    const { receipt, tookMs } = await it.call({ stream: true });
    expect(tookMs).toBe(800);
    expect(receipt?.attempts.map(({ because, outcome }) => `${because} ${outcome}`)).toEqual([
      "hedge cancelled",
      "first ok",
    ]);
    expect(receipt?.deployment).toBe(it.services.table.deployments[0]?.id ?? "");
    expect(it.seen[1]?.ended).toBe(true);
    for (const { id } of it.services.table.deployments) {
      expect(it.services.pool.stats.inFlight(id)).toBe(0);
    }
  });

  test("one fails, the other answers", async () => {
    const it = await world(hedging("after_ms: 500"), (host) =>
      host === "a" ? { kind: "silent" } : { kind: "status", status: 500 },
    );
    const fails = await it.call({ stream: true, stream_timeout: 3, num_retries: 0 });
    expect(fails.outcome).toBeInstanceOf(CallFailed);
    expect(it.hosts()).toBe("ab");
    const other = await world(hedging("after_ms: 500"), (host) =>
      host === "a" ? { kind: "answer", afterMs: 2_000 } : { kind: "status", status: 500 },
    );
    const answered = await other.call();
    expect(answered.tookMs).toBe(2_000);
    expect(
      answered.receipt?.attempts.map(({ because, outcome }) => `${because} ${outcome}`),
    ).toEqual(["hedge failed", "first ok"]);
  });

  test("both fail: the retries go on as ever", async () => {
    const it = await world(hedging("after_ms: 500"), (host, nth) =>
      nth > 1 ? quick : host === "a" ? { kind: "silent" } : { kind: "status", status: 500 },
    );
    const { receipt } = await it.call({ stream: true, stream_timeout: 2 });
    expect(receipt?.attempts.map(({ because, outcome }) => `${because} ${outcome}`)).toEqual([
      "hedge failed",
      "first failed",
      "retry ok",
    ]);
  });

  test("a caller who hangs up ends both", async () => {
    const it = await world(hedging("after_ms: 500"), () => ({ kind: "hang" }));
    const controller = new AbortController();
    const called = it.call({}, { signal: controller.signal });
    it.clock.after(1_000, () => controller.abort());
    const { receipt } = await called;
    expect(it.seen.map((one) => (one.abortedAtMs ?? 0) - one.atMs)).toEqual([1_000, 500]);
    expect(receipt?.outcome).toBe("cancelled");
    expect(it.services.activity.count).toBe(0);
  });
});

describe("when", () => {
  test("the wait is learnt: nearly all begin within it", async () => {
    const it = await world(hedging(""), (host, nth) =>
      host === "a" && nth === 60 ? slow : { kind: "answer", afterMs: 200 + (nth % 20) * 10 },
    );
    for (let i = 0; i < 59; i++) await it.call();
    expect(it.hosts().slice(0, 20)).not.toContain("b"); // nothing is known at first
    expect(it.hosts().split("b").length - 1).toBeLessThanOrEqual(4); // one in twenty is past its p95
    const { tookMs } = await it.call();
    expect(it.hosts()).toEndWith("ab");
    expect(tookMs).toBeGreaterThan(550);
    expect(tookMs).toBeLessThan(700);
  });

  test("the budget: so many hedges a call, however slow all are", async () => {
    const it = await world(hedging("after_ms: 500, budget_share: 0.1"), (host) =>
      host === "a" ? slow : quick,
    );
    for (let i = 0; i < 110; i++) await it.call();
    const hedges = it.hosts().split("b").length - 1;
    expect(hedges).toBeLessThanOrEqual(10 + 11);
    expect(hedges).toBeGreaterThanOrEqual(10);
  });

  test.each([
    ["off by default", "", {}],
    ["nobody else to ask", hedging("after_ms: 500"), { model: "alone" }],
    ["what leaves something behind at the provider", hedging("after_ms: 500"), { responses: true }],
  ])("not: %s", async (_why, settings, { responses, ...more }: JsonObject) => {
    const it = await world(settings, () => slow);
    const body = responses ? { model: "pair", input: "hi" } : hello("pair", more);
    const arrival = arrivalOf(
      body,
      it.clock,
      responses ? { operation: "responses", dialect: "openai-responses" } : {},
    );
    const done = handle(arrival, it.services).catch(() => undefined);
    await it.clock.advance(30_000);
    await done;
    const receipt = await findReceipt(arrival.id, it.services);
    expect(receipt?.attempts.map(({ because }) => because)).not.toContain("hedge");
    expect(receipt?.attempts.length).toBeGreaterThan(0);
  });
});
