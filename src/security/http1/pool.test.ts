/** The pool by itself: limits, who waits, who is let go, on a clock that the test moves. */
import { afterEach, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import {
  type Peer,
  type RawUpstream,
  startRawUpstream,
} from "../../../test/support/raw-upstream.ts";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { Cancel } from "../../std/cancel.ts";
import { systemClock } from "../../std/clock.ts";
import { toDestination } from "../destination.ts";
import type { Connection } from "./connection.ts";
import { Exchange } from "./exchange.ts";
import { defaultPoolLimits, Pool, type PoolOptions } from "./pool.ts";

const running: RawUpstream[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((upstream) => upstream.stop()));
});

const ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

async function upstream(answer = ok) {
  const started = await startRawUpstream(async (peer: Peer) => {
    while ((await peer.request()) !== undefined) await peer.say(answer);
    peer.finish();
  });
  running.push(started);
  return started;
}

function createPool(port: number, more: Partial<PoolOptions> = {}): Pool {
  return new Pool({
    address: "127.0.0.1",
    port,
    tls: undefined,
    limits: defaultPoolLimits,
    clock: systemClock,
    reopen: () => undefined,
    ...more,
  });
}

const late = (full: boolean) => new Error(full ? "full" : "slow");
const wait = (pool: Pool, cancel = new Cancel(), limitMs = 1000) =>
  pool.wait({ limitMs, late, cancel });

async function call(connection: Connection): Promise<string> {
  const url = "http://127.0.0.1/";
  const to = toDestination({ url, method: "POST", headers: {}, trust: "operator" });
  const exchange = new Exchange(to, "", "{}", new Cancel(), 1000);
  connection.run(exchange);
  const reply = await exchange.wait();
  return new TextDecoder().decode(await reply.whole(100, "refuse"));
}

test("the one used last is used next; the others grow old", async () => {
  const { port, peers } = await upstream();
  const pool = createPool(port);
  const [a, b] = await Promise.all([wait(pool), wait(pool)]);
  await call(a);
  await call(b);
  expect(pool.take(systemClock.now())).toBe(b);
  expect(pool.take(systemClock.now())).toBe(a);
  expect(pool.take(systemClock.now())).toBeUndefined();
  expect(peers.length).toBe(2);
});

describe("the limit of connections", () => {
  const limits = { ...defaultPoolLimits, connections: 2 };

  test("past it calls wait, first come first served, for those that come back", async () => {
    const { port, peers } = await upstream();
    const pool = createPool(port, { limits });
    const [a, b] = await Promise.all([wait(pool), wait(pool)]);
    const order: string[] = [];
    const third = wait(pool).then((connection) => {
      order.push("third");
      return connection;
    });
    const fourth = wait(pool).then((connection) => {
      order.push("fourth");
      return connection;
    });
    await call(a);
    await call(await third);
    await fourth;
    expect(order).toEqual(["third", "fourth"]);
    await call(b);
    expect(peers.length).toBe(2);
  });

  test("one that is closed makes room for another", async () => {
    const { port, peers } = await upstream();
    const pool = createPool(port, { limits });
    const [a] = await Promise.all([wait(pool), wait(pool)]);
    const third = wait(pool);
    a.destroy();
    expect(await call(await third)).toBe("ok");
    expect(peers.length).toBe(3);
    expect(pool.size).toBe(2);
  });

  test("who waits too long is told so; who is cancelled leaves at once, and makes way", async () => {
    const { port } = await upstream();
    const pool = createPool(port, { limits: { ...limits, connections: 1 } });
    const only = await wait(pool);
    expect(await wait(pool, new Cancel(), 5).catch(String)).toBe("Error: full");
    const cancel = new Cancel();
    const second = wait(pool, cancel).catch((thrown: unknown) => thrown);
    const third = wait(pool);
    const reason = new Error("gone");
    cancel.cancel(reason);
    expect(await second).toBe(reason);
    await call(only);
    expect(await third).toBe(only);
  });
});

describe("connections that do not come about", () => {
  test("a port where nobody listens: everybody who waits is told", async () => {
    const { port, stop } = await startRawUpstream(() => undefined);
    await stop();
    const pool = createPool(port);
    const failures = await Promise.all([1, 2, 3].map(() => wait(pool).catch((e) => e.code)));
    expect(failures).toEqual(["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"]);
    expect(pool.size).toBe(0);
  });

  test("a TLS handshake that hangs ends with the limit, and leaves nothing behind", async () => {
    const { port, peers } = await upstream();
    const pool = createPool(port, { tls: { serverName: "upstream.test" } });
    const thrown = await wait(pool, new Cancel(), 30).catch((error) => error);
    expect(String(thrown)).toMatch(/slow|in time/);
    await peers[0]?.gone;
    expect(pool.size).toBe(0);
  });

  test("a call that is cancelled meanwhile leaves its connection to the next", async () => {
    const { port, peers } = await upstream();
    const pool = createPool(port);
    const cancel = new Cancel();
    const first = wait(pool, cancel).catch((thrown: unknown) => thrown);
    const reason = new Error("gone");
    cancel.cancel(reason);
    expect(await first).toBe(reason);
    expect(await call(await wait(pool))).toBe("ok");
    expect(peers.length).toBe(1);
  });
});

describe("rest", () => {
  const cases = [
    ["no word of the server's", ok, 30_000],
    ["the server's, less a second", ok.replace("\r\n", "\r\nKeep-Alive: timeout=5\r\n"), 4_000],
    ["a longer one of the server's", ok.replace("\r\n", "\r\nKeep-Alive: timeout=90\r\n"), 30_000],
  ] as const;
  test.each(cases)("its limit with %s", async (_name, answer, limitMs) => {
    const { port, peers } = await upstream(answer);
    const clock = createVirtualClock();
    const pool = createPool(port, { clock });
    await call(await wait(pool));
    await clock.advance(limitMs - 1000);
    expect(pool.size).toBe(1);
    await clock.advance(2000);
    expect(pool.size).toBe(0);
    expect(await peers[0]?.gone).toBe("end"); // in peace
    expect(clock.pending).toBe(0);
  });

  test("a server that keeps nothing alive is not kept", async () => {
    const { port } = await upstream(ok.replace("\r\n", "\r\nKeep-Alive: timeout=1\r\n"));
    const pool = createPool(port);
    await call(await wait(pool));
    expect(pool.take(systemClock.now())).toBeUndefined();
  });

  test("what speaks unasked is closed", async () => {
    const { port, peers } = await upstream();
    const pool = createPool(port);
    await call(await wait(pool));
    await peers[0]?.say("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil");
    await peers[0]?.gone;
    expect(pool.take(systemClock.now())).toBeUndefined();
  });

  test("past the limit of resting ones the rest are closed", async () => {
    const { port } = await upstream();
    const pool = createPool(port, { limits: { ...defaultPoolLimits, idle: 2 } });
    const open = await Promise.all([1, 2, 3, 4].map(() => wait(pool)));
    for (const connection of open) await call(connection);
    expect(pool.size).toBe(2);
  });
});

test.skipIf(process.platform !== "linux")("a thousand calls leave no socket behind", async () => {
  const { port } = await upstream(ok.replace("\r\n", "\r\nconnection: close\r\n"));
  const pool = createPool(port);
  const before = readdirSync("/proc/self/fd").length;
  for (let round = 0; round < 10; round++) {
    await Promise.all(Array.from({ length: 100 }, async () => call(await wait(pool))));
  }
  expect(pool.size).toBe(0);
  const left = () => readdirSync("/proc/self/fd").length - before;
  for (let i = 0; i < 1000 && left() > 4; i++) await new Promise((next) => setImmediate(next));
  expect(left()).toBeLessThanOrEqual(4);
});
