/**
 * What a running gateway remembers and tells: the background thread, the event log, telemetry.
 * Started before the gateway, closed after it, so that nothing that happens between goes unseen.
 */
import type { RouteiqSettings } from "../config/config.ts";
import type { S3Settings } from "../learning/artifacts/open-repository.ts";
import { type Background, createBackground } from "../std/background.ts";
import { build } from "../std/build.ts";
import type { Clock } from "../std/clock.ts";
import type { Random } from "../std/random.ts";
import type { EventLog } from "../storage/event-log.ts";
import { createMemoryEventLog } from "../storage/memory/event-log.ts";
import type { RecordStore } from "../storage/record-store.ts";
import type { ResponseStore } from "../storage/response-store.ts";
import { createSqliteEventLog } from "../storage/sqlite/event-log.ts";
import { createSqliteRecordStore } from "../storage/sqlite/record-store.ts";
import { createSqliteResponseStore } from "../storage/sqlite/response-store.ts";
import { createSqliteVectorStore } from "../storage/sqlite/vectors.ts";
import type { VectorStore } from "../storage/vectors.ts";
import { createTelemetry, type GatewayTelemetry } from "../telemetry/create.ts";
import type { LogOptions } from "../telemetry/log.ts";
import type { OtlpSettings } from "../telemetry/otlp-thread.ts";
import type { Attributes, LogLevel } from "../telemetry/telemetry.ts";
import type { BackgroundApi, LogEvent } from "../worker.ts";
import { workerUrl } from "./worker-url.ts";

export interface ObservationOptions {
  readonly settings: RouteiqSettings["telemetry"];
  readonly responseLimits: RouteiqSettings["responses"];
  readonly dataDir: string;
  readonly log: Omit<LogOptions, "clock">;
  readonly clock: Clock;
  readonly random: Random;
  /** OTEL_RESOURCE_ATTRIBUTES: `a=b,c=d`. */
  readonly resourceAttributes?: string;
  /** For an export to S3. */
  readonly s3?: S3Settings;
  /** False where another process exports this folder's log. */
  readonly exports?: boolean;
}

export interface Observation {
  readonly telemetry: GatewayTelemetry;
  /** In memory alone where events are off: receipts can be read, nothing is kept. */
  readonly events: EventLog;
  /** Responses that the API keeps. */
  readonly responses: ResponseStore;
  /** Of every other API with memory. */
  readonly records: RecordStore;
  readonly vectors: VectorStore;
  /** Documents are read, embedded and searched beside all else; started when somebody asks. */
  readonly library: Background<BackgroundApi>;
  /** For whatever else is slow. */
  readonly background: Background<BackgroundApi>;
  /** Commits what is queued, sends what waits, ends the thread. */
  close(): Promise<void>;
}

export async function startObservation(options: ObservationOptions): Promise<Observation> {
  const { settings, clock } = options;
  const early: { level: LogLevel; message: string; fields: object }[] = [];
  let report = (level: LogLevel, message: string, fields: object): void => {
    early.push({ level, message, fields });
  };
  const background = createBackground<BackgroundApi>({
    // Next to this file in the source, and an entry point of its own in the binary.
    spawn: () => new Worker(workerUrl()),
    clock,
    onCrash: (error, crashes) =>
      report("error", "the background thread failed and is started again", { error, crashes }),
  });
  const otlp = toOtlpSettings(options);
  const telemetry = createTelemetry({
    clock,
    log: options.log,
    ...(otlp && { otlp: { ...otlp, remote: background.service("otlp") } }),
  });
  report = (level, message, fields) => telemetry.log(level, message, { ...fields });
  for (const { level, message, fields } of early) report(level, message, fields);
  background.on("log", (payload) => {
    const { level, message } = payload as LogEvent;
    report(level, message, {});
  });
  background.onRestart(telemetry.restarted);
  const events = settings.events
    ? createStoredLog(options, background, telemetry)
    : createMemoryEventLog({ clock, ...(otlp && { onBatch: toSpans(background) }) });
  const responses = createStoredResponses(options, background, telemetry);
  const library = createBackground<BackgroundApi>({
    spawn: () => new Worker(workerUrl()),
    clock,
    onCrash: (error, crashes) =>
      telemetry.log("error", "the documents' thread failed and is started again", {
        error,
        crashes,
      }),
  });
  const vectors = createSqliteVectorStore(library.service("vectors"), options.dataDir);
  library.onRestart(vectors.restarted);
  const records = createStoredRecords(options, background, telemetry);
  const exporter = startExport(options, telemetry);
  watchProcess(telemetry, clock);
  const unregister = otlp ? await registerApi(options, telemetry) : undefined;
  return {
    telemetry,
    events,
    responses,
    records,
    vectors,
    library,
    background,
    async close() {
      unregister?.();
      exporter?.close();
      await events.close();
      await responses.close();
      await records.close();
      await vectors.close();
      library.close();
      await telemetry.close();
      background.close();
    },
  };
}

function createStoredLog(
  { dataDir, clock, settings }: ObservationOptions,
  background: Background<BackgroundApi>,
  telemetry: GatewayTelemetry,
): EventLog {
  const dropped = telemetry.counter("routeiq.events.dropped", "Calls missing from the event log.");
  const degraded = telemetry.gauge("routeiq.events.degraded", "1 while events rest in memory.");
  const log = createSqliteEventLog({
    remote: background.service("events"),
    dataDir,
    retention: settings.retention,
    clock,
    onDropped(rows, because) {
      dropped.add(rows);
      telemetry.log("error", "calls are missing from the event log", { rows, because });
    },
    onHealth(error) {
      degraded.set(error === undefined ? 0 : 1);
      if (error === undefined) telemetry.log("info", "the event log is written again");
      else telemetry.log("error", "the event log cannot be written", { error });
    },
  });
  background.onRestart(log.restarted);
  return log;
}

function createStoredResponses(
  { dataDir, clock, responseLimits }: ObservationOptions,
  background: Background<BackgroundApi>,
  telemetry: GatewayTelemetry,
): ResponseStore {
  const degraded = telemetry.gauge(
    "routeiq.responses.degraded",
    "1 while new responses rest in memory.",
  );
  const store = createSqliteResponseStore({
    remote: background.service("responses"),
    dataDir,
    limits: responseLimits,
    clock,
    onHealth(problem) {
      degraded.set(problem === undefined ? 0 : 1);
      if (problem === undefined) telemetry.log("info", "responses are stored again");
      else telemetry.log("error", "responses cannot be stored; memory keeps them", { problem });
    },
  });
  background.onRestart(store.restarted);
  return store;
}

function createStoredRecords(
  { dataDir, clock }: ObservationOptions,
  background: Background<BackgroundApi>,
  telemetry: GatewayTelemetry,
): RecordStore {
  const degraded = telemetry.gauge("routeiq.records.degraded", "1 while records cannot be stored.");
  const store = createSqliteRecordStore({
    remote: background.service("records"),
    dataDir,
    clock,
    onHealth(problem) {
      degraded.set(problem === undefined ? 0 : 1);
      if (problem === undefined) telemetry.log("info", "records are stored again");
      else telemetry.log("error", "records cannot be stored", { problem });
    },
  });
  background.onRestart(store.restarted);
  return store;
}

/** A thread of its own, as packing a segment takes a second. It begins anew where its last segment ended. */
function startExport(
  { settings, dataDir, clock, s3 = {}, exports = true }: ObservationOptions,
  telemetry: GatewayTelemetry,
): Background<BackgroundApi> | undefined {
  const wanted = settings.export;
  if (!wanted || !settings.events || !exports) return undefined;
  const exporter = createBackground<BackgroundApi>({
    spawn: () => new Worker(workerUrl()),
    clock,
    onCrash: (error, crashes) =>
      telemetry.log("error", "the export's thread failed and is started again", { error, crashes }),
  });
  exporter.on("log", (payload) => {
    const { level, message } = payload as LogEvent;
    telemetry.log(level, message, {});
  });
  const start = () =>
    void exporter
      .service("exports")
      .call("start", { ...wanted, source: dataDir, s3 })
      .catch((error) => telemetry.log("error", "events are not exported", { error: `${error}` }));
  exporter.onRestart(start);
  start();
  return exporter;
}

/** Where events are off, spans alone go to the thread. What fails there is counted there. */
function toSpans(background: Background<BackgroundApi>): (bytes: Uint8Array) => void {
  const otlp = background.service("otlp");
  return (bytes) => void otlp.call("calls", bytes).catch(() => undefined);
}

function toOtlpSettings(options: ObservationOptions): OtlpSettings | undefined {
  const { otlpEndpoint, otlpHeaders, serviceName } = options.settings;
  if (otlpEndpoint === undefined) return undefined;
  return {
    endpoint: otlpEndpoint,
    headers: otlpHeaders,
    source: {
      resource: {
        "service.namespace": "ai-gateway",
        ...parseResource(options.resourceAttributes ?? ""),
        "service.name": serviceName,
        "service.version": build.version,
        "service.instance.id": crypto.randomUUID(),
        "process.pid": process.pid,
      },
      scope: { name: "routeiq", version: build.version },
    },
  };
}

function parseResource(text: string): Attributes {
  const pairs = text.split(",").map((part) => part.split("=", 2).map((word) => word.trim()));
  return Object.fromEntries(pairs.filter(([name, value]) => name && value));
}

/** Loaded only where something is exported: the API is no use otherwise. */
async function registerApi(options: ObservationOptions, telemetry: GatewayTelemetry) {
  const { registerOtelApi } = await import("../telemetry/otel-api.ts");
  const { clock, random, settings } = options;
  return registerOtelApi({ telemetry, clock, random, sampleRatio: settings.sampleRatio });
}

function watchProcess(telemetry: GatewayTelemetry, clock: Clock): void {
  const labels = ["version", "commit", "target"];
  telemetry
    .gauge("routeiq.build.info", "1; the labels say which build this is.", labels)
    .set(1, build.version, build.commit, build.target);
  const memory = telemetry.gauge("process.resident.memory", "Resident memory.", [], "By");
  const cpu = telemetry.counter("process.cpu", "User and system time of all threads.", [], "s");
  const started = telemetry.gauge("process.start.time", "Seconds since 1970.", [], "s");
  started.set(clock.now() / 1000);
  let seenS = 0;
  telemetry.onCollect(() => {
    const { user, system } = process.cpuUsage();
    const totalS = (user + system) / 1e6;
    cpu.add(totalS - seenS);
    seenS = totalS;
    memory.set(process.memoryUsage.rss());
  });
}
