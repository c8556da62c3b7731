/**
 * What a caller is given to come back with: a task's id, the state of a call that asks something. A
 * server knows the gateway alone, so the gateway binds them to the caller and what he asked, sealed:
 * nothing is kept, and any process with the same secrets reads them.
 */
import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import { sha256Hex } from "../../../security/hashing.ts";
import type { Sealer } from "../../../security/sealing.ts";
import type { Clock } from "../../../std/clock.ts";

export interface TaskHandle {
  /** The server's name. */
  readonly server: string;
  /** As the server knows it. */
  readonly id: string;
}

/** The server's own state, or a call that waits in this process. */
export type CallState = { readonly upstream: string } | { readonly call: string };

export interface Handles {
  sealTask(caller: Caller, task: TaskHandle): Promise<string>;
  /** Undefined where it is none of this caller's. */
  openTask(caller: Caller, text: string): Promise<TaskHandle | undefined>;
  sealState(caller: Caller, request: StateRequest, state: CallState): Promise<string>;
  /** Undefined where it was changed, is another's or another request's, or too old. */
  openState(caller: Caller, request: StateRequest, text: string): Promise<CallState | undefined>;
}

export interface StateRequest {
  readonly method: string;
  readonly params: JsonObject;
}

/** How long a question may be answered. */
const stateMs = 3_600_000;
/** Of an id or state that a caller sends: more is none of ours. */
const handleChars = 128 * 1024;

export function createHandles(sealer: Sealer, clock: Clock): Handles {
  async function open(text: string, place: string): Promise<JsonObject | undefined> {
    if (text.length > handleChars) return undefined;
    try {
      const opened: unknown = JSON.parse((await sealer.open(text, place)).text);
      return isObject(opened) ? opened : undefined;
    } catch (thrown) {
      if (thrown instanceof GatewayError) return undefined;
      throw thrown;
    }
  }

  return {
    sealTask: (caller, task) => sealer.seal(JSON.stringify(task), taskPlace(caller)),
    async openTask(caller, text) {
      const { server, id } = (await open(text, taskPlace(caller))) ?? {};
      return typeof server === "string" && typeof id === "string" ? { server, id } : undefined;
    },
    sealState(caller, request, state) {
      const untilMs = clock.now() + stateMs;
      return sealer.seal(JSON.stringify({ ...state, untilMs }), statePlace(caller, request));
    },
    async openState(caller, request, text) {
      const { upstream, call, untilMs } = (await open(text, statePlace(caller, request))) ?? {};
      if (typeof untilMs !== "number" || untilMs < clock.now()) return undefined;
      if (typeof upstream === "string") return { upstream };
      return typeof call === "string" ? { call } : undefined;
    },
  };
}

const taskPlace = ({ id }: Caller) => `mcp-task/${id}`;

/** The same request of the same caller: its method, whom it is for, and with which arguments. */
function statePlace({ id }: Caller, { method, params }: StateRequest): string {
  const { name, uri, arguments: args } = params;
  const what = JSON.stringify([method, name ?? null, uri ?? null, sorted(args ?? null)]);
  return `mcp-state/${id}/${sha256Hex(what)}`;
}

/** Clients may write the fields of an object in another order the second time. */
function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).sort();
  return keys.map((key) => [key, sorted(value[key] ?? null)]);
}
