/** The line of waiting calls: order, bounds, and every way out of it. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { GatewayError } from "../domain/errors.ts";
import { createWaitingRoom, overloaded } from "./waiting-room.ts";

function world(maxQueued = 100) {
  const clock = createVirtualClock();
  const room = createWaitingRoom(maxQueued, clock);
  const served: string[] = [];
  const failed: string[] = [];
  function enter(name: string, priority = 100, keys = ["a"], limitMs = 10_000) {
    const tooLate = () => overloaded("it took too long", 1);
    const waiting = room.wait({ keys, priority, number: room.takeNumber(), limitMs, tooLate });
    waiting.turn.then(
      () => served.push(name),
      (thrown) => failed.push(`${name}:${thrown instanceof GatewayError ? thrown.code : thrown}`),
    );
    return waiting;
  }
  return { clock, room, served, failed, enter };
}

describe("the order", () => {
  test("best priority first, then first come", async () => {
    const it = world();
    it.enter("batch", 200);
    it.enter("one");
    it.enter("two");
    it.enter("urgent", 0);
    for (let i = 0; i < 4; i++) it.room.freed("a", 1);
    await it.clock.advance(0);
    expect(it.served).toEqual(["urgent", "one", "two", "batch"]);
    expect(it.clock.pending).toBe(0);
  });

  test("a slot goes to those who can use it; one who waits for several is told once", async () => {
    const it = world();
    it.enter("b only", 0, ["b"]);
    it.enter("either", 100, ["a", "b"]);
    it.room.freed("a", 5);
    await it.clock.advance(0);
    expect(it.served).toEqual(["either"]);
    it.room.freed("b", 5);
    await it.clock.advance(0);
    expect(it.served).toEqual(["either", "b only"]);
    expect(it.room.length).toBe(0);
  });

  test("one who waits again with its number keeps its place", async () => {
    const it = world();
    const number = it.room.takeNumber();
    it.enter("later");
    const tooLate = () => overloaded("", 1);
    const again = it.room.wait({ keys: ["a"], priority: 100, number, limitMs: 1_000, tooLate });
    again.turn.then(() => it.served.push("earlier"));
    it.room.freed("a", 2);
    await it.clock.advance(0);
    expect(it.served).toEqual(["earlier", "later"]);
  });
});

describe("the ways out", () => {
  test("where it is full, the worst is sent away: a newcomer among equals, else who waits", async () => {
    const it = world(2);
    it.enter("one");
    it.enter("two");
    it.enter("three");
    await it.clock.advance(0);
    expect(it.failed).toEqual(["three:overloaded"]);
    it.enter("urgent", 0);
    await it.clock.advance(0);
    expect(it.failed).toEqual(["three:overloaded", "two:overloaded"]);
    expect(it.room.length).toBe(2);
    expect(it.room.shed).toBe(2);
    it.room.limitTo(1);
    await it.clock.advance(0);
    expect(it.failed.at(-1)).toBe("one:overloaded");
  });

  test("time runs out; one who leaves is not told again", async () => {
    const it = world();
    it.enter("slow", 100, ["a"], 500);
    const gone = it.enter("gone");
    gone.leave(new GatewayError("caller_gone", "gone"));
    gone.leave(new GatewayError("caller_gone", "gone"));
    await it.clock.advance(1_000);
    expect(it.failed).toEqual(["gone:caller_gone", "slow:overloaded"]);
    it.room.freed("a", 3);
    await it.clock.advance(0);
    expect(it.served).toEqual([]);
    expect(it.clock.pending).toBe(0);
  });

  test("a long line with few priorities keeps its order", async () => {
    const it = world(1_000);
    for (let i = 0; i < 700; i++) it.enter(String(i), i % 7, ["a", "b", "c"]);
    for (let i = 0; i < 700; i++) it.room.freed("b", 1);
    await it.clock.advance(0);
    expect(it.served.map(Number)).toEqual(
      Array.from({ length: 700 }, (_, i) => i).sort((a, b) => (a % 7) - (b % 7) || a - b),
    );
  });
});
