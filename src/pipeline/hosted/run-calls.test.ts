/** Calls of one round: so many at once, in the order of their coming, each with an end. */
import { expect, test } from "bun:test";
import type { HostedResult, HostedToolSettings } from "../../domain/hosted-tool.ts";
import { type CallToRun, type RunEvent, runCalls } from "./run-calls.ts";
import type { Offered } from "./toolbox.ts";

const settings: HostedToolSettings = {
  ...{ maxRounds: 4, maxCalls: 10, maxParallel: 2, maxTools: 9, maxMs: 1000 },
  maxResultBytes: 12,
};
const caller = { id: "a", tenant: "default", admin: false };

/** Tools that end when they are told to. */
function world(count: number) {
  const begun: number[] = [];
  const waiting: PromiseWithResolvers<HostedResult>[] = [];
  let most = 0;
  let running = 0;
  const calls = Array.from({ length: count }, (_, number): CallToRun => {
    const end = Promise.withResolvers<HostedResult>();
    waiting.push(end);
    const run = async () => {
      begun.push(number);
      most = Math.max(most, ++running);
      // The youngest of those that run ends first.
      if (running === 2) end.resolve({ text: "x" });
      try {
        return await end.promise;
      } finally {
        running -= 1;
      }
    };
    return { number, offered: { tool: { run } } as unknown as Offered, args: "{}" };
  });
  return { begun, waiting, calls, most: () => most };
}

const namesOf = (told: readonly RunEvent[]) =>
  told.map((each) => ("event" in each ? each.event.kind : `ran ${each.ran.call.number}`));

test("no more than max_parallel run at once, and the next begins when one ends", async () => {
  const { begun, waiting, calls, most } = world(5);
  const signal = new AbortController().signal;
  const of = { settings, caller, requestId: "r", signal, left: 10 };
  const told: RunEvent[] = [];
  for await (const each of runCalls(calls, of)) {
    told.push(each);
    if ("ran" in each) for (const at of begun) waiting[at]?.resolve({ text: "x" });
  }
  expect(most()).toBe(2);
  expect(begun).toEqual([0, 1, 2, 3, 4]);
  const ran = namesOf(told).filter((name) => name.startsWith("ran"));
  expect(ran.toSorted()).toEqual(["ran 0", "ran 1", "ran 2", "ran 3", "ran 4"]);
});

test("those over the turn's calls are told so, and do not run", async () => {
  const { begun, waiting, calls } = world(3);
  for (const { resolve } of waiting) resolve({ text: "twelve bytes and more" });
  const signal = new AbortController().signal;
  const results: string[] = [];
  const of = { settings, caller, requestId: "r", signal, left: 2 };
  for await (const each of runCalls(calls, of)) {
    if ("ran" in each) results.push(each.ran.result.text);
  }
  expect(begun).toEqual([0, 1]);
  expect(results.filter((text) => /all the tool calls that it may \(10\)/.test(text))).toHaveLength(
    1,
  );
  expect(
    results.filter((text) => /^twelve bytes\n\[cut: 12 of 21 bytes\]$/.test(text)),
  ).toHaveLength(2);
});

test("the signal ends the round, whether a tool listens or not", async () => {
  const { calls } = world(2);
  const stop = new AbortController();
  const of = { settings, caller, requestId: "r", signal: stop.signal, left: 10 };
  const rounds = runCalls(calls, of);
  await rounds.next();
  stop.abort(new Error("over"));
  await expect(
    (async () => {
      for await (const _ of rounds);
    })(),
  ).rejects.toThrow("over");
});
