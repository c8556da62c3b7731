/** Waiting on a connection that may be dead, on a virtual clock. */
import { expect, test } from "bun:test";
import type { Clock } from "../std/clock.ts";
import { createWatch } from "./watch.ts";

function setUp(alive: () => boolean) {
  let nowMs = 0;
  let timers: { readonly atMs: number; readonly callback: () => void }[] = [];
  const clock: Clock = {
    now: () => nowMs,
    monotonicUs: () => nowMs * 1000,
    after(delayMs, callback) {
      const timer = { atMs: nowMs + delayMs, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
  };
  const probes: number[] = [];
  const watch = createWatch(clock, () => {
    probes.push(nowMs);
    return Promise.resolve(alive());
  });
  const pass = async (ms: number) => {
    nowMs += ms;
    const due = timers.filter(({ atMs }) => atMs <= nowMs);
    timers = timers.filter(({ atMs }) => atMs > nowMs);
    for (const { callback } of due) await callback();
  };
  return { watch, pass, probes, timerCount: () => timers.length };
}

const dead = () => new Error("dead");

test("an answer in time probes nothing, and leaves no timer behind", async () => {
  const { watch, pass, probes, timerCount } = setUp(() => false);
  const answer = new Response("a");
  expect(await watch.wait(Promise.resolve(answer), 100, dead)).toBe(answer);
  await pass(100);
  expect([probes, timerCount()]).toEqual([[], 0]);
});

test("a dead address ends the wait of those past their limit, and of no other", async () => {
  const { watch, pass } = setUp(() => false);
  const first = watch.wait(new Promise(() => undefined), 100, dead);
  await pass(60);
  const second = Promise.withResolvers<Response>();
  const later = watch.wait(second.promise, 100, dead);
  const failed = first.catch((thrown: unknown) => thrown);
  await pass(40);
  expect(await failed).toEqual(new Error("dead"));
  second.resolve(new Response("b"));
  expect(await (await later).text()).toBe("b");
});

test("a live address is asked again each limit while the answer stays away", async () => {
  const { watch, pass, probes } = setUp(() => true);
  const slow = Promise.withResolvers<Response>();
  const waiting = watch.wait(slow.promise, 100, dead);
  await pass(100);
  await pass(100);
  slow.resolve(new Response("c"));
  expect(await (await waiting).text()).toBe("c");
  await pass(100);
  expect(probes).toEqual([100, 200]);
});

test("an answer after the wait has ended is let go", async () => {
  const { watch, pass } = setUp(() => false);
  const late = Promise.withResolvers<Response>();
  const failed = watch.wait(late.promise, 100, dead).catch((thrown: unknown) => thrown);
  await pass(100);
  await failed;
  const cancelled = Promise.withResolvers<void>();
  late.resolve(new Response(new ReadableStream({ cancel: () => cancelled.resolve() })));
  await cancelled.promise;
});

test("a failure of the call is its own", async () => {
  const { watch } = setUp(() => true);
  const failed = watch.wait(Promise.reject(new Error("reset")), 100, dead);
  expect(await failed.catch((thrown: unknown) => thrown)).toEqual(new Error("reset"));
});
