/** The serving side of the event log against a sink that a test can break. */
import { describe, expect, test } from "bun:test";
import { callEvent, callIdOf } from "../../test/support/events.ts";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import type { Feedback } from "../domain/decision.ts";
import { batchDelayMs, createBufferedEventLog } from "./buffered-event-log.ts";
import { decodeBatch } from "./event-batch.ts";
import type { EventSink } from "./event-log.ts";
import { createMemoryEventLog } from "./memory/event-log.ts";

function setUp(queueByteLimit?: number) {
  const clock = createVirtualClock();
  const rows: string[] = [];
  const feedback: Feedback[] = [];
  const notes: string[] = [];
  const world = {
    error: "",
    hang: undefined as Promise<void> | undefined,
    writes: 0,
    closed: false,
  };
  const sink: EventSink = {
    persistent: true,
    probe: async () =>
      world.error ? { stored: false, error: world.error } : { stored: true as const },
    async write(bytes) {
      world.writes++;
      await world.hang;
      if (world.error === "crash") throw new Error("the thread is gone");
      if (world.error) return { stored: false, error: world.error };
      for (const { receipt } of decodeBatch(bytes)) rows.push(receipt.callId);
      return { stored: true };
    },
    async addFeedback(one) {
      if (world.error) return { error: world.error };
      if (!rows.includes(one.callId)) return "unknown";
      feedback.push(one);
      return "recorded";
    },
    find: async (callId) =>
      rows.includes(callId) ? { ...callEvent(1).receipt, callId } : undefined,
    async close() {
      world.closed = true;
    },
  };
  const log = createBufferedEventLog({
    sink,
    clock,
    onDropped: (count, because) => notes.push(`dropped ${count}: ${because}`),
    onHealth: (error) => notes.push(error ?? "healthy"),
    ...(queueByteLimit !== undefined && { queueByteLimit }),
  });
  return { clock, rows, feedback, notes, world, log };
}

const thumbs = (n: number): Feedback => ({
  callId: callIdOf(n),
  score: 1,
  source: "user",
  atMs: 1,
});

describe("buffered event log", () => {
  test("writes one batch per delay, not per event", async () => {
    const { log, clock, rows, world } = setUp();
    for (let n = 0; n < 20; n++) log.append(callEvent(n));
    expect(world.writes).toBe(0);
    await clock.advance(batchDelayMs);
    expect([world.writes, rows.length]).toEqual([1, 20]);
    expect(clock.pending).toBe(0); // an idle log runs no timer
  });

  test("a receipt and its feedback are there as soon as append returns", async () => {
    const { log, feedback } = setUp();
    log.append(callEvent(7));
    expect((await log.findReceipt(callIdOf(7)))?.requestId).toBe("request-7");
    expect(await log.addFeedback(thumbs(7))).toBe(true);
    expect(feedback).toEqual([thumbs(7)]);
    expect(await log.addFeedback(thumbs(8))).toBe(false);
    expect(await log.findReceipt(callIdOf(8))).toBeUndefined();
  });

  test.each(["disk full", "crash"])(
    "after %s it goes on in memory, then catches up",
    async (how) => {
      const { log, clock, rows, feedback, notes, world } = setUp();
      log.append(callEvent(0));
      await log.flush();
      world.error = how;
      for (let n = 1; n < 4; n++) log.append(callEvent(n));
      await clock.advance(batchDelayMs);
      const reason = how === "crash" ? "the thread is gone" : how;
      expect(log.status()).toEqual({ backend: "memory", error: reason });
      expect(await log.findReceipt(callIdOf(2))).toMatchObject({ requestId: "request-2" });
      expect(await log.addFeedback(thumbs(2))).toBe(true);
      expect((await log.findReceipt(callIdOf(2)))?.feedback).toEqual([thumbs(2)]);
      // A call that rests in the broken store cannot be looked up: an error, not "unknown".
      expect(await log.addFeedback(thumbs(0)).catch((e) => e.code)).toBe("storage_failed");
      expect(await log.flush().catch((e) => e.code)).toBe("storage_failed");
      await clock.advance(60_000);
      world.error = "";
      await clock.advance(60_000);
      expect(rows).toEqual([0, 1, 2, 3].map(callIdOf));
      expect(feedback).toEqual([thumbs(2)]);
      expect(log.status()).toEqual({ backend: "sqlite" });
      expect(notes).toEqual([reason, "healthy"]);
      expect(log.dropped()).toBe(0);
    },
  );

  test("past its limit the oldest rows go, counted; the batch being written stays", async () => {
    const { log, clock, rows, notes, world } = setUp(20_000);
    let release: (() => void) | undefined;
    world.hang = new Promise((resolve) => {
      release = resolve;
    });
    for (let n = 0; n < 40; n++) {
      log.append(callEvent(n));
      await clock.advance(batchDelayMs);
    }
    const lost = log.dropped();
    expect(lost).toBeGreaterThan(20);
    release?.();
    world.hang = undefined;
    await log.flush();
    expect(rows).toHaveLength(40 - lost);
    expect(rows[0]).toBe(callIdOf(0));
    expect(rows.at(-1)).toBe(callIdOf(39));
    expect(notes[0]).toStartWith("dropped 1: events come faster");
  });

  test("a sink that fails from the start is seen before the first event, and when it is well", async () => {
    const { log, clock, notes, world } = setUp();
    world.error = "no folder";
    log.retry();
    await clock.advance(5_000);
    expect(log.status().error).toBe("no folder");
    world.error = "";
    await clock.advance(20_000);
    expect(log.status()).toEqual({ backend: "sqlite" });
    expect(notes).toEqual(["no folder", "healthy"]);
    expect(clock.pending).toBe(0);
  });

  test("close writes what is open; what cannot be written is counted", async () => {
    const whole = setUp();
    whole.log.append(callEvent(1));
    await whole.log.close();
    expect([whole.rows.length, whole.world.closed, whole.log.dropped()]).toEqual([1, true, 0]);
    whole.log.append(callEvent(2)); // too late
    expect(whole.log.dropped()).toBe(1);

    const broken = setUp();
    broken.world.error = "disk full";
    broken.log.append(callEvent(1));
    await broken.log.close();
    expect(broken.log.dropped()).toBe(1);
    expect(broken.notes).toEqual(["disk full", "dropped 1: disk full"]);
    expect(broken.clock.pending).toBe(0);
  });
});

test("the memory log keeps the last receipts with their feedback, within its bytes", async () => {
  const clock = createVirtualClock();
  const log = createMemoryEventLog({ clock, byteLimit: 50_000 });
  for (let n = 0; n < 100; n++) {
    log.append(callEvent(n));
    await clock.advance(batchDelayMs);
  }
  expect(await log.addFeedback(thumbs(99))).toBe(true);
  expect((await log.findReceipt(callIdOf(99)))?.feedback).toEqual([thumbs(99)]);
  expect(await log.findReceipt(callIdOf(0))).toBeUndefined();
  expect(await log.addFeedback(thumbs(0))).toBe(false);
  expect(log.status()).toEqual({ backend: "memory" });
  expect(log.dropped()).toBe(0);
});
