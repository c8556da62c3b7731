/** Batches of events: nothing changes on the way, and limits hold. */
import { describe, expect, test } from "bun:test";
import { anyEvent, callEvent, callIdOf } from "../../test/support/events.ts";
import type { CallEvent } from "../domain/event.ts";
import { createRandom } from "../std/random.ts";
import {
  batchRowLimit,
  createBatchBuilder,
  decodeBatch,
  findInBatch,
  promptCharLimit,
} from "./event-batch.ts";

function unpack(bytes: Uint8Array): CallEvent[] {
  return [...decodeBatch(bytes)];
}

describe("event batch", () => {
  test.each(Array.from({ length: 50 }, (_, seed) => [seed]))(
    "keeps any event (seed %d)",
    (seed) => {
      const random = createRandom(seed);
      const events = Array.from({ length: 10 }, () => anyEvent(random));
      const builder = createBatchBuilder(1 << 20);
      for (const event of events) expect(builder.add(event)).toBe(true);
      expect(unpack(builder.take().bytes)).toEqual(events);
    },
  );

  test("a small builder splits, loses nothing, and is used again", () => {
    const random = createRandom(1);
    const events = Array.from({ length: 300 }, (_, n) => anyEvent(random, n));
    const builder = createBatchBuilder(4096);
    const unpacked: CallEvent[] = [];
    for (const event of events) {
      if (builder.add(event)) continue;
      unpacked.push(...unpack(builder.take().bytes));
      expect(builder.add(event)).toBe(true); // an empty builder takes even what is larger than it
    }
    unpacked.push(...unpack(builder.take().bytes));
    expect(unpacked).toEqual(events);
  });

  test("a shared page that is full goes as it is, and is used again once it is released", () => {
    const builder = createBatchBuilder(64 * 1024, true);
    const pages = new Set<ArrayBufferLike>();
    for (let round = 0; round < 20; round++) {
      const events: CallEvent[] = [];
      const next = () => callEvent(round * 1000 + events.length);
      while (builder.add(next())) events.push(next());
      const batch = builder.take();
      expect(builder.add(callEvent(7))).toBe(true); // the next page is open while this one is read
      pages.add(batch.bytes.buffer);
      expect(unpack(batch.bytes)).toEqual(events);
      batch.release();
      builder.take().release();
    }
    expect(pages.size).toBeLessThan(4);
    expect([...pages].every((page) => page instanceof SharedArrayBuffer)).toBe(true);
  });

  test("holds at most its row limit, and prompts are cut", () => {
    const builder = createBatchBuilder(1 << 24);
    const event = { ...callEvent(1), prompt: "é".repeat(promptCharLimit + 1) };
    expect(builder.add(event)).toBe(true);
    let rows = 1;
    while (builder.add({ ...event, prompt: "" })) rows++;
    expect(rows).toBe(batchRowLimit);
    expect(unpack(builder.take().bytes)[0]?.prompt).toHaveLength(promptCharLimit);
  });

  test("what is not a number is left out, and a call is found by its id", () => {
    const builder = createBatchBuilder();
    builder.add(callEvent(1, { costMicroUsd: Number.NaN }));
    builder.add(callEvent(2));
    for (const find of [builder.find, (id: string) => findInBatch(builder.take().bytes, id)]) {
      expect(find(callIdOf(2))).toEqual(callEvent(2).receipt);
    }
    builder.add(callEvent(1, { costMicroUsd: Number.NaN }));
    const { bytes } = builder.take();
    expect(findInBatch(bytes, callIdOf(1))).not.toHaveProperty("costMicroUsd");
    expect(findInBatch(bytes, callIdOf(3))).toBeUndefined();
  });
});
