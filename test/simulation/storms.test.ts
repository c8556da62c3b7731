/**
 * Storms: many calls a second against providers that reset, die, hang or slow down, on a virtual
 * clock. What callers get, how many upstream calls it costs, and how soon all is well again.
 * To replay a failure: SEED=3 bun test storms
 */
import { describe, expect, test } from "bun:test";
import { CallFailed, handle } from "../../src/pipeline/handle.ts";
import { isWhole } from "../../src/pipeline/reply.ts";
import { createRandom, type Random } from "../../src/std/random.ts";
import { arrivalOf, configOf, createTestServices, hello } from "../support/services.ts";
import { type Behaviour, createUpstreams } from "../support/upstreams.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

const seeds = process.env["SEED"] ? [Number(process.env["SEED"])] : [1];

const three = `
model_list:
  - {model_name: main, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1}}
  - {model_name: main, litellm_params: {model: openai/b, api_base: "http://b.test/v1", api_key: k2}}
  - {model_name: main, litellm_params: {model: openai/c, api_base: "http://c.test/v1", api_key: k3}}
`;
const one = `
model_list:
  - {model_name: main, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1}}
`;

interface Ended {
  readonly startedAtMs: number;
  readonly tookMs: number;
  /** Undefined: it was answered whole. */
  readonly error: string | undefined;
}

type Weather = (host: string, atMs: number, random: Random) => Behaviour;

/** `perSecond` calls a second for so long, half of them streams; then until all have ended. */
async function storm(
  yaml: string,
  seed: number,
  seconds: number,
  weather: Weather,
  perSecond = 50,
) {
  const random = createRandom(seed);
  const clock = createVirtualClock(0);
  const { outbound, seen } = createUpstreams(clock, ({ host }) =>
    weather(host.slice(0, 1), clock.now(), random),
  );
  const services = createTestServices(await configOf(yaml), { clock, outbound, random });
  const ended: Ended[] = [];

  async function call(number: number): Promise<void> {
    const startedAtMs = clock.now();
    let error: string | undefined;
    try {
      const stream = number % 2 === 0;
      const { body } = await handle(arrivalOf(hello("main", { stream }), clock), services);
      if (!isWhole(body)) {
        let text = "";
        for (let bytes = await body.next(); bytes; bytes = await body.next()) {
          text += new TextDecoder().decode(bytes);
        }
        if (!text.includes("[DONE]")) error = "in-band";
      }
    } catch (thrown) {
      if (!(thrown instanceof CallFailed)) throw thrown;
      error = thrown.error.code;
    }
    ended.push({ startedAtMs, tookMs: clock.now() - startedAtMs, error });
  }

  const running: Promise<void>[] = [];
  const total = seconds * perSecond;
  for (let i = 0; i < total; i++) {
    running.push(call(i));
    await clock.advance(1000 / perSecond);
  }
  await clock.advance(700_000);
  await Promise.all(running);
  expect(services.failures).toEqual([]);
  expect(services.activity.count).toBe(0);
  expect(clock.pending).toBeLessThanOrEqual(1); // the one that all attempts share

  const within = (fromMs: number, toMs: number) =>
    ended.filter(({ startedAtMs }) => startedAtMs >= fromMs && startedAtMs < toMs);
  const upstreamWithin = (fromMs: number, toMs: number) =>
    seen.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
  const successOf = (calls: readonly Ended[]) =>
    calls.filter(({ error }) => error === undefined).length / calls.length;
  return { ended, seen, within, upstreamWithin, successOf, total };
}

const well: Behaviour = { kind: "answer", afterMs: 300, gapMs: 50 };
const reset: Behaviour = { kind: "refuse" };
const overloaded: Behaviour = { kind: "status", status: 503 };

describe.each(seeds)("seed %d", (seed) => {
  test("30 % of a deployment's calls are reset: nobody notices, and it costs little", async () => {
    const it = await storm(three, seed, 30, (host, _, random) =>
      host === "a" && random.next() < 0.3 ? reset : well,
    );
    expect(it.successOf(it.ended)).toBeGreaterThanOrEqual(0.995);
    expect(it.seen.length).toBeLessThanOrEqual(1.2 * it.total);
  });

  test("30 % of all calls are reset, as one deployment of three is dead", async () => {
    const it = await storm(three, seed, 30, (host) => (host === "a" ? reset : well));
    expect(it.successOf(it.ended)).toBeGreaterThanOrEqual(0.995);
    expect(it.seen.length).toBeLessThanOrEqual(1.05 * it.total);
  });

  const outages: readonly [string, Behaviour][] = [
    ["connections refused", reset],
    ["503", overloaded],
    ["503, come back in a minute", { ...overloaded, retryAfterS: 60 }],
    ["429, come back in a minute", { kind: "status", status: 429, retryAfterS: 60 }],
  ];
  const groups = [
    ["one deployment", one],
    ["three deployments", three],
  ] as const;
  test.each(outages.flatMap(([name, how]) => groups.map(([of, yaml]) => [name, of, how, yaml])))(
    "total outage (%s; %s): hardly more upstream calls, and well again at once",
    async (_name, _of, how, yaml) => {
      const it = await storm(yaml as string, seed, 45, (_host, atMs) =>
        atMs >= 10_000 && atMs < 30_000 ? (how as Behaviour) : well,
      );
      const during = it.within(10_000, 30_000);
      expect(it.upstreamWithin(10_000, 30_000)).toBeLessThanOrEqual(1.2 * during.length);
      expect(it.successOf(it.within(0, 9_000))).toBe(1);
      expect(it.successOf(it.within(35_000, 45_000))).toBe(1);
      expect(it.successOf(it.within(30_500, 35_000))).toBeGreaterThan(0.99);
      // No herd when it is back: what waited comes spread out.
      const most = Math.max(
        ...Array.from({ length: 30 }, (_, i) => {
          const fromMs = 30_000 + i * 500;
          return it.upstreamWithin(fromMs, fromMs + 500);
        }),
      );
      expect(most).toBeLessThanOrEqual(1.5 * 25);
    },
  );

  test("a deployment that falls asleep is found out by its timeout, and left alone", async () => {
    const timeouts = "router_settings: {timeout: 2}\n";
    const it = await storm(three + timeouts, seed, 30, (host, atMs) =>
      host === "a" && atMs > 5_000 ? { kind: "hang" } : well,
    );
    expect(it.successOf(it.ended)).toBeGreaterThanOrEqual(0.99);
    const late = it.within(15_000, 30_000).filter(({ tookMs }) => tookMs > 2_000);
    expect(late.length).toBeLessThanOrEqual(0.01 * it.total);
  });

  const limits = "routeiq_settings: {concurrency: {adaptive: true, max_wait_ms: 3000}}\n";
  test.each([
    ["without limits it drowns", "", 0, 0.7],
    ["with learnt limits it goes on at its pace", limits, 0.8, 1.05],
  ])("three times as many calls as a provider can do: %s", async (_name, settings, least, most) => {
    // At its best, with 12 at once, it does 26 a second. With more it thrashes, and then refuses.
    let serving = 0;
    const finish: number[] = [];
    const it = await storm(
      one + settings,
      seed,
      40,
      (_host, atMs) => {
        while ((finish[0] ?? Infinity) <= atMs) {
          finish.shift();
          serving--;
        }
        if (serving >= 60) return overloaded;
        serving++;
        const afterMs = Math.max(300, 300 * (serving / 12) ** 1.5);
        finish.push(atMs + afterMs + 150);
        finish.sort((a, b) => a - b);
        return { kind: "answer", afterMs, gapMs: 50 };
      },
      80,
    );
    const late = it.within(15_000, 40_000);
    const perSecond = (it.successOf(late) * late.length) / 25;
    expect(perSecond / 26).toBeGreaterThanOrEqual(least);
    expect(perSecond / 26).toBeLessThanOrEqual(most);
  });
});
