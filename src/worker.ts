/**
 * Entry of the background thread: all that would make the serving thread wait. A service is loaded
 * when it is first called. `gateway/worker-url.ts` says where it is; the build names it as an entry point.
 */

import type { SkillService } from "./agents/skills/run-thread.ts";
import type { CallEvent } from "./domain/event.ts";
import type { Embedder } from "./embedding/embedder.ts";
import type { Candidate } from "./learning/artifacts/source.ts";
import type { ArtifactService, ArtifactThread } from "./learning/artifacts/thread.ts";
import type { ExportService } from "./learning/events/export-thread.ts";
import type { OnlineService } from "./learning/online/online-thread.ts";
import type { ShadowService, ShadowThread } from "./learning/rollout/shadow-thread.ts";
import type { FigureService } from "./learning/rollout/shared-figures.ts";
import type { DocumentService } from "./resources/vector-stores/document-thread.ts";
import { type Emit, type Port, serveRpc } from "./std/rpc.ts";
import type { ExtractFeatures } from "./storage/complete-event.ts";
import type { EventService } from "./storage/sqlite/event-log.ts";
import type { RecordService } from "./storage/sqlite/record-thread.ts";
import type { ResponseService } from "./storage/sqlite/response-thread.ts";
import type { VectorService } from "./storage/sqlite/vector-thread.ts";
import type { OtlpService, OtlpThread } from "./telemetry/otlp-thread.ts";

/** What the background thread does, by service. */
export interface BackgroundApi {
  readonly artifacts: ArtifactService;
  readonly documents: DocumentService;
  readonly events: EventService;
  readonly exports: ExportService;
  readonly figures: FigureService;
  readonly online: OnlineService;
  readonly otlp: OtlpService;
  readonly records: RecordService;
  readonly responses: ResponseService;
  readonly shadow: ShadowService;
  readonly skills: SkillService;
  readonly vectors: VectorService;
}

/** A line for the operator's log, sent as event "log". */
export interface LogEvent {
  readonly level: "info" | "warn" | "error";
  readonly message: string;
}

declare const self: {
  postMessage(message: unknown, transfer: readonly ArrayBuffer[]): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
};

function main(): void {
  const port: Port = {
    post: (message, transfer = []) => self.postMessage(message, transfer),
    listen: (onMessage) => self.addEventListener("message", (event) => onMessage(event.data)),
  };
  let otlp: OtlpThread | undefined;
  let otlpLoading: Promise<OtlpThread> | undefined;
  let artifacts: Promise<ArtifactThread> | undefined;
  let shadow: ShadowThread | undefined;

  function loadArtifacts(): Promise<ArtifactThread> {
    artifacts ??= createArtifacts();
    return artifacts;
  }

  async function loadOtlp(emit: Emit): Promise<OtlpThread> {
    const { createOutbound } = await import("./security/outbound.ts");
    const { createOtlpThread } = await import("./telemetry/otlp-thread.ts");
    otlp = createOtlpThread({ outbound: createOutbound(), log: toLog(emit) });
    return otlp;
  }

  serveRpc<BackgroundApi>(port, {
    artifacts: loadArtifacts,
    async shadow(emit) {
      shadow = await loadShadow(emit, await loadArtifacts());
      return shadow;
    },
    async figures() {
      const { createFigureThread } = await import("./learning/rollout/shared-figures.ts");
      const { createOutbound } = await import("./security/outbound.ts");
      const { systemClock } = await import("./std/clock.ts");
      return createFigureThread({ outbound: createOutbound(), clock: systemClock });
    },
    async documents() {
      const { createDocumentThread } = await import("./resources/vector-stores/document-thread.ts");
      return createDocumentThread();
    },
    async skills() {
      const { createSkillThread } = await import("./agents/skills/run-thread.ts");
      const { createOutbound } = await import("./security/outbound.ts");
      const { systemClock } = await import("./std/clock.ts");
      return createSkillThread({ outbound: createOutbound(), clock: systemClock });
    },
    async vectors(emit) {
      const { createVectorThread } = await import("./storage/sqlite/vector-thread.ts");
      return createVectorThread(toLog(emit));
    },
    async events(emit) {
      const { createEventThread } = await import("./storage/sqlite/event-thread.ts");
      await otlpLoading?.catch(() => undefined); // where spans are on, the first calls have theirs too
      const onEvents = (events: readonly CallEvent[]) => {
        otlp?.addEvents(events);
        shadow?.addEvents(events);
      };
      return createEventThread({ log: toLog(emit), onEvents, loadExtract });
    },
    async records(emit) {
      const { createRecordThread } = await import("./storage/sqlite/record-thread.ts");
      return createRecordThread(toLog(emit));
    },
    async online(emit) {
      const { createOnlineThread } = await import("./learning/online/online-thread.ts");
      return createOnlineThread(toLog(emit));
    },
    async exports(emit) {
      const { createExportThread } = await import("./learning/events/export-thread.ts");
      return createExportThread(toLog(emit));
    },
    async responses(emit) {
      const { createResponseThread } = await import("./storage/sqlite/response-thread.ts");
      return createResponseThread(toLog(emit));
    },
    otlp(emit) {
      otlpLoading = loadOtlp(emit);
      return otlpLoading;
    },
  });
}

async function createArtifacts(): Promise<ArtifactThread> {
  const { createArtifactThread } = await import("./learning/artifacts/thread.ts");
  const { createOutbound } = await import("./security/outbound.ts");
  const { systemClock } = await import("./std/clock.ts");
  return createArtifactThread({ outbound: createOutbound(), clock: systemClock });
}

async function loadShadow(emit: Emit, { readStaged }: ArtifactThread): Promise<ShadowThread> {
  const { createShadowThread } = await import("./learning/rollout/shadow-thread.ts");
  const { loadShadowRouter } = await import("./learning/rollout/load-shadow-router.ts");
  const { systemClock: clock } = await import("./std/clock.ts");
  const load = (candidate: Candidate, embedder: Embedder) =>
    loadShadowRouter(candidate, embedder, clock);
  return createShadowThread({ emit, clock, readStaged, load });
}

/** The built-in embedder's features; an ONNX one has a thread of its own and is asked before. */
async function loadExtract(): Promise<ExtractFeatures> {
  const { createUnreadExtractor } = await import("./embedding/unread-features.ts");
  return createUnreadExtractor();
}

const toLog =
  (emit: Emit) =>
  (level: LogEvent["level"], message: string): void =>
    emit("log", { level, message } satisfies LogEvent);

main();
