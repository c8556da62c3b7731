/** Counting a long log turn after turn: the same sum as counting it whole, and nothing is counted again for a kill. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { EventReader, NumberedEvent } from "../../storage/sqlite/read-events.ts";
import { createCursorFile, observeLog, settledMs } from "./observe.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-observe-"));
afterAll(() => rmSync(temp, { recursive: true, force: true }));
let files = 0;

/** Calls a minute apart, every third with feedback. */
function logOf(count: number, from = 0) {
  const read: number[] = [];
  const at = (seq: number): NumberedEvent => {
    const feedback =
      seq % 3 === 0 ? [{ callId: `c${seq}`, score: 1, atMs: 0, source: "user" }] : [];
    const receipt = {
      callId: `c${seq}`,
      requestId: "r",
      timings: {},
      atMs: seq * 60_000,
      attempts: [],
      outcome: "success",
      feedback,
    };
    return { seq, event: { receipt, features: {} } as unknown as NumberedEvent["event"] };
  };
  const log = {
    ends: () => ({ firstEvent: from + 1, lastEvent: count, lastFeedback: 0 }),
    eventsAfter(seq: number, limit: number) {
      const first = Math.max(seq, from) + 1;
      const length = Math.max(0, Math.min(limit, count - first + 1));
      const page = Array.from({ length }, (_, i) => at(first + i));
      if (limit > 1) read.push(...page.map((one) => one.seq));
      return page;
    },
  };
  return { log: log as unknown as EventReader, read };
}

function watch() {
  const stop = new AbortController();
  const cursors = createCursorFile(join(temp, `${++files}.json`));
  let pauses = 0;
  return {
    stop,
    pauses: () => pauses,
    observing: (pausesLeft = Number.POSITIVE_INFINITY) => ({
      cursors,
      source: "log",
      signal: stop.signal,
      async pause() {
        pauses++;
        if (--pausesLeft <= 0) stop.abort(new Error("stopped"));
      },
    }),
    cursors,
  };
}

test("what is old is counted once; a turn reads the last day and what is new", async () => {
  const { observing } = watch();
  const day = settledMs / 60_000;
  expect(await observeLog(logOf(6_000).log, observing())).toEqual({
    calls: 6_000,
    labelled: 2_000,
  });
  const next = logOf(6_300);
  expect(await observeLog(next.log, observing())).toEqual({ calls: 6_300, labelled: 2_100 });
  expect(next.read[0]).toBe(6_000 - day + 1);
  // What the log's retention took away stays counted.
  const shorter = logOf(6_300, 4_800);
  expect(await observeLog(shorter.log, observing())).toEqual({ calls: 6_300, labelled: 2_100 });
});

test("another log in its place is counted from its start", async () => {
  const { observing } = watch();
  await observeLog(logOf(6_000).log, observing());
  expect(await observeLog(logOf(3_000).log, observing())).toEqual({
    calls: 3_000,
    labelled: 1_000,
  });
});

test("it stops within a page, and goes on where it was written down", async () => {
  const first = watch();
  const stopped = observeLog(logOf(60_000).log, first.observing(100));
  expect(stopped).rejects.toThrow("stopped");
  await stopped.catch(() => undefined);
  expect(first.pauses()).toBe(100);
  expect(await first.cursors.read("log")).toMatchObject({ seq: 40_000, calls: 40_000 });
  const again = watch();
  await again.cursors.write("log", await first.cursors.read("log"));
  const next = logOf(60_000);
  const counted = await observeLog(next.log, again.observing());
  expect(counted).toEqual({ calls: 60_000, labelled: 20_000 });
  expect(next.read[0]).toBe(40_001);
});
