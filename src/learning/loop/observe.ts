/**
 * Counting what an event log has to teach, turn after turn. Calls that are old enough that nothing is
 * said of them any more are counted once: a cursor stands behind them, and is written down while
 * counting goes on, so that neither a kill nor a long log makes the next turn begin anew. What the
 * log's retention takes away stays counted.
 */
import { readFile, stat } from "node:fs/promises";
import type { CallEvent } from "../../domain/event.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import type { EventReader } from "../../storage/sqlite/read-events.ts";
import type { StoreAccess } from "../artifacts/open-repository.ts";
import { openInputs } from "../data/open-inputs.ts";
import { createProblems } from "../data/problems.ts";
import { createReadContext, readFile as readRowFile } from "../data/read-rows.ts";
import { isLearnable, type LearnableCount } from "../events/from-events.ts";
import { withSigns } from "../events/signs.ts";

export interface LogCursor extends LearnableCount {
  /** The last call that is counted for good; 0: none. */
  readonly seq: number;
}

/** Cursors of all logs that a loop reads, by source. */
export interface CursorFile {
  read(source: string): Promise<LogCursor>;
  write(source: string, cursor: LogCursor): Promise<void>;
  readRows(file: string): Promise<CountedFile | undefined>;
  writeRows(file: string, counted: CountedFile): Promise<void>;
}

/** A local file of rows, as it was when they were counted. */
export interface CountedFile {
  readonly sizeBytes: number;
  readonly atMs: number;
  readonly rows: number;
}

export interface Observing {
  readonly cursors: CursorFile;
  readonly source: string;
  readonly signal: AbortSignal;
  /** Lets signals and timers have their turn, between two pages. */
  readonly pause: () => Promise<void>;
}

/** Feedback later than this after its call is learnt from, but no longer makes a turn come sooner. */
export const settledMs = 24 * 3_600_000;
const pageCalls = 500;
/** The cursor is written down after so many calls. */
const saveEvery = 20_000;
const start: LogCursor = { seq: 0, calls: 0, labelled: 0 };

/** @throws the signal's reason; what was counted for good until then stays so */
export async function observeLog(log: EventReader, observing: Observing): Promise<LearnableCount> {
  const { cursors, source } = observing;
  const { lastEvent } = log.ends();
  const kept = await cursors.read(source);
  // A log that ends before the cursor is another one, in the old one's place.
  let settled = kept.seq > lastEvent ? start : kept;
  const places = new WeakMap<CallEvent, number>();
  const newestMs =
    lastEvent > 0 ? (log.eventsAfter(lastEvent - 1, 1)[0]?.event.receipt.atMs ?? 0) : 0;
  const fresh = { calls: 0, labelled: 0 };
  let unsaved = 0;
  for await (const signed of withSigns(pages(log, settled.seq, { places, observing }))) {
    const { event } = signed;
    const one = isLearnable(signed) ? 1 : 0;
    const seq = places.get(event);
    if (seq === undefined || fresh.calls > 0 || newestMs - event.receipt.atMs < settledMs) {
      fresh.calls++;
      fresh.labelled += one;
      continue;
    }
    settled = { seq, calls: settled.calls + 1, labelled: settled.labelled + one };
    if (++unsaved < saveEvery) continue;
    unsaved = 0;
    await cursors.write(source, settled);
  }
  if (unsaved > 0) await cursors.write(source, settled);
  return { calls: settled.calls + fresh.calls, labelled: settled.labelled + fresh.labelled };
}

async function* pages(
  log: EventReader,
  after: number,
  {
    places,
    observing,
  }: { readonly places: WeakMap<CallEvent, number>; readonly observing: Observing },
): AsyncGenerator<CallEvent> {
  for (let seq = after; ; ) {
    observing.signal.throwIfAborted();
    const page = log.eventsAfter(seq, pageCalls);
    for (const { seq: at, event } of page) {
      places.set(event, at);
      yield event;
      seq = at;
    }
    if (page.length < pageCalls) return;
    await observing.pause();
  }
}

export interface ObservingRows {
  readonly cursors: CursorFile;
  readonly store: StoreAccess;
  readonly signal: AbortSignal;
  readonly onProblem: (message: string) => void;
}

/**
 * Rows of what `--data` names: files, folders, prefixes, a Jaeger server, whose rows grow as well. A
 * local file that has not changed is not read again.
 * @throws GatewayError as reading does, but for a source that holds no row yet
 */
export async function observeRows(address: string, observing: ObservingRows): Promise<number> {
  const { cursors, store, signal, onProblem } = observing;
  const problems = createProblems(onProblem);
  const context = createReadContext(undefined, problems);
  let rows = 0;
  for await (const { name, open } of openInputs([address], { store, problems })) {
    signal.throwIfAborted();
    const found = await stat(name).catch(() => undefined); // it may be elsewhere
    const file = found?.isFile() ? { sizeBytes: found.size, atMs: found.mtimeMs } : undefined;
    const kept = file && (await cursors.readRows(name));
    if (file && kept?.sizeBytes === file.sizeBytes && kept.atMs === file.atMs) {
      rows += kept.rows;
      continue;
    }
    let count = 0;
    for await (const row of readRowFile(await open(), context)) {
      if (row.outcomes.size > 0) count++;
      if (count % pageCalls === 0) signal.throwIfAborted();
    }
    if (file) await cursors.writeRows(name, { ...file, rows: count });
    rows += count;
  }
  return rows;
}

/** A dry run's: what is kept is read, and nothing is written down. */
export function createCursorMemory(path: string): CursorFile {
  const file = createCursorFile(path);
  return { ...file, write: async () => undefined, writeRows: async () => undefined };
}

/** Figures: what cannot be read is as if it were not there, and is counted anew. */
export function createCursorFile(path: string): CursorFile {
  const load = async () => {
    try {
      const value: unknown = JSON.parse(await readFile(path, "utf8"));
      return isObject(value) ? value : {};
    } catch {
      return {};
    }
  };
  const save = async (key: string, value: JsonObject) => {
    const all = { ...(await load()), [key]: value };
    const bytes = new TextEncoder().encode(`${JSON.stringify(all)}\n`);
    await writeFileAtomic(path, bytes, { mode: 0o600 });
  };
  const rowsKey = (file: string) => `rows:${file}`;
  return {
    async read(source) {
      const held = (await load())[source];
      const { seq, calls, labelled } = isObject(held) ? held : {};
      const whole = [seq, calls, labelled].every((one) => Number.isSafeInteger(one));
      return whole ? { seq: Number(seq), calls: Number(calls), labelled: Number(labelled) } : start;
    },
    write: (source, cursor) => save(source, { ...cursor }),
    async readRows(file) {
      const held = (await load())[rowsKey(file)];
      const { sizeBytes, atMs, rows } = isObject(held) ? held : {};
      const valid = [sizeBytes, atMs, rows].every((one) => typeof one === "number");
      return valid
        ? { sizeBytes: Number(sizeBytes), atMs: Number(atMs), rows: Number(rows) }
        : undefined;
    },
    writeRows: (file, counted) => save(rowsKey(file), { ...counted }),
  };
}
