/**
 * Faults under load, over real sockets and on a clock that runs fast: random resets, a total outage
 * and the recovery from it, callers who leave by the thousand. To replay: SEED=17 bun test faults/load
 */
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { createRandom } from "../../src/std/random.ts";
import { createFastClock, type FastClock } from "../support/fast-clock.ts";
import type { Fault } from "../support/fault-proxy.ts";
import { call, createWorld, type Ended, type World, type WorldOptions } from "./world.ts";

const seed = Number(process.env["SEED"] ?? 1);
const factor = 5;
const perSecond = 50;

let world: World;
let clock: FastClock;
afterEach(async () => {
  await world.close();
  clock.stop();
});

async function open(options: WorldOptions = {}, timesAsFast = factor): Promise<World> {
  clock = createFastClock(timesAsFast);
  world = await createWorld({
    clock,
    random: createRandom(seed),
    router: "",
    ordered: false,
    ...options,
  });
  return world;
}

/** Calls at a steady rate for so many seconds of the gateway's time, ended or not. */
async function drive(
  { gateway }: World,
  seconds: number,
  onTick: (atS: number) => void = () => undefined,
): Promise<(Ended & { readonly atS: number })[]> {
  const running: Promise<Ended & { atS: number }>[] = [];
  const startMs = clock.now();
  for (let i = 0; i < seconds * perSecond; i++) {
    const waitMs = startMs + (i * 1000) / perSecond - clock.now();
    if (waitMs > 0) await new Promise<void>((resolve) => void clock.after(waitMs, resolve));
    const atS = i / perSecond;
    onTick(atS);
    running.push(call(gateway, "chat", i % 2 === 0).then((ended) => ({ ...ended, atS })));
  }
  return Promise.all(running);
}

const share = (all: readonly Ended[]) =>
  all.filter(({ end, status }) => status === 200 && end === "complete").length / all.length;

describe("random resets of three in ten calls at fifty a second", () => {
  test("of one provider of two: ≥ 99.5 % succeed, with ≤ 20 % more upstream calls", async () => {
    const { proxy, second } = await open();
    const random = createRandom(seed);
    proxy.set(() => (random.next() < 0.3 ? { kind: "reset", afterBytes: 0 } : { kind: "none" }));
    const ended = await drive(world, 20);
    const upstream = proxy.requests + second.calls;
    expect(share(ended)).toBeGreaterThanOrEqual(0.995);
    expect(upstream / ended.length).toBeLessThanOrEqual(1.2);
    expect(ended.filter(({ end }) => end === "broken")).toEqual([]);
  });
});

describe("a total outage", () => {
  test("costs ≤ 1.2 upstream calls per call, and is over within 5 s of its end", async () => {
    const { proxy } = await open({ bothFail: true });
    const before = proxy.requests;
    let back = 0;
    let upstreamInOutage = 0;
    proxy.set(() => ({ kind: "refuse" }));
    const ended = await drive(world, 40, (atS) => {
      if (atS >= 30 && back === 0) {
        upstreamInOutage = proxy.requests - before;
        back = atS;
        proxy.set(() => ({ kind: "none" }));
      }
    });
    const during = ended.filter(({ atS }) => atS < 30);
    const after = ended.filter(({ atS }) => atS >= 35);
    // A call of the last seconds may wait for its second attempt until the outage is over.
    const dark = during.filter(({ atS }) => atS < 20);
    expect(dark.filter(({ end }) => end !== "error")).toEqual([]);
    expect(upstreamInOutage / during.length).toBeLessThanOrEqual(1.2);
    expect(share(after)).toBe(1);
  });
});

const fds = () => readdirSync("/proc/self/fd").length;

describe("callers who leave", () => {
  test("a thousand of them leave nothing behind", async () => {
    const { gateway, proxy } = await open({ ordered: true }, 1);
    const { services, url } = gateway.gateway;
    const { activity, pool, table } = services();
    // Warm: what is made once is no leak.
    for (let i = 0; i < 20; i++) await call(gateway, "chat", true);
    await leave(url, proxy, 100);
    Bun.gc(true);
    const before = { fds: fds(), open: proxy.open };
    const grownMb: number[] = [];
    for (let round = 0; round < 4; round++) {
      const rss = process.memoryUsage().rss;
      await leave(url, proxy, 1_000);
      await proxy.untilOpen(before.open);
      while (activity.count > 0) await Bun.sleep(5);
      for (const { id } of table.deployments) expect(pool.stats.inFlight(id)).toBe(0);
      Bun.gc(true);
      while (fds() > before.fds + 5) await Bun.sleep(20); // the kernel closes in its own time
      grownMb.push((process.memoryUsage().rss - rss) / 1e6);
    }
    // A leak grows in every round; a heap that was enlarged once, or filled by another test, not.
    expect(Math.min(...grownMb)).toBeLessThan(10);
    proxy.set(() => ({ kind: "none" }));
    expect(await call(gateway, "chat", true)).toMatchObject({ status: 200, end: "complete" });
  });
});

/** In each state a third of them, fifty at a time. */
async function leave(url: string, proxy: World["proxy"], count: number): Promise<void> {
  const states: readonly (readonly [Fault, inStream: boolean])[] = [
    [{ kind: "blackhole" }, false], // before the head
    [{ kind: "hang", afterBytes: 200 }, false], // before the first event
    [{ kind: "hang", afterBytes: 700 }, true], // in the stream
  ];
  for (const [fault, inStream] of states) {
    proxy.set(() => fault);
    let left = Math.ceil(count / states.length);
    const next = async () => {
      while (left-- > 0) await leaveOnce(url, inStream);
    };
    await Promise.all(Array.from({ length: 50 }, next));
  }
}

async function leaveOnce(url: string, inStream: boolean): Promise<void> {
  const controller = new AbortController();
  const response = fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]}',
    signal: controller.signal,
  }).catch(() => undefined);
  if (inStream) await (await response)?.body?.getReader().read();
  else await Bun.sleep(2); // long enough that most have reached the upstream
  controller.abort();
  await response;
}
