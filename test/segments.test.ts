/** Segments: what is exported comes back, once, with its feedback, whatever was interrupted. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GatewayError } from "../src/domain/errors.ts";
import type { CallEvent } from "../src/domain/event.ts";
import type { StoreAccess } from "../src/learning/artifacts/open-repository.ts";
import { toS3Settings } from "../src/learning/artifacts/open-repository.ts";
import { exportOnce, followExport } from "../src/learning/events/event-export.ts";
import { readSource } from "../src/learning/events/event-source.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { createFileObjectStore } from "../src/storage/file/object-store.ts";
import { exportEvents, newPlace } from "../src/storage/segments/export-events.ts";
import { type SegmentFormat, segmentFormats } from "../src/storage/segments/write-segment.ts";
import { openEventStore } from "../src/storage/sqlite/event-store.ts";
import { openEvents } from "../src/storage/sqlite/read-events.ts";
import { callIdOf, learnedEvent } from "./support/events.ts";
import { startTestGateway } from "./support/gateway.ts";
import { missingS3Server, startS3Server } from "./support/s3-server.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

setDefaultTimeout(60_000);

const root = mkdtempSync(join(tmpdir(), "routeiq-segments-"));
afterAll(() => rmSync(root, { recursive: true }));
let folders = 0;
const newFolder = () => mkdtempSync(join(root, `${++folders}-`));

const access: StoreAccess = { outbound: createOutbound(), clock: systemClock, s3: {} };

/** A log of calls from..to, and feedback on every third. */
function makeLog(folder: string, from: number, to: number): void {
  const store = openEventStore(join(folder, "events.db"));
  const events = Array.from({ length: to - from }, (_, i) => learnedEvent(from + i));
  store.insert(events);
  for (const { receipt } of events.filter((_, i) => i % 3 === 0)) {
    store.addFeedback({
      callId: receipt.callId,
      score: 0.5,
      source: "user",
      atMs: receipt.atMs + 9,
    });
  }
  store.close();
}

async function readAll(source: string, problems: string[] = []): Promise<CallEvent[]> {
  const onProblem = (message: string) => void problems.push(message);
  return await Array.fromAsync(readSource(source, { store: access, onProblem }));
}

const plain = (events: readonly CallEvent[]) =>
  events
    .map(({ features, ...event }) => ({
      ...event,
      embedding: [...(features?.embedding ?? [])],
      buckets: [...(features?.lexicalBuckets ?? [])],
      counts: [...(features?.lexicalCounts ?? [])],
      shape: [...(features?.shape ?? [])],
    }))
    .sort((a, b) => (a.receipt.callId < b.receipt.callId ? -1 : 1));

describe.each([...segmentFormats])("%s", (format: SegmentFormat) => {
  test("what is exported comes back as it was", async () => {
    const [log, to] = [newFolder(), newFolder()];
    makeLog(log, 0, 250);
    const exported = await exportOnce({ source: log, to, format, segmentRows: 100 }, access);
    expect(exported).toMatchObject({ events: 250, feedback: 84, segments: 4, lost: 0 });
    expect(plain(await readAll(to))).toEqual(plain(await readAll(log)));
  });

  test("feedback that comes later joins its call; nothing is exported twice", async () => {
    const [log, to] = [newFolder(), newFolder()];
    makeLog(log, 0, 10);
    await exportOnce({ source: log, to, format }, access);
    const store = openEventStore(join(log, "events.db"));
    store.addFeedback({ callId: callIdOf(1), score: 1, source: "judge", atMs: 77 });
    store.close();
    const second = await exportOnce({ source: log, to, format }, access);
    expect(second).toMatchObject({ events: 0, feedback: 1, segments: 1 });
    expect(await exportOnce({ source: log, to, format }, access)).toMatchObject({ segments: 0 });
    expect(plain(await readAll(to))).toEqual(plain(await readAll(log)));
  });
});

test("a crash before the place is saved repeats a segment; readers see each call once", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 30);
  const reader = openEvents(log);
  const store = createFileObjectStore(to);
  const options = { reader, store, format: "jsonl", segmentRows: 20, waitForRows: 0 } as const;
  const place = newPlace();
  const crash = exportEvents({
    ...options,
    place,
    save: () => Promise.reject(new Error("killed")),
  });
  expect(crash).rejects.toThrow("killed");
  await crash.catch(() => undefined);
  // The log went on meanwhile, so that the same rows fall into other segments.
  makeLog(log, 30, 45);
  await exportEvents({ ...options, segmentRows: 45, place, save: async () => undefined });
  reader.close();
  const names = readdirSync(to, { recursive: true }).filter(
    (name) => `${name}`.includes("/events") || `${name}`.includes("events/dt"),
  );
  expect(names.length).toBeGreaterThan(1);
  expect((await readAll(to)).map(({ receipt }) => receipt.callId).sort()).toEqual(
    Array.from({ length: 45 }, (_, n) => callIdOf(n)),
  );
});

test("a broken segment is named and left out", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 40);
  await exportOnce({ source: log, to, format: "parquet", segmentRows: 100 }, access);
  makeLog(log, 40, 60);
  await exportOnce({ source: log, to, format: "parquet", segmentRows: 100 }, access);
  const [first = ""] = readdirSync(to, { recursive: true })
    .map(String)
    .filter((name) => /^events.*parquet$/.test(name))
    .sort();
  const path = join(to, first);
  writeFileSync(path, readFileSync(path).subarray(0, 2000));
  const problems: string[] = [];
  expect(await readAll(to, problems)).toHaveLength(20);
  expect(problems[0]).toContain(first);
});

test("calls that retention took before their turn are counted", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 20);
  const store = openEventStore(join(log, "events.db"));
  store.prune({ maxRows: 12, maxAgeDays: 1e6, maxBytes: 1e12 }, Date.now());
  store.close();
  expect(await exportOnce({ source: log, to, format: "jsonl" }, access)).toMatchObject({
    events: 12,
    lost: 8,
  });
});

test("another log in the same folder is another log", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 20);
  const one = await exportOnce({ source: log, to, format: "jsonl" }, access);
  rmSync(join(log, "events.db"));
  makeLog(log, 100, 105);
  const two = await exportOnce({ source: log, to, format: "jsonl" }, access);
  expect(two.place.log).not.toBe(one.place.log);
  expect(await readAll(to)).toHaveLength(25);
});

test("a spoilt place is refused with what to do", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 3);
  const placeFile = join(to, "place.json");
  writeFileSync(placeFile, "{}");
  const exported = exportOnce({ source: log, to, format: "jsonl", placeFile }, access);
  expect(exported).rejects.toThrow(/Remove it to export the log anew/);
});

test("following tries again when the target is away, and says so once", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 5);
  const blocked = join(to, "a-file");
  writeFileSync(blocked, "");
  const clock = createVirtualClock();
  const failed = Promise.withResolvers<void>();
  const stop = new AbortController();
  const failures: string[] = [];
  const done = Promise.withResolvers<number>();
  const following = followExport({ source: log, to: blocked, format: "jsonl" }, access, {
    intervalMs: 1000,
    clock,
    signal: stop.signal,
    onExport: ({ events }) => done.resolve(events),
    onFailure: (message) => {
      failures.push(message);
      rmSync(blocked);
      failed.resolve();
    },
  });
  await failed.promise;
  while (clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
  await clock.advance(2000);
  expect(await done.promise).toBe(5);
  stop.abort();
  await following;
  expect(failures).toHaveLength(1);
});

test("a gateway exports by itself, where its configuration says so", async () => {
  const [log, to] = [newFolder(), newFolder()];
  makeLog(log, 0, 12);
  const written = Promise.withResolvers<void>();
  const watcher = watch(to, { recursive: true }, (_event, name) => {
    if (/feedback.*gz$/.test(`${name}`)) written.resolve();
  });
  const yaml = `
model_list:
  - model_name: gpt
    litellm_params: {model: openai/gpt-4o-mini, api_key: k}
routeiq_settings:
  telemetry: {export: {to: "${to}", format: jsonl, interval_seconds: 3600}}
`;
  const { gateway } = await startTestGateway({ yaml, dataDir: log });
  try {
    await written.promise;
  } finally {
    watcher.close();
    await gateway.close();
  }
  expect(await readAll(to)).toHaveLength(12);
});

describe.skipIf(missingS3Server !== undefined)("a bucket", () => {
  test("segments of two gateways under one prefix; a read that fails is tried again", async () => {
    const server = await startS3Server();
    try {
      const s3: StoreAccess = { ...access, s3: toS3Settings(server.env) };
      const to = `s3://${server.bucket}/fleet/events`;
      for (const from of [0, 1000]) {
        const log = newFolder();
        makeLog(log, from, from + 60);
        await exportOnce({ source: log, to, format: "parquet", segmentRows: 100 }, s3);
      }
      let failed = 0;
      const flaky: StoreAccess = {
        ...s3,
        clock: { ...systemClock, after: (ms, run) => systemClock.after(ms === 250 ? 0 : ms, run) },
        outbound: {
          ...s3.outbound,
          fetch(request) {
            if (/parquet/.test(request.url) && request.method === "GET" && failed++ < 2) {
              throw new GatewayError("upstream_unreachable", "lost");
            }
            return s3.outbound.fetch(request);
          },
        },
      };
      const problems: string[] = [];
      const read = readSource(to, { store: flaky, onProblem: (said) => problems.push(said) });
      expect((await Array.fromAsync(read)).length).toBe(120);
      expect(failed).toBeGreaterThan(0);
      expect(problems).toEqual([]);
    } finally {
      await server.stop();
    }
  });
});
