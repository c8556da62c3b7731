/**
 * Push notifications: a caller's address is told how a task goes. Every address is strange to us and
 * passes the address rule of outside documents; a delivery is tried a few times, in order, and no more.
 * What was told last is kept, so that after a kill the next process tells what was missed (sweep.ts).
 */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import { type AllowRules, checkUrl } from "../../security/ssrf.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import type { Random } from "../../std/random.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import { A2aError } from "./errors.ts";
import { toOlderTask } from "./older.ts";
import { isOver } from "./state.ts";
import {
  objectAt,
  present,
  type Task,
  type TaskEvent,
  type TaskStatus,
  textAt,
  toWireEvent,
  type Version,
} from "./wire.ts";

const kind = "a2a_push";

export const pushLimits = {
  /** Of one task. */
  configs: 10,
  urlChars: 2_048,
  tokenChars: 4_096,
  attempts: 4,
  firstDelayMs: 1_000,
  timeoutMs: 10_000,
  /** Deliveries that wait, in one process; beyond it the newest are given up. */
  waiting: 1_000,
  /** Addresses that one sweep looks at. */
  looked: 1_000,
} as const;

/** Of a configuration whose task is not over, so far as it was told. */
const openTag = "open";

export interface Push {
  set(taskId: string, config: JsonObject, of: PushOwner): Promise<JsonObject>;
  get(taskId: string, id: string | undefined): Promise<JsonObject>;
  list(taskId: string): Promise<readonly JsonObject[]>;
  remove(taskId: string, id: string): Promise<void>;
  /** Delivers beside the task, which does not wait. */
  tell(task: Task, event: TaskEvent): void;
  /** Addresses that may have to be told something yet, oldest first; none that this process is telling. */
  open(): Promise<readonly Open[]>;
  /** Resolves when nothing waits. */
  settled(): Promise<void>;
  close(): void;
}

export interface Open {
  readonly taskId: string;
  /** The state and the time of the status that it was told last; "": nothing yet. */
  readonly told: string;
}

export interface PushOwner {
  readonly caller: Caller;
  /** In which revision's words it wants to be told. */
  readonly version: Version;
  readonly expiresMs: number;
  /** What the operator opened to addresses that come by request. */
  readonly allow: AllowRules;
  /** Of a task that is there already. */
  readonly status?: TaskStatus;
}

export interface PushParts {
  readonly records: RecordStore;
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly random: Random;
  readonly telemetry: Telemetry;
}

export function createPush({ records, outbound, clock, random, telemetry }: PushParts): Push {
  const closing = new AbortController();
  /** Of each configuration the last delivery, so that they come in order. */
  const chains = new Map<string, Promise<void>>();
  let waiting = 0;
  const counter = telemetry.counter("routeiq.a2a.push", "Notifications of A2A tasks.", ["outcome"]);

  async function attempt(record: StoredRecord, body: string): Promise<void> {
    const url = String(record.value["url"]);
    const token = textAt(record.value, "token");
    const auth = objectAt(record.value, "authentication");
    const credentials = auth && textAt(auth, "credentials");
    const abort = new AbortController();
    const stop = clock.after(pushLimits.timeoutMs, () =>
      abort.abort(new Error("the receiver is too slow")),
    );
    try {
      const response = await outbound.fetch({
        ...{ url, method: "POST", body, trust: "strict" },
        headers: {
          "content-type":
            record.value["version"] === "0.3" ? "application/json" : "application/a2a+json",
          ...(token === undefined ? {} : { "x-a2a-notification-token": token }),
          ...(credentials ? { authorization: `${auth["scheme"] ?? "Bearer"} ${credentials}` } : {}),
        },
        signal: AbortSignal.any([abort.signal, closing.signal]),
      });
      await response.body?.cancel();
      if (!response.ok) throw new Refused(response.status);
    } finally {
      stop();
    }
  }

  async function deliver(record: StoredRecord, body: string): Promise<void> {
    for (let tried = 1; ; tried++) {
      try {
        await attempt(record, body);
        counter.add(1, "delivered");
        return;
      } catch (thrown) {
        const isFinal =
          closing.signal.aborted || tried >= pushLimits.attempts || isHopeless(thrown);
        if (isFinal) {
          counter.add(1, "failed");
          const host = new URL(String(record.value["url"])).host;
          telemetry.log("warn", "a notification of an A2A task could not be delivered", {
            task: record.parent,
            host,
            tried,
            error: thrown,
          });
          return;
        }
        const most = pushLimits.firstDelayMs * 4 ** (tried - 1);
        await sleep(clock, most * (0.5 + random.next() / 2), closing.signal).catch(() => undefined);
      }
    }
  }

  /** Once it was tried: what a receiver will not hear is not told again by the next process either. */
  async function remember(record: StoredRecord, { status }: Task): Promise<void> {
    const told = `${status.state} ${status.timestamp}`;
    await records.update(kind, record.id, ({ value }) => ({
      value: { ...value, told },
      tag: isOver(status.state) ? "" : openTag,
    }));
  }

  async function tellAll(task: Task, event: TaskEvent): Promise<void> {
    const { records: configs } = await records.list({
      kind,
      parent: task.id,
      limit: pushLimits.configs,
    });
    for (const record of configs) {
      if (waiting >= pushLimits.waiting) {
        counter.add(1, "given_up");
        continue;
      }
      const older = record.value["version"] === "0.3";
      const body = JSON.stringify(older ? toOlderTask(task) : toWireEvent(event));
      waiting++;
      const next = (chains.get(record.id) ?? Promise.resolve())
        .then(() => deliver(record, body))
        .then(() => {
          const isStatus = "task" in event || "statusUpdate" in event;
          return isStatus && !closing.signal.aborted ? remember(record, task) : undefined;
        })
        .catch((error) =>
          telemetry.log("error", "what an address was told could not be kept", { error }),
        )
        .finally(() => {
          waiting--;
          if (chains.get(record.id) === next) chains.delete(record.id);
        });
      chains.set(record.id, next);
    }
  }

  /** Lookups in the order of their events, or a slow one would tell an older state last. */
  let lookups: Promise<void> = Promise.resolve();

  return {
    async set(taskId, config, { caller, version, expiresMs, allow, status }) {
      // How it stands already is known to who asks now.
      const told = status ? `${status.state} ${status.timestamp}` : "";
      const tag = status && isOver(status.state) ? "" : openTag;
      const value = readConfig(taskId, config, allow);
      const id = String(value["id"]);
      const held = await records.count({ kind, parent: taskId });
      const known = await records.get(kind, `${taskId}/${id}`);
      if (!known && held >= pushLimits.configs) {
        throw new A2aError(
          "invalidParams",
          `A task tells at most ${pushLimits.configs} addresses.`,
        );
      }
      await records.put({
        ...{ kind, id: `${taskId}/${id}`, owner: caller.id, parent: taskId, expiresMs, tag },
        value: { ...value, version, told },
      });
      return value;
    },
    async get(taskId, id) {
      const found =
        id === undefined
          ? (await records.list({ kind, parent: taskId, order: "asc", limit: 1 })).records[0]
          : await records.get(kind, `${taskId}/${id}`);
      if (!found) throw new A2aError("taskNotFound", "The task tells no such address.", { taskId });
      return shown(found);
    },
    async list(taskId) {
      const { records: found } = await records.list({
        kind,
        parent: taskId,
        order: "asc",
        limit: pushLimits.configs,
      });
      return found.map(shown);
    },
    async remove(taskId, id) {
      await records.remove(kind, `${taskId}/${id}`);
    },
    async open() {
      const { records: found } = await records.list({
        ...{ kind, tag: openTag, order: "asc", limit: pushLimits.looked },
      });
      return found
        .filter(({ id }) => !chains.has(id))
        .map(({ parent, value }) => ({ taskId: parent, told: String(value["told"] ?? "") }));
    },
    tell(task, event) {
      lookups = lookups
        .then(() => tellAll(task, event))
        .catch((error) =>
          telemetry.log("error", "notifications could not be looked up", { error }),
        );
    },
    async settled() {
      await lookups;
      await Promise.all(chains.values());
    },
    close() {
      closing.abort(new Error("the gateway stops"));
    },
  };
}

class Refused extends Error {
  readonly status: number;
  constructor(status: number) {
    super(`the receiver answered with HTTP ${status}`);
    this.status = status;
  }
}

/** What another attempt would meet again: an address that is not allowed, a request that is refused. */
function isHopeless(thrown: unknown): boolean {
  if (thrown instanceof GatewayError) return thrown.code === "address_refused";
  if (!(thrown instanceof Refused)) return false;
  const { status } = thrown;
  return status < 500 && status !== 408 && status !== 429;
}

function shown({ value }: StoredRecord): JsonObject {
  const { version: _version, told: _told, ...config } = value;
  return config;
}

/** What can be seen of an address at once; what its name leads to is looked at with every delivery. */
function assertOpen(url: string, allow: AllowRules): void {
  try {
    checkUrl(url, "strict", allow);
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    const message = `${thrown.message} Notifications go to public addresses, or to what routeiq_settings.outbound opens.`;
    throw new A2aError("invalidParams", message, {}, { cause: thrown });
  }
}

/** @throws A2aError invalidParams */
function readConfig(taskId: string, config: JsonObject, allow: AllowRules): JsonObject {
  const url = textAt(config, "url") ?? "";
  const parsed = url.length <= pushLimits.urlChars && URL.canParse(url) ? new URL(url) : undefined;
  const fine =
    parsed && /^https?:$/.test(parsed.protocol) && parsed.username === "" && parsed.password === "";
  if (!fine) {
    throw new A2aError(
      "invalidParams",
      "'url' must be an http or https address without a user in it.",
    );
  }
  assertOpen(url, allow);
  const token = textAt(config, "token");
  const auth = objectAt(config, "authentication");
  const written = [token, auth && textAt(auth, "scheme"), auth && textAt(auth, "credentials")];
  if (
    written.some((each) => each && (each.length > pushLimits.tokenChars || /[\r\n\0]/.test(each)))
  ) {
    throw new A2aError("invalidParams", "The token or the credentials fit into no header field.");
  }
  const id = textAt(config, "id") ?? Bun.randomUUIDv7();
  if (!/^[\w.:-]{1,128}$/.test(id)) {
    throw new A2aError("invalidParams", "'id' must be letters, digits and . _ : -, at most 128.");
  }
  return present({
    ...{ id, taskId, url, token },
    authentication:
      auth &&
      present({ scheme: textAt(auth, "scheme") ?? "Bearer", credentials: auth["credentials"] }),
  });
}
