/** Calls that wait for their caller's answers: one's own, bounded, and given up in the end. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../../../test/support/virtual-clock.ts";
import type { JsonObject } from "../../../domain/json.ts";
import { createSuspendedCalls, type Talk, type Turn } from "./suspended-calls.ts";

const never = new AbortController().signal;
const round = { signal: never };
const asks =
  (question: string, rounds = 1) =>
  async (talk: Talk): Promise<JsonObject> => {
    const given: JsonObject[] = [];
    for (let i = 0; i < rounds; i++)
      given.push((await talk.ask("elicitation/create", { question }, talk.signal)) as JsonObject);
    return { given };
  };

/** Questions are gathered for a moment: the clock has to go on for it. */
function createWorld() {
  const clock = createVirtualClock();
  const calls = createSuspendedCalls(clock);
  const settled = async <T>(work: Promise<T>): Promise<T> => {
    let done = false;
    void work.finally(() => (done = true)).catch(() => undefined);
    while (!done) {
      await clock.advance(1);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return await work;
  };
  return { clock, calls, settled };
}

const waiting = (turn: Turn | undefined) => {
  if (!turn || !("call" in turn)) throw new Error("it does not wait");
  return turn;
};

test("goes on with the answer, and asks again for what is missing", async () => {
  const { calls, settled } = createWorld();
  const first = waiting(await settled(calls.begin("ann", round, asks("Who?", 2))));
  const [key = ""] = Object.keys(first.asks);
  expect(first.asks[key]).toEqual({ method: "elicitation/create", params: { question: "Who?" } });
  const again = waiting(
    await settled(calls.resume("ann", first.call, { other: {}, [key]: 5 }, round)),
  );
  expect(again).toEqual(first);
  const second = waiting(
    await settled(calls.resume("ann", first.call, { [key]: { n: 1 } }, round)),
  );
  const [next = ""] = Object.keys(second.asks);
  expect(next).not.toBe(key);
  const last = await settled(calls.resume("ann", second.call, { [next]: { n: 2 } }, round));
  expect(last).toEqual({ result: { given: [{ n: 1 }, { n: 2 }] } });
  expect(await settled(calls.resume("ann", second.call, {}, round))).toBeUndefined();
});

test("is nobody else's, and given up where nobody answers", async () => {
  const { clock, calls, settled } = createWorld();
  let failed: unknown;
  const run = (talk: Talk) =>
    asks("Who?")(talk).catch((thrown) => {
      failed = thrown;
      throw thrown;
    });
  const { call } = waiting(await settled(calls.begin("ann", round, run)));
  expect(await settled(calls.resume("bob", call, {}, round))).toBeUndefined();
  await clock.advance(600_001);
  expect(String(failed)).toContain("nobody answered in time");
  expect(await settled(calls.resume("ann", call, {}, round))).toBeUndefined();
});

test("of one caller's many, the longest waiting one goes", async () => {
  const { calls, settled } = createWorld();
  const begun: string[] = [];
  for (let i = 0; i < 101; i++)
    begun.push(waiting(await settled(calls.begin("ann", round, asks("?")))).call);
  const [first = "", second = ""] = begun;
  expect(await settled(calls.resume("ann", first, {}, round))).toBeUndefined();
  expect(await settled(calls.resume("ann", second, {}, round))).toMatchObject({ call: second });
  calls.close();
});

test("who hangs up while it works ends it", async () => {
  const { calls } = createWorld();
  const caller = new AbortController();
  const run = (talk: Talk) =>
    new Promise<JsonObject>((_, reject) => {
      talk.signal.addEventListener("abort", () => reject(new Error("stopped")));
      caller.abort();
    });
  expect(calls.begin("ann", { signal: caller.signal }, run)).rejects.toThrow("stopped");
});
