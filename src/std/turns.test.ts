/** Turns: their order and size, and that the sockets are heard in between. */
import { expect, test } from "bun:test";
import { Turns, turnShare, turnSize } from "./turns.ts";

/** Turns whose pauses end when the test says so. */
function createTurns() {
  const later: (() => void)[] = [];
  const turns = new Turns((run) => later.push(run));
  return { turns, scheduled: () => later.length, next: () => later.shift()?.() };
}

test("what waits is done in order, a turn's worth at a time", () => {
  const { turns, next, scheduled } = createTurns();
  const done: number[] = [];
  const count = 2 * turnSize + 3;
  for (let i = 0; i < count; i++) turns.add({ takeTurn: () => done.push(i) });
  expect(done).toEqual([]);
  const after: number[] = [];
  while (scheduled() > 0) {
    expect(scheduled()).toBe(1);
    next();
    after.push(done.length);
  }
  expect(after).toEqual([turnSize, 2 * turnSize, count]);
  expect(done).toEqual(Array.from({ length: count }, (_, i) => i));
});

test("of much that waits a turn takes more, so that it is done in time whatever else comes", () => {
  const { turns, next } = createTurns();
  let done = 0;
  const count = (8 * turnSize) / turnShare;
  for (let i = 0; i < count; i++) turns.add({ takeTurn: () => done++ });
  next();
  expect(done).toBe(count * turnShare);
});

test("what comes in a turn waits for another", () => {
  const { turns, next, scheduled } = createTurns();
  const done: string[] = [];
  turns.add({
    takeTurn() {
      done.push("first");
      turns.add({ takeTurn: () => done.push("second") });
    },
  });
  next();
  expect(done).toEqual(["first"]);
  next();
  expect(done).toEqual(["first", "second"]);
  expect(scheduled()).toBe(0);
});

test("one that throws takes nobody's turn", () => {
  const { turns, next } = createTurns();
  const done: number[] = [];
  for (let i = 0; i < turnSize; i++) turns.add({ takeTurn: () => done.push(i) });
  turns.add({
    takeTurn() {
      throw new Error("a mistake of ours");
    },
  });
  next();
  expect(next).toThrow("a mistake of ours");
  turns.add({ takeTurn: () => done.push(-1) });
  next();
  expect(done.at(-1)).toBe(-1);
});

test("the sockets are looked at between two turns", async () => {
  const turns = new Turns();
  const { promise, resolve } = Promise.withResolvers<number>();
  let done = 0;
  const one = {
    takeTurn() {
      if (++done < 100_000) turns.add(one);
      else resolve(done);
    },
  };
  const server = Bun.listen({
    hostname: "127.0.0.1",
    port: 0,
    socket: { data: () => resolve(done) },
  });
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port: server.port,
    socket: { data: () => undefined },
  });
  turns.add(one);
  socket.write("a call");
  expect(await promise).toBeLessThan(100_000);
  done = 100_000;
  socket.end();
  server.stop(true);
});
