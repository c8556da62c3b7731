/** The event log with its real background thread and real processes: crash, kill, close. */
import { Database } from "bun:sqlite";
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createBackground } from "../src/std/background.ts";
import { systemClock } from "../src/std/clock.ts";
import { batchRowLimit } from "../src/storage/event-batch.ts";
import { defaultRetention } from "../src/storage/event-log.ts";
import { createSqliteEventLog } from "../src/storage/sqlite/event-log.ts";
import type { BackgroundApi, LogEvent } from "../src/worker.ts";
import { callEvent, callIdOf } from "./support/events.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-worker-"));
  folders.push(folder);
  return folder;
}

function count(dataDir: string): number {
  const db = new Database(join(dataDir, "events.db"), { readonly: true });
  const { n } = db.query("SELECT count(*) AS n FROM calls").get() as { n: number };
  db.close();
  return n;
}

function start(dataDir: string) {
  const workers: Worker[] = [];
  const notes: string[] = [];
  const background = createBackground<BackgroundApi>({
    spawn: () => {
      const worker = new Worker(new URL("../src/worker.ts", import.meta.url).href);
      workers.push(worker);
      return worker;
    },
    clock: systemClock,
    onCrash: (message) => notes.push(`crash: ${message}`),
  });
  background.on("log", (line) => notes.push((line as LogEvent).message));
  const log = createSqliteEventLog({
    remote: background.service("events"),
    dataDir,
    retention: defaultRetention,
    clock: systemClock,
    onDropped: (rows, because) => notes.push(`dropped ${rows}: ${because}`),
    onHealth: (error) => notes.push(error ?? "healthy"),
  });
  background.onRestart(log.restarted);
  return { log, background, workers, notes };
}

describe("event log in the background thread", () => {
  test("keeps 5,000 calls and their receipts; close leaves nothing behind", async () => {
    const dataDir = newFolder();
    const { log, background, notes } = start(dataDir);
    for (let n = 0; n < 5_000; n++) {
      log.append(callEvent(n));
      if (n % 200 === 0) await new Promise(setImmediate);
    }
    expect(await log.findReceipt(callIdOf(4_999))).toMatchObject({ requestId: "request-4999" });
    await log.flush();
    const feedback = { callId: callIdOf(17), score: 1, source: "user", atMs: 1 };
    expect(await log.addFeedback(feedback)).toBe(true);
    expect(await log.findReceipt(callIdOf(17))).toEqual({
      ...callEvent(17).receipt,
      feedback: [feedback],
    });
    for (let n = 5_000; n < 5_100; n++) log.append(callEvent(n));
    await log.close();
    background.close();
    expect([count(dataDir), log.dropped(), notes]).toEqual([5_100, 0, []]);
  });

  test("a thread that dies is replaced, and what it had not written is written again", async () => {
    const dataDir = newFolder();
    const { log, background, workers, notes } = start(dataDir);
    log.append(callEvent(1));
    await log.flush();
    workers[0]?.terminate();
    for (let n = 2; n < 100; n++) log.append(callEvent(n));
    await new Promise<void>((resolve) => {
      background.onRestart(resolve);
    });
    await log.flush();
    await log.close();
    background.close();
    expect(count(dataDir)).toBe(99);
    expect(workers).toHaveLength(2);
    expect(notes.some((note) => note.startsWith("crash"))).toBe(true);
    expect(log.status()).toEqual({ backend: "sqlite" });
  });
});

describe("a process with an event log", () => {
  /** Appends until told otherwise, and prints how many it has appended. */
  const program = `
    import { start } from ${JSON.stringify(join(import.meta.dir, "support", "event-process.ts"))};
    start(process.argv[1]);
  `;
  async function runUntil(dataDir: string, signal: "SIGKILL" | "SIGTERM"): Promise<number> {
    const child = Bun.spawn([process.execPath, "-e", program, dataDir], {
      stdout: "pipe",
      stderr: "inherit",
    });
    let printed = "";
    for await (const chunk of child.stdout) {
      printed += new TextDecoder().decode(chunk);
      const lines = printed.split("\n");
      if (!child.killed && Number(lines.at(-2) ?? 0) > 3_000) child.kill(signal);
    }
    await child.exited;
    return Number(printed.split("\n").at(-2));
  }

  test("kill -9 costs at most one batch", async () => {
    const dataDir = newFolder();
    const appended = await runUntil(dataDir, "SIGKILL");
    expect(appended).toBeGreaterThan(3_000);
    // What was printed last may be older than what was appended last; never the other way round.
    expect(appended - count(dataDir)).toBeLessThanOrEqual(batchRowLimit);
    const db = new Database(join(dataDir, "events.db"));
    expect(db.query("PRAGMA integrity_check").get()).toEqual({ integrity_check: "ok" });
    db.close();
  });

  test("SIGTERM costs nothing", async () => {
    const dataDir = newFolder();
    const appended = await runUntil(dataDir, "SIGTERM");
    expect(count(dataDir)).toBe(appended);
  });
});
