/**
 * What the loop did and why: a state that says where it stands, written whole before and after every
 * step, and a journal that is only ever added to. After a kill at any point the state says what to do.
 */
import { appendFile, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { hasCode, writeFileAtomic } from "../../storage/file/atomic-write.ts";

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

const stateName = "state.json";
export const journalName = "journal.jsonl";

/** @throws GatewayError storage_failed: an unreadable state is not taken for a first start */
export async function openJournal(folder: string, nowMs: () => number): Promise<Journal> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let state = await readState(join(folder, stateName));
  return {
    get state() {
      return state;
    },
    async move(next) {
      const bytes = new TextEncoder().encode(`${JSON.stringify(next)}\n`);
      await writeFileAtomic(join(folder, stateName), bytes, { mode: 0o600 });
      state = next;
    },
    async tell(event, facts) {
      const line = { at: new Date(nowMs()).toISOString(), cycle: state.cycle, event, ...facts };
      await appendFile(join(folder, journalName), `${JSON.stringify(line)}\n`, { mode: 0o600 });
    },
  };
}

async function readState(path: string): Promise<LoopState> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return firstState;
    throw unreadable(path, cause);
  }
  try {
    const value: unknown = JSON.parse(text);
    if (
      isObject(value) &&
      typeof value["phase"] === "string" &&
      typeof value["cycle"] === "number"
    ) {
      return value as unknown as LoopState; // written by move
    }
  } catch (cause) {
    throw unreadable(path, cause);
  }
  throw unreadable(path, undefined);
}

function unreadable(path: string, cause: unknown): GatewayError {
  const message = `The loop's state, ${path}, cannot be read. Move it away to begin anew; the repository stays as it is.`;
  return new GatewayError("storage_failed", message, { cause });
}
