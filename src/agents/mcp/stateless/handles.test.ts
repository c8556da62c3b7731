/** What callers are given to come back with is good for them alone, and for what they asked. */
import { expect, test } from "bun:test";
import type { Caller } from "../../../domain/call.ts";
import { createSealer } from "../../../security/sealing.ts";
import { systemClock } from "../../../std/clock.ts";
import { createHandles } from "./handles.ts";

const secrets = { current: "a secret that gateways share", previous: [] };
let nowMs = 1_000;
const clock = { ...systemClock, now: () => nowMs };
const inOneProcess = createHandles(
  createSealer(() => Promise.resolve(secrets)),
  clock,
);
const inAnother = createHandles(
  createSealer(() => Promise.resolve(secrets)),
  clock,
);
const ann: Caller = { id: "ann", tenant: "default", admin: false };
const bob: Caller = { ...ann, id: "bob" };
const call = { method: "tools/call", params: { name: "buy", arguments: { a: 1, b: [2] } } };

test("a task's id is read by every process, for its caller alone", async () => {
  const shown = await inOneProcess.sealTask(ann, { server: "shop", id: "17" });
  expect(await inAnother.openTask(ann, shown)).toEqual({ server: "shop", id: "17" });
  expect(await inAnother.openTask(bob, shown)).toBeUndefined();
  for (const wrong of ["17", "", `${shown}x`, "x".repeat(200_000)])
    expect(await inAnother.openTask(ann, wrong)).toBeUndefined();
});

const others = [
  [
    "the same, its fields in another order",
    ann,
    { ...call.params, arguments: { b: [2], a: 1 } },
    true,
  ],
  ["another caller's", bob, call.params, false],
  ["another tool's", ann, { ...call.params, name: "sell" }, false],
  ["with other arguments", ann, { ...call.params, arguments: { a: 1, b: [3] } }, false],
] as const;
test.each(others)(
  "a question's state on a request that is %s",
  async (_, caller, params, isGood) => {
    const state = await inOneProcess.sealState(ann, call, { upstream: "opaque" });
    const opened = await inAnother.openState(caller, { ...call, params }, state);
    expect(opened).toEqual(isGood ? { upstream: "opaque" } : undefined);
  },
);

test("a state grows old", async () => {
  const state = await inOneProcess.sealState(ann, call, { call: "waits" });
  expect(await inOneProcess.openState(ann, call, state)).toEqual({ call: "waits" });
  nowMs += 3_600_001;
  expect(await inOneProcess.openState(ann, call, state)).toBeUndefined();
});
