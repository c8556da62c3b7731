/** The event database on real files: what is written comes back, and every mishap has an answer. */
import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anyEvent, callEvent, callIdOf } from "../../../test/support/events.ts";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Feedback } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import { createRandom } from "../../std/random.ts";
import { createBatchBuilder } from "../event-batch.ts";
import { parseEventJson, toEvent } from "../event-json.ts";
import { defaultRetention, type EventRetention } from "../event-log.ts";
import { createSqliteEventSink } from "./event-sink.ts";
import { schemaVersion } from "./schema.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-events-"));
  folders.push(folder);
  return folder;
}

function setUp(options: { retention?: EventRetention; dataDir?: string } = {}) {
  const dataDir = options.dataDir ?? newFolder();
  const clock = createVirtualClock();
  const logs: string[] = [];
  const limit = { pages: undefined as number | undefined };
  const sink = createSqliteEventSink({
    dataDir,
    retention: options.retention ?? defaultRetention,
    clock,
    log: (level, message) => logs.push(`${level}: ${message}`),
    maxPages: () => limit.pages,
  });
  const file = join(dataDir, "events.db");
  return { dataDir, file, clock, logs, limit, sink };
}

function pack(...events: CallEvent[]): Uint8Array {
  const builder = createBatchBuilder(1 << 20);
  for (const event of events) builder.add(event);
  return builder.take().bytes;
}

function count(file: string, table = "calls"): number {
  const db = new Database(file);
  const { n } = db.query(`SELECT count(*) AS n FROM ${table}`).get() as { n: number };
  db.close();
  return n;
}

function readAll(file: string): CallEvent[] {
  const db = new Database(file);
  const rows = db.query("SELECT * FROM events ORDER BY seq").all() as Record<string, Uint8Array>[];
  db.close();
  return rows.map((row) =>
    toEvent(parseEventJson(String(row["event"])), {
      embedding: row["embedding"] as Uint8Array,
      lexicalBuckets: row["lexical_buckets"] as Uint8Array,
      lexicalCounts: row["lexical_counts"] as Uint8Array,
      shape: row["shape"] as Uint8Array,
    }),
  );
}

const good: Feedback = { callId: callIdOf(1), score: 0.5, source: "user", comment: "ok", atMs: 5 };

describe("round trip", () => {
  test.each(Array.from({ length: 20 }, (_, seed) => [seed]))("any event (seed %d)", (seed) => {
    const { sink, file } = setUp();
    const random = createRandom(seed);
    const events = Array.from({ length: 20 }, (_, n) => anyEvent(random, n));
    expect(sink.write(pack(...events))).toEqual({ stored: true });
    for (const { receipt } of events) expect(sink.find(receipt.callId)).toEqual(receipt);
    expect(readAll(file)).toEqual(events);
    sink.close();
  });

  test("feedback joins its call; a batch written twice is there once", () => {
    const { sink, file } = setUp();
    sink.write(pack(callEvent(1), callEvent(2)));
    sink.write(pack(callEvent(1), callEvent(2)));
    expect(count(file)).toBe(2);
    expect(sink.addFeedback(good)).toBe("recorded");
    expect(sink.addFeedback({ ...good, callId: "nobody" })).toBe("unknown");
    expect(sink.find(callIdOf(1))).toEqual({ ...callEvent(1).receipt, feedback: [good] });
    expect(sink.find("nobody")).toBeUndefined();
    sink.close();
  });

  test("no one else can read it", () => {
    const { sink, file } = setUp();
    sink.write(pack(callEvent(1)));
    for (const suffix of ["", "-wal", "-shm"]) {
      expect(statSync(file + suffix).mode & 0o777).toBe(0o600);
    }
    sink.close();
  });

  test("columns can be queried as they are named", () => {
    const { sink, file } = setUp();
    sink.write(pack(callEvent(3)));
    const row = new Database(file)
      .query("SELECT requested_model, outcome, cost_micro_usd, first_token_ms FROM calls")
      .get();
    expect(row).toEqual({
      requested_model: "auto",
      outcome: "success",
      cost_micro_usd: 1234,
      first_token_ms: 210,
    });
    sink.close();
  });
});

describe("retention", () => {
  const cases: [string, Partial<EventRetention>, number][] = [
    ["rows", { maxRows: 10 }, 10],
    ["age", { maxAgeDays: 0.5 / 86_400 }, 0], // half a second; the clock moves a minute
    ["bytes", { maxBytes: 1 }, 0],
  ];
  test.each(cases)("by %s: the oldest go, with their feedback", async (_name, limit, left) => {
    const { sink, file, clock } = setUp({ retention: { ...defaultRetention, ...limit } });
    sink.write(pack(...Array.from({ length: 50 }, (_, n) => callEvent(n))));
    sink.addFeedback(good);
    expect(count(file)).toBe(50); // not on every write
    await clock.advance(61_000);
    sink.write(pack(callEvent(50, { atMs: clock.now() })));
    expect(count(file)).toBeWithin(left, left + 2);
    expect(count(file, "feedback")).toBe(0);
    sink.close();
  });
});

describe("mishaps", () => {
  test("a deleted file is written anew, with all its rows", () => {
    const { sink, file, logs } = setUp();
    sink.write(pack(callEvent(1)));
    sink.addFeedback(good);
    for (const suffix of ["", "-wal", "-shm"]) rmSync(file + suffix, { force: true });
    expect(sink.write(pack(callEvent(2)))).toEqual({ stored: true });
    expect(sink.find(callIdOf(1))?.feedback).toEqual([good]);
    expect(count(file)).toBe(2);
    expect(logs).toEqual([expect.stringMatching(/^warn: .*none is lost/)]);
    sink.close();
  });

  test("so is a deleted folder", () => {
    const { sink, file, dataDir } = setUp();
    sink.write(pack(callEvent(1)));
    rmSync(dataDir, { recursive: true });
    expect(sink.write(pack(callEvent(2)))).toEqual({ stored: true });
    expect(count(file)).toBe(2);
    sink.close();
    expect(count(file)).toBe(2); // closing the old handle took nothing of the new file
  });

  test("a file put in its place is used from then on", () => {
    const { sink, file, logs } = setUp();
    sink.write(pack(callEvent(1)));
    const other = setUp();
    other.sink.write(pack(callEvent(7)));
    other.sink.close();
    for (const suffix of ["-wal", "-shm"]) rmSync(file + suffix, { force: true });
    rmSync(file);
    writeFileSync(file, readFileSync(other.file));
    expect(sink.write(pack(callEvent(2)))).toEqual({ stored: true });
    expect(sink.find(callIdOf(7))).toBeDefined();
    expect(logs[0]).toContain("another file stands in its place");
    sink.close();
  });

  test("a full disk is said, and used again once there is room", () => {
    const { sink, limit, file } = setUp();
    sink.write(pack(callEvent(0)));
    sink.close();
    limit.pages = 15;
    const many = pack(...Array.from({ length: 100 }, (_, n) => callEvent(n + 1)));
    const refused = sink.write(many);
    expect(refused).toMatchObject({ stored: false, error: expect.stringContaining("is full") });
    expect(count(file)).toBe(1); // all of a batch or nothing
    expect(sink.find(callIdOf(0))).toBeDefined();
    sink.close();
    limit.pages = undefined;
    expect(sink.write(many)).toEqual({ stored: true });
    expect(count(file)).toBe(101);
    sink.close();
  });

  test("a folder that cannot be made is said, with what to do", () => {
    const blocker = join(newFolder(), "file");
    writeFileSync(blocker, "");
    const { sink } = setUp({ dataDir: join(blocker, "data") });
    expect(sink.write(pack(callEvent(1)))).toMatchObject({
      stored: false,
      error: expect.stringMatching(/cannot be written.*--data-dir/),
    });
    expect(() => sink.find("x")).toThrow("cannot be written");
    expect(sink.addFeedback(good)).toMatchObject({ error: expect.stringContaining("--data-dir") });
    rmSync(blocker);
    expect(sink.write(pack(callEvent(1)))).toEqual({ stored: true });
    sink.close();
  });

  test.each([
    ["not a database", () => Buffer.from("no database at all ".repeat(500))],
    ["damaged inside", (bytes: Buffer) => bytes.fill(0x5a, 4096)],
  ])("a file that is %s is moved aside, never deleted", (_name, damage) => {
    const { sink, file, dataDir, logs } = setUp();
    sink.write(pack(...Array.from({ length: 50 }, (_, n) => callEvent(n))));
    sink.close();
    const bad = damage(readFileSync(file));
    writeFileSync(file, bad);
    expect(sink.write(pack(callEvent(99)))).toEqual({ stored: true });
    expect(sink.find(callIdOf(99))).toBeDefined();
    const aside = readdirSync(dataDir).find((name) => /^events\.db\.damaged-[^w]*Z$/.test(name));
    expect(readFileSync(join(dataDir, aside ?? "none")).equals(bad)).toBe(true);
    expect(logs).toEqual([expect.stringMatching(/^error: .*damaged.*\.recover/)]);
    sink.close();
  });

  test.each([
    ["another program's", "CREATE TABLE theirs (a)", "another program"],
    ["a newer version's", `PRAGMA user_version = ${schemaVersion + 1}`, "newer routeiq"],
  ])("%s file is left untouched", (name, sql, says) => {
    const { sink, file, dataDir } = setUp();
    if (name.startsWith("a newer")) sink.write(pack(callEvent(1)));
    sink.close();
    const theirs = new Database(file, { create: true });
    theirs.run(sql);
    theirs.run("PRAGMA journal_mode = DELETE");
    theirs.close();
    const before = readFileSync(file);
    expect(sink.write(pack(callEvent(2)))).toMatchObject({
      stored: false,
      error: expect.stringContaining(says),
    });
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(dataDir)).toEqual(["events.db"]);
    sink.close();
  });

  test("two processes write to one file", () => {
    const { sink, dataDir, file } = setUp();
    const second = setUp({ dataDir }).sink;
    sink.write(pack(callEvent(1)));
    second.write(pack(callEvent(2)));
    sink.write(pack(callEvent(3)));
    expect(second.find(callIdOf(3))).toBeDefined();
    expect(count(file)).toBe(3);
    sink.close();
    second.close();
    expect(existsSync(`${file}-wal`)).toBe(false); // folded into the file at the last close
  });
});
