/** One timer for many deadlines: none missed, none early, none twice. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { type Expiring, ExpiryQueue } from "./expiry.ts";

function setup() {
  const clock = createVirtualClock(0);
  const queue = new ExpiryQueue(clock);
  const rung: string[] = [];
  const entry = (name: string, dueMs: number): Expiring => ({
    place: -1,
    dueMs,
    expire: () => rung.push(`${name} at ${clock.now()}`),
  });
  return { clock, queue, rung, entry };
}

test("each rings at its own time, in whatever order they came", async () => {
  const { clock, queue, rung, entry } = setup();
  for (const [name, dueMs] of [
    ["late", 300],
    ["early", 100],
    ["middle", 200],
  ] as const)
    queue.add(entry(name, dueMs));
  await clock.advance(1_000);
  expect(rung).toEqual(["early at 100", "middle at 200", "late at 300"]);
  expect(clock.pending).toBe(0);
});

test("what ended in time is not rung, and what was moved later rings then", async () => {
  const { clock, queue, rung, entry } = setup();
  const ended = entry("ended", 100);
  const moved = entry("moved", 100);
  queue.add(ended);
  queue.add(moved);
  queue.remove(ended);
  moved.dueMs = 500;
  await clock.advance(499);
  expect(rung).toEqual([]);
  await clock.advance(1);
  expect(rung).toEqual(["moved at 500"]);
});

test("a deadline moved to an earlier time is told of", async () => {
  const { clock, queue, rung, entry } = setup();
  const one = entry("one", 10_000);
  queue.add(one);
  one.dueMs = 50;
  queue.sooner(one);
  await clock.advance(60);
  expect(rung).toEqual(["one at 50"]);
});

test("one that rings may take another out", async () => {
  const { clock, queue, rung, entry } = setup();
  const second = entry("second", 100);
  queue.add({ place: -1, dueMs: 100, expire: () => queue.remove(second) });
  queue.add(second);
  await clock.advance(200);
  expect(rung).toEqual([]);
});

test("a thousand that end in time leave one timer", () => {
  const { clock, queue, entry } = setup();
  for (let i = 0; i < 1_000; i++) {
    const one = entry("one", 60_000 + i);
    queue.add(one);
    queue.remove(one);
  }
  expect(clock.pending).toBe(1);
});
