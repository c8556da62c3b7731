/**
 * `routeiq events export` and the gateway's own export: an event log's segments to a folder or a
 * bucket, once or for as long as somebody asks. The place in the log lies beside the log.
 */
import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import {
  type Exported,
  type ExportPlace,
  exportEvents,
  exportLimits,
  newPlace,
  parsePlace,
} from "../../storage/segments/export-events.ts";
import type { SegmentFormat } from "../../storage/segments/write-segment.ts";
import { openEvents } from "../../storage/sqlite/read-events.ts";
import { openRepository, type StoreAccess } from "../artifacts/open-repository.ts";

export interface ExportRequest {
  /** A data folder, or `sqlite:PATH`. */
  readonly source: string;
  /** A folder, `file:///…` or `s3://bucket/prefix`. */
  readonly to: string;
  readonly format: SegmentFormat;
  readonly segmentRows?: number;
  /** File of the place; default: beside the log, named for the target. */
  readonly placeFile?: string;
}

export interface ExportWatch {
  readonly signal?: AbortSignal;
  readonly onSegment?: (key: string, rows: number) => void;
}

/** Everything that is new since the last time. @throws GatewayError storage_failed, not_found */
export async function exportOnce(
  request: ExportRequest,
  access: StoreAccess,
  watch: ExportWatch = {},
): Promise<Exported> {
  const { source, to, format, segmentRows = exportLimits.segmentRows.default } = request;
  const reader = openEvents(source);
  const store = openRepository(to, access);
  try {
    const file = request.placeFile ?? placeFileOf(reader.path, store.url);
    const text = await readIfThere(file);
    const place = text === undefined ? newPlace() : parsePlace(text, file);
    // Written before the first segment, so that a log has one name whatever happens.
    if (text === undefined) await savePlace(file, place);
    return await exportEvents({
      reader,
      store,
      format,
      segmentRows,
      waitForRows: 0,
      place,
      save: (next) => savePlace(file, next),
      ...watch,
    });
  } finally {
    store.close();
    reader.close();
  }
}

function placeFileOf(log: string, url: string): string {
  const name = createHash("sha256").update(url).digest("hex").slice(0, 12);
  return join(dirname(log), `export-${name}.json`);
}

async function readIfThere(path: string): Promise<string | undefined> {
  const file = Bun.file(path);
  return (await file.exists()) ? await file.text() : undefined;
}

async function savePlace(path: string, place: ExportPlace): Promise<void> {
  await writeFileAtomic(path, new TextEncoder().encode(`${JSON.stringify(place)}\n`), {
    mode: 0o600,
  });
}

export interface FollowOptions extends ExportWatch {
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onExport: (exported: Exported) => void;
  /** Told of each failure, once per kind of failure in a row; the next try waits longer. */
  readonly onFailure: (message: string) => void;
}

/** While exports fail, the pause doubles up to this. */
export const longestPauseMs = 15 * 60_000;

/** Exports at an interval until the signal; a failure is told and tried again. */
export async function followExport(
  request: ExportRequest,
  access: StoreAccess,
  options: FollowOptions,
): Promise<void> {
  const { clock, signal, intervalMs } = options;
  let failures = 0;
  let said = "";
  while (!signal.aborted) {
    try {
      options.onExport(await exportOnce(request, access, options));
      failures = 0;
      said = "";
    } catch (error) {
      if (signal.aborted) return;
      // A gateway that has served nothing has no log yet.
      const none = error instanceof GatewayError && error.code === "not_found";
      failures = none ? 0 : failures + 1;
      const message = error instanceof Error ? error.message : String(error);
      if (!none && message !== said) options.onFailure(message);
      said = message;
    }
    const pauseMs = Math.min(
      Math.max(longestPauseMs, intervalMs),
      intervalMs * 2 ** Math.min(failures, 10),
    );
    await sleep(clock, pauseMs, signal).catch(() => undefined); // the signal ends the loop
  }
}
