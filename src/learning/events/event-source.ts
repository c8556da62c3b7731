/**
 * What `--events` names, as calls: a data folder or `sqlite:PATH` (the log itself), or segments that
 * `events export` wrote, in a folder or under `s3://bucket/prefix`. Each is read as a stream.
 */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import type { CallEvent } from "../../domain/event.ts";
import { eventFileName } from "../../storage/event-log.ts";
import { readSegments } from "../../storage/segments/read-segments.ts";
import { readEvents } from "../../storage/sqlite/read-events.ts";
import { openRepository, type StoreAccess } from "../artifacts/open-repository.ts";
import { getObject } from "../data/open-inputs.ts";

export interface SourceReading {
  readonly store: StoreAccess;
  readonly onProblem: (message: string) => void;
  /** Of segments: which one, and of how many. */
  readonly onSegment?: (key: string, read: number, all: number) => void;
  /** Of segments: only those after this key, of its log. */
  readonly after?: string;
}

/** @throws GatewayError not_found, invalid_request, storage_failed */
export async function* readSource(
  source: string,
  { store: access, onProblem, onSegment, after }: SourceReading,
): AsyncGenerator<CallEvent> {
  if (!holdsSegments(source)) {
    yield* readEvents(source);
    return;
  }
  const store = openRepository(source, access);
  try {
    yield* readSegments({
      store,
      get: (key) => getObject(store, key, access),
      onProblem,
      ...(onSegment ? { onSegment } : {}),
      ...(after === undefined ? {} : { after }),
    });
  } finally {
    store.close();
  }
}

/** Else it is a log itself. @throws GatewayError invalid_request */
export function holdsSegments(source: string): boolean {
  if (/^postgres(ql)?:/i.test(source)) {
    throw new GatewayError(
      "invalid_request",
      "Events are not kept in PostgreSQL yet. Give a data folder, sqlite:PATH, or segments (a folder, s3://bucket/prefix).",
    );
  }
  if (/^(s3|file):\/\//i.test(source)) return true;
  const stat = statSync(source, { throwIfNoEntry: false });
  return stat?.isDirectory() === true && !existsSync(join(source, eventFileName));
}
