/** Reading the event log from outside: while it is written, from folders that are read-only, and not at all. */
import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anyEvent, callEvent, callIdOf } from "../../../test/support/events.ts";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { CallEvent } from "../../domain/event.ts";
import { createRandom } from "../../std/random.ts";
import { createBatchBuilder } from "../event-batch.ts";
import { defaultRetention } from "../event-log.ts";
import { createSqliteEventSink } from "./event-sink.ts";
import { openEvents, readEvents } from "./read-events.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function setUp() {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-read-"));
  folders.push(dataDir);
  const sink = createSqliteEventSink({
    dataDir,
    retention: defaultRetention,
    clock: createVirtualClock(),
    log: () => undefined,
  });
  const write = (events: readonly CallEvent[]) => {
    const builder = createBatchBuilder(1 << 22);
    for (const event of events) builder.add(event);
    sink.write(builder.take().bytes);
  };
  return { dataDir, sink, write };
}

const collect = (events: AsyncIterable<CallEvent>) => Array.fromAsync(events);

describe("readEvents", () => {
  test("gives what was written, in order, with feedback, over many pages, while writing", async () => {
    const { dataDir, sink, write } = setUp();
    const random = createRandom(4);
    const events = Array.from({ length: 1_200 }, (_, n) => anyEvent(random, n));
    for (let at = 0; at < events.length; at += 400) write(events.slice(at, at + 400));
    const feedback = [1, 0.25].map((score) => ({
      callId: callIdOf(777),
      score,
      source: "user",
      atMs: score,
    }));
    for (const one of feedback) sink.addFeedback(one);
    const reader = openEvents(dataDir);
    write([callEvent(5_000)]); // after opening: not part of this reading
    const read = await collect(reader.events());
    reader.close();
    const expected = events.map((event, n) =>
      n === 777 ? { ...event, receipt: { ...event.receipt, feedback } } : event,
    );
    expect(reader.rows).toBe(1_200);
    expect(read).toEqual(expected);
    expect(await collect(readEvents(`sqlite:${dataDir}/events.db`))).toHaveLength(1_201);
    sink.close();
  });

  test("a closed log in a folder without shared memory is read as it lies", async () => {
    const { dataDir, sink, write } = setUp();
    write([callEvent(1)]);
    sink.close();
    expect(await collect(readEvents(dataDir))).toEqual([callEvent(1)]);
  });

  test("finds one event", () => {
    const { dataDir, sink, write } = setUp();
    write([callEvent(1)]);
    const reader = openEvents(dataDir);
    expect(reader.find(callIdOf(1))).toEqual(callEvent(1));
    expect(reader.find("nobody")).toBeUndefined();
    reader.close();
    sink.close();
  });

  test.each([
    ["postgres://db/events", "invalid_request", /data folder or sqlite:PATH/],
    ["sqlite:/nowhere/at/all.db", "not_found", /no event log at \/nowhere/],
    ["/nowhere", "not_found", /--data-dir/],
  ])("%s is refused: %s", (source, code, message) => {
    expect(() => openEvents(source)).toThrow(message);
    expect(() => openEvents(source)).toThrow(expect.objectContaining({ code }));
  });

  test("a file that is no event log is refused, untouched", () => {
    const { dataDir } = setUp();
    const garbage = join(dataDir, "garbage.db");
    writeFileSync(garbage, "no database ".repeat(1_000));
    expect(() => openEvents(`sqlite:${garbage}`)).toThrow(/cannot be read.*not a database/);
    const theirs = join(dataDir, "theirs.db");
    const db = new Database(theirs, { create: true });
    db.run("CREATE TABLE t (a)");
    db.close();
    expect(() => openEvents(`sqlite:${theirs}`)).toThrow("is no event log");
  });
});
