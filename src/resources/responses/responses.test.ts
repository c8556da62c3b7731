/** Who may see a stored response, and what becomes of a job whose process is gone. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { createMemoryResponseStore } from "../../storage/memory/response-store.ts";
import { defaultResponseLimits } from "../../storage/response-store.ts";
import { leaseMs } from "./jobs.ts";
import { type Asking, createResponses } from "./responses.ts";

const owner: Caller = { id: "key-1", tenant: "default", admin: false };
const other: Caller = { id: "key-2", tenant: "default", admin: false };
const admin: Caller = { id: "master", tenant: "default", admin: true };

async function world(status: string) {
  const clock = createVirtualClock();
  const store = createMemoryResponseStore(defaultResponseLimits, clock);
  const response = { id: "resp_1", status, background: true, output: [] };
  await store.put({
    id: "resp_1",
    caller: owner.id,
    createdMs: clock.now(),
    requestedModel: "auto",
    deployment: "d",
    candidate: "m",
    kept: { response, input: [] },
  });
  const responses = createResponses(store, clock);
  const ask = (caller: Caller): Asking => ({
    id: "resp_1",
    caller,
    query: new URLSearchParams(),
    signal: new AbortController().signal,
    services: {} as Services, // nothing here asks a provider
  });
  return { clock, store, responses, ask };
}

test.each([
  ["its maker", owner, true],
  ["another key", other, false],
  ["an admin", admin, true],
])("%s", async (_who, caller, seen) => {
  const { responses, ask } = await world("completed");
  const outcome = (work: Promise<unknown>) =>
    work.then(
      () => "seen",
      (error) => error.code,
    );
  const expected = seen ? "seen" : "not_found";
  expect(await outcome(responses.retrieve(ask(caller)))).toBe(expected);
  expect(await outcome(responses.inputItems(ask(caller)))).toBe(expected);
  expect(await outcome(responses.cancel(ask(caller)))).toBe(expected);
  expect(await outcome(responses.remove(ask(caller)))).toBe(expected);
});

describe("a job of a process that is gone", () => {
  test("is under way as long as its lease", async () => {
    const { clock, store, responses, ask } = await world("in_progress");
    await store.renew({ id: "resp_1", untilMs: clock.now() + leaseMs });
    expect(await responses.retrieve(ask(owner))).toMatchObject({ status: "in_progress" });
    await clock.advance(leaseMs + 1);
    const failed = (await responses.retrieve(ask(owner))) as JsonObject;
    expect(failed).toMatchObject({ status: "failed", error: { code: "server_error" } });
    expect((await store.find("resp_1"))?.kept?.response).toEqual(failed);
  });

  test("that never had one has failed soon", async () => {
    const { clock, responses, ask } = await world("queued");
    await clock.advance(leaseMs + 1);
    expect(await responses.retrieve(ask(owner))).toMatchObject({ status: "failed" });
  });
});

test("another process is asked to end its job", async () => {
  const { clock, store, responses, ask } = await world("in_progress");
  await store.renew({ id: "resp_1", untilMs: clock.now() + leaseMs });
  const cancelled = responses.cancel(ask(owner));
  await clock.advance(300);
  expect(await store.renew({ id: "resp_1", untilMs: clock.now() + leaseMs })).toBe("stop");
  const row = await store.find("resp_1");
  if (!row?.kept) throw new Error("the row is gone");
  const response = { ...row.kept.response, status: "cancelled" };
  await store.update({ ...row, kept: { ...row.kept, response } });
  await clock.advance(300);
  expect(await cancelled).toMatchObject({ status: "cancelled" });
});
