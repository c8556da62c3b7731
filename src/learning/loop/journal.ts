/**
 * What the loop did and why: a state that says where it stands, written whole before and after every
 * step, and a journal that is only ever added to. Both lie in the repository, beside the lease: after
 * a kill at any point, on whatever machine, the next leader knows what to do. The journal is copied
 * to the disk as well, a line an event, for whoever wants to follow it.
 */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { hasCode } from "../../storage/file/atomic-write.ts";
import type { ObjectStore } from "../../storage/object-store.ts";

/** What has been done of the cycle under way. */
export type Phase = "idle" | "labelled" | "trained" | "signed" | "published";

export interface LoopState {
  readonly cycle: number;
  readonly phase: Phase;
  /** Of the cycle under way: where its router lies. */
  readonly folder?: string;
  /** Once signed: what will be, or is, in force. */
  readonly release?: { readonly version: number; readonly sha256: string };
  /** What was in force before it, to go back to. */
  readonly before?: number;
  /** Since when gateways are watched. Milliseconds since the epoch. */
  readonly publishedMs?: number;
  /** Labelled calls at the last training, so that the next one waits for more. */
  readonly learntFrom: number;
  /** Steps that failed in a row. */
  readonly failures: number;
}

export interface Journal {
  readonly state: LoopState;
  /** Durable once it resolves. */
  move(next: LoopState): Promise<void>;
  tell(event: string, facts: JsonObject): Promise<void>;
}

export const firstState: LoopState = { cycle: 0, phase: "idle", learntFrom: 0, failures: 0 };

export const stateKey = "loop/state.json";
export const journalPrefix = "loop/journal/";
/** Of the copy on disk. */
export const journalName = "journal.jsonl";

const entryBytes = 64 << 10;
const stateBytes = 16_384;
/** Entries asked for at once. */
const readsAtOnce = 16;

export interface JournalPlace {
  readonly store: ObjectStore;
  /** For the copy on disk. */
  readonly folder: string;
  readonly nowMs: () => number;
}

/** @throws GatewayError storage_failed: an unreadable state is not taken for a first start */
export async function openJournal({ store, folder, nowMs }: JournalPlace): Promise<Journal> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let { state, etag } = await readState(store, folder);
  let next = await nextNumber(store, state.cycle);
  return {
    get state() {
      return state;
    },
    async move(to) {
      const bytes = encode(`${JSON.stringify(to)}\n`);
      const condition = etag === undefined ? { ifAbsent: true } : { ifMatch: etag };
      if (!(await store.put(stateKey, bytes, condition))) throw overtaken(store);
      if (to.cycle !== state.cycle) next = 0;
      state = to;
      etag = await etagOf(store);
    },
    async tell(event, facts) {
      const line = `${JSON.stringify({ at: new Date(nowMs()).toISOString(), cycle: state.cycle, event, ...facts })}\n`;
      await appendFile(join(folder, journalName), line, { mode: 0o600 });
      // An object each: what was written once is never touched again.
      await store.put(entryKey(state.cycle, next++), encode(line));
    },
  };
}

/** Where the loop stands, without a claim to lead it. @throws GatewayError storage_failed */
export async function readLoopState(store: ObjectStore): Promise<LoopState | undefined> {
  const found = await store.get(stateKey, { maxBytes: stateBytes });
  if (found === undefined || found === "not-modified") return undefined;
  return toState(new TextDecoder().decode(found.bytes), `${store.url}/${stateKey}`);
}

/** The last so many entries, oldest first. What cannot be read is left out. */
export async function readJournal(
  store: ObjectStore,
  most: number,
): Promise<readonly JsonObject[]> {
  const keys = (await store.list(journalPrefix)).slice(-most);
  const entries: JsonObject[] = [];
  for (let at = 0; at < keys.length; at += readsAtOnce) {
    const page = keys.slice(at, at + readsAtOnce);
    const read = await Promise.all(page.map((key) => readEntry(store, key)));
    entries.push(...read.filter((entry) => entry !== undefined));
  }
  return entries;
}

/** Sorted by name they are in the order in which they were told. */
const entryKey = (cycle: number, number: number) =>
  `${journalPrefix}${digits(cycle)}-${digits(number)}.json`;

const digits = (number: number) => String(number).padStart(8, "0");

/** Of a cycle that is under way, perhaps by another process's hand. */
async function nextNumber(store: ObjectStore, cycle: number): Promise<number> {
  const last = (await store.list(`${journalPrefix}${digits(cycle)}-`)).at(-1);
  return last === undefined ? 0 : Number(/-(\d+)\.json$/.exec(last)?.[1] ?? 0) + 1;
}

async function readEntry(store: ObjectStore, key: string): Promise<JsonObject | undefined> {
  const found = await store.get(key, { maxBytes: entryBytes });
  if (found === undefined || found === "not-modified") return undefined;
  return toEntry(new TextDecoder().decode(found.bytes));
}

function toEntry(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const encode = (text: string) => new TextEncoder().encode(text);

async function etagOf(store: ObjectStore): Promise<string | undefined> {
  const found = await store.get(stateKey, { maxBytes: stateBytes });
  return found === undefined || found === "not-modified" ? undefined : found.etag;
}

async function readState(
  store: ObjectStore,
  folder: string,
): Promise<{ state: LoopState; etag: string | undefined }> {
  const found = await store.get(stateKey, { maxBytes: stateBytes });
  if (found !== undefined && found !== "not-modified") {
    const text = new TextDecoder().decode(found.bytes);
    return { state: toState(text, `${store.url}/${stateKey}`), etag: found.etag };
  }
  // Earlier versions kept it on the disk alone.
  const path = join(folder, "state.json");
  const local = await readFile(path, "utf8").catch((cause: unknown) => {
    if (hasCode(cause, "ENOENT")) return undefined;
    throw unreadable(path, cause);
  });
  return { state: local === undefined ? firstState : toState(local, path), etag: undefined };
}

function toState(text: string, name: string): LoopState {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unreadable(name, cause);
  }
  const valid =
    isObject(value) && typeof value["phase"] === "string" && typeof value["cycle"] === "number";
  if (valid) return value as unknown as LoopState; // written by move
  throw unreadable(name, undefined);
}

function unreadable(name: string, cause: unknown): GatewayError {
  const message = `The loop's state, ${name}, cannot be read. Move it away to begin anew; the releases stay as they are.`;
  return new GatewayError("storage_failed", message, { cause });
}

function overtaken(store: ObjectStore): GatewayError {
  const message = `Another loop has written ${store.url}/${stateKey}: this one has lost the lead and stops.`;
  return new GatewayError("storage_failed", message);
}
