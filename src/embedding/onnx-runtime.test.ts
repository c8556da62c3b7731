/** The ONNX thread's supervisor over threads of its own making: limits, restarts, an orderly end. */
import { describe, expect, test } from "bun:test";
import type { Clock } from "../std/clock.ts";
import { createOnnxRuntime, type OnnxThread } from "./onnx-runtime.ts";

/** A clock that moves when told. */
function createTestClock() {
  let now = 0;
  const timers = new Set<{ at: number; callback: () => void }>();
  const clock: Clock = {
    now: () => now,
    monotonicUs: () => now * 1000,
    after(delayMs, callback) {
      const timer = { at: now + delayMs, callback };
      timers.add(timer);
      return () => timers.delete(timer);
    },
  };
  return {
    clock,
    advance(ms: number) {
      now += ms;
      for (const timer of [...timers].filter((one) => one.at <= now)) {
        timers.delete(timer);
        timer.callback();
      }
    },
    timers,
  };
}

type Message = [id: number, service: string, method: string, params: { rows?: number }];

/** Threads that answer as told: at once, not at all, or by dying. */
function createWorld(maxWaiting = 4) {
  const time = createTestClock();
  const threads: { die: (reason: string) => void; terminated: boolean; sent: Message[] }[] = [];
  const state = { mode: "answer" as "answer" | "silent" | "die", opens: true };
  const spawn = (): OnnxThread => {
    let listener: (message: unknown) => void = () => undefined;
    let onDeath: (reason: string) => void = () => undefined;
    const thread = {
      die: (reason: string) => onDeath(reason),
      terminated: false,
      sent: [] as Message[],
    };
    threads.push(thread);
    return {
      post(message) {
        const [id, , method] = message as Message;
        thread.sent.push(message as Message);
        const opened = { session: threads.length, inputs: ["x"], outputs: ["y"] };
        const result = method === "open" ? opened : { data: new Float32Array([7]), rows: 1 };
        if (method === "open" ? state.opens : state.mode === "answer") {
          queueMicrotask(() => listener([id, true, result]));
        } else if (method !== "open" && state.mode === "die") onDeath("it crashed");
      },
      onMessage(set) {
        listener = set;
      },
      onDeath(set) {
        onDeath = set;
      },
      keepAlive: () => undefined,
      terminate() {
        thread.terminated = true;
      },
    };
  };
  const runtime = createOnnxRuntime({ clock: time.clock, spawn, maxWaiting, runTimeoutMs: 1000 });
  return { ...time, threads, state, runtime };
}

const one = new Float32Array([1]);

/** Lets what is queued happen: a microtask or a few, no time. */
async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve();
}

test("no thread before the first use, one for all sessions", async () => {
  const { runtime, threads, timers } = createWorld();
  expect(threads.length).toBe(0);
  const a = await runtime.openModel(new Uint8Array(1));
  const b = await runtime.openModel(new Uint8Array(1));
  expect([...(await a.run(one, 1)), ...(await b.run(one, 1))]).toEqual([7, 7]);
  expect(threads.length).toBe(1);
  expect(timers.size).toBe(0);
});

describe("a session outlives its thread", () => {
  test("that died during a run", async () => {
    const { runtime, threads, state, advance } = createWorld();
    const session = await runtime.openModel(new Uint8Array(1));
    state.mode = "die";
    await expect(session.run(one, 1)).rejects.toThrow("it crashed");
    state.mode = "answer";
    await expect(session.run(one, 1)).rejects.toThrow("rests");
    advance(100);
    expect(await session.run(one, 1)).toEqual(new Float32Array([7]));
    expect(threads.map((thread) => thread.terminated)).toEqual([true, false]);
    expect(threads[1]?.sent.map(([, , method]) => method)).toEqual(["open", "run"]);
  });

  test("that hung: it is ended at the time limit", async () => {
    const { runtime, threads, state, advance } = createWorld();
    const session = await runtime.openModel(new Uint8Array(1));
    state.mode = "silent";
    const both = Promise.allSettled([session.run(one, 1), session.run(one, 1)]);
    await settle();
    advance(1000);
    const [stuck, behind] = await both;
    expect(stuck).toHaveProperty("reason.code", "overloaded");
    expect(behind.status).toBe("rejected");
    expect(threads[0]?.terminated).toBe(true);
    state.mode = "answer";
    advance(100);
    expect(await session.run(one, 1)).toEqual(new Float32Array([7]));
  });

  test("and dies again and again: the rest grows, and is bounded", async () => {
    const { runtime, threads, state, advance } = createWorld();
    const session = await runtime.openModel(new Uint8Array(1));
    state.mode = "die";
    for (let i = 0; i < 12; i++) {
      await session.run(one, 1).catch(() => undefined);
      advance(30_000);
    }
    expect(threads.length).toBeGreaterThan(8);
    await session.run(one, 1).catch(() => undefined);
    await expect(session.run(one, 1)).rejects.toThrow("rests");
  });
});

describe("a model that takes long to open", () => {
  test("delays runs, and is no reason to end the thread", async () => {
    const { runtime, threads, state, advance } = createWorld();
    const session = await runtime.openModel(new Uint8Array(1));
    state.opens = false;
    state.mode = "silent";
    runtime.openModel(new Uint8Array(1)).catch(() => undefined);
    const run = session.run(one, 1).catch((thrown: Error) => thrown.message);
    await settle();
    advance(1500);
    expect(await run).toContain("over 1000 ms");
    expect(threads[0]?.terminated).toBe(false);
  });

  test("has a limit of its own", async () => {
    const { runtime, threads, state, advance } = createWorld();
    state.opens = false;
    const opening = runtime.openModel(new Uint8Array(1)).catch((thrown: Error) => thrown.message);
    await settle();
    advance(60_000);
    expect(await opening).toContain("over 60000 ms");
    expect(threads[0]?.terminated).toBe(true);
  });
});

test("one call too many is refused, the others are answered", async () => {
  const { runtime, state, advance } = createWorld(4);
  const session = await runtime.openModel(new Uint8Array(1));
  state.mode = "silent";
  const waiting = Array.from({ length: 4 }, () => session.run(one, 1));
  await settle();
  await expect(session.run(one, 1)).rejects.toHaveProperty("code", "overloaded");
  advance(1000);
  const results = await Promise.allSettled(waiting);
  expect(results.map((result) => result.status)).toEqual(Array(4).fill("rejected"));
});

test("close ends the thread and fails what waits, and what comes later", async () => {
  const { runtime, threads, state, timers } = createWorld();
  const session = await runtime.openModel(new Uint8Array(1));
  state.mode = "silent";
  const waiting = session.run(one, 1);
  await settle();
  runtime.close();
  await expect(waiting).rejects.toThrow("closed");
  await expect(session.run(one, 1)).rejects.toThrow("closed");
  expect(threads[0]?.terminated).toBe(true);
  expect(timers.size).toBe(0);
});

test("a closed session releases its model and runs no more", async () => {
  const { runtime, threads } = createWorld();
  const session = await runtime.openModel(new Uint8Array(1));
  session.close();
  await settle();
  expect(threads[0]?.sent.map(([, , method]) => method)).toEqual(["open", "release"]);
  await expect(session.run(one, 1)).rejects.toThrow("closed");
});
