/** Signs of the traffic: what later calls of a conversation say of the ones before. */
import { describe, expect, test } from "bun:test";
import { callEvent } from "../../../test/support/events.ts";
import type { CallEvent } from "../../domain/event.ts";
import { toEventLabel } from "./event-label.ts";
import { type SignedEvent, withSigns } from "./signs.ts";

const minute = 60_000;

function call(
  n: number,
  session: string | undefined,
  query: string,
  atMs: number,
  more: Partial<CallEvent["receipt"]> = {},
): CallEvent {
  const { receipt } = callEvent(n);
  return {
    tenant: "t",
    queryHash: query,
    ...(session === undefined ? {} : { sessionHash: session }),
    receipt: { ...receipt, atMs, outcome: "success", ...more },
  };
}

async function* stream(events: readonly CallEvent[]) {
  yield* events;
}

async function signed(events: readonly CallEvent[]): Promise<SignedEvent[]> {
  const found = [];
  for await (const one of withSigns(stream(events))) found.push(one);
  return found;
}

const names = (found: readonly SignedEvent[]) =>
  found.map(({ signs }) => signs.map(({ name }) => name).join());

test("asked again, gone on, too late, another conversation", async () => {
  const found = await signed([
    call(1, "a", "q1", 0),
    call(2, "b", "q1", 1),
    call(3, "a", "q1", minute), // the first once more
    call(4, "a", "q2", 2 * minute),
    call(5, "b", "q1", 40 * minute), // the same, much later
    call(6, "a", "q3", 50 * minute),
    call(7, undefined, "q1", 50 * minute),
  ]);
  expect(found.map(({ event }) => event.receipt.callId)).toEqual(
    [1, 2, 3, 4, 5, 6, 7].map((n) => callEvent(n).receipt.callId),
  );
  expect(names(found)).toEqual(["regenerated", "", "continued", "", "", "", ""]);
});

test("a failed call that is tried again says nothing of its answer", async () => {
  const failed = call(1, "a", "q1", 0, { outcome: "failure" });
  const found = await signed([failed, call(2, "a", "q1", minute)]);
  expect(names(found)).toEqual(["", ""]);
  expect(toEventLabel(failed.receipt)).toMatchObject({ score: 0, source: "outcome" });
});

test("many conversations at once keep their order, and memory its bounds", async () => {
  const events = Array.from({ length: 10_000 }, (_, n) => call(n, `s${n % 5_000}`, `q${n}`, n));
  const found = await signed(events);
  expect(found.map(({ event }) => event.queryHash)).toEqual(events.map((e) => e.queryHash));
});

describe("labels", () => {
  const { receipt } = call(1, "a", "q", 0);
  const bad = { name: "form", score: 0 } as const;
  const good = { name: "continued", score: 1 } as const;
  const said = (score: number, source: string) => ({ callId: "c", score, source, atMs: 1 });
  test("the worst sign counts, and people stand above it", () => {
    expect(toEventLabel(receipt, [bad, good])).toEqual({ score: 0, source: "implicit" });
    expect(toEventLabel(receipt, [good])).toEqual({ score: 1, source: "implicit" });
    expect(toEventLabel(receipt, [])).toBeUndefined();
    const heard = { ...receipt, feedback: [said(0.9, "user"), said(0.1, "judge:m@grade-1")] };
    expect(toEventLabel(heard, [bad])).toEqual({ score: 0.9, source: "feedback" });
  });
  test("the form of an answer is a sign", async () => {
    const odd = call(1, undefined, "q", 0, { form: { of: "json", valid: false } });
    const [one] = await signed([odd]);
    expect(one?.signs).toEqual([bad]);
  });
});

test("a question that comes again and again is no complaint", async () => {
  const found = await signed(Array.from({ length: 8 }, (_, n) => call(n + 1, "a", "q", n * 1000)));
  expect(names(found)).toEqual([...Array(3).fill("regenerated"), ...Array(5).fill("")]);
});
