/**
 * The tasks, in the record store: whose they are, how they stand, how they moved. Everything is
 * bounded: how many there are, how long they are kept, how much one holds.
 */
import type { Caller } from "../../domain/call.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { isGone, type Runner } from "../../std/runner.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { UpstreamIds } from "./agent.ts";
import { A2aError } from "./errors.ts";
import { isOver, isWaiting } from "./state.ts";
import { statusOf } from "./status.ts";
import {
  isState,
  objectAt,
  objectsOf,
  present,
  type Task,
  type TaskState,
  textAt,
  toJson,
} from "./wire.ts";

const kind = "a2a_task";

export const taskLimits = {
  /** Of one task's JSON: of what it says and of what was said. */
  chars: 8 * 1024 * 1024,
  historyMessages: 1_000,
  artifacts: 1_000,
  /** Moves that are remembered. */
  moves: 100,
  /** Of a caller's tasks with one agent that a listing looks at; the newest. */
  listed: 1_000,
  page: 100,
} as const;

export interface Move {
  readonly from: string;
  readonly to: string;
  readonly timestamp: string;
}

export interface HeldTask {
  readonly task: Task;
  readonly agent: string;
  readonly owner: string;
  readonly moves: readonly Move[];
  readonly upstream: UpstreamIds | undefined;
  /** Who runs it must have ended it by then, or said that it is still at it. */
  readonly deadlineMs: number;
  /** Who works at it, or did last. */
  readonly runner?: Runner | undefined;
  readonly updatedMs: number;
}

export interface ListRequest {
  readonly contextId: string | undefined;
  readonly status: TaskState | undefined;
  readonly afterMs: number | undefined;
  readonly pageSize: number;
  readonly pageToken: string;
  readonly historyLength: number | undefined;
  readonly includeArtifacts: boolean;
}

export interface TaskPage {
  readonly tasks: readonly Task[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
  readonly pageSize: number;
  /** Of all pages. */
  readonly totalSize: number;
}

export interface TaskLimits {
  readonly ttlMs: number;
  readonly maxTasks: number;
  readonly maxTasksOfCaller: number;
}

export interface Tasks {
  /** @throws A2aError rateLimited where there are too many */
  create(held: Omit<HeldTask, "updatedMs">): Promise<void>;
  /**
   * Writes how it stands. False where it has ended meanwhile by somebody else's word, or is gone:
   * then nothing is written.
   */
  save(held: Omit<HeldTask, "updatedMs">): Promise<boolean>;
  /** @throws A2aError taskNotFound, also for other callers' */
  get(id: string, agent: string, caller: Caller): Promise<HeldTask>;
  /** Whosever it is: for the gateway itself. */
  look(id: string): Promise<HeldTask | undefined>;
  list(agent: string, caller: Caller, request: ListRequest): Promise<TaskPage>;
  /** Tasks of one conversation with an agent, oldest first. */
  ofContext(
    agent: string,
    owner: string,
    contextId: string,
    limit: number,
  ): Promise<readonly HeldTask[]>;
  remove(id: string): Promise<void>;
}

export function createTasks(records: RecordStore, clock: Clock, limits: () => TaskLimits): Tasks {
  const toRecord = ({ task, agent, owner, ...rest }: Omit<HeldTask, "updatedMs">) => ({
    ...{ kind, id: task.id, owner, parent: agent, tag: task.contextId },
    expiresMs:
      Math.max(clock.now(), isOver(task.status.state) ? 0 : rest.deadlineMs) + limits().ttlMs,
    value: present({
      task: toJson(task),
      moves: rest.moves.slice(-taskLimits.moves).map(toJson),
      upstream: rest.upstream && toJson(rest.upstream),
      deadlineMs: rest.deadlineMs,
      runner: rest.runner && toJson(rest.runner),
    }),
  });

  /** One whose runner has died ends when somebody looks at it. */
  async function settle(record: StoredRecord): Promise<HeldTask> {
    const held = ofRecord(record);
    const { state } = held.task.status;
    const runs = !isOver(state) && !isWaiting(state);
    const isLeft = clock.now() >= held.deadlineMs || (held.runner && isGone(held.runner));
    if (!runs || held.upstream || !isLeft) return held;
    const { id: taskId, contextId } = held.task;
    const text = "The process that worked at the task has ended without finishing it.";
    const status = statusOf("TASK_STATE_FAILED", clock, text, { taskId, contextId });
    const ended = { ...held, task: { ...held.task, status } };
    await save(ended);
    return ended;
  }

  async function save(held: Omit<HeldTask, "updatedMs">): Promise<boolean> {
    const { value, expiresMs } = toRecord(held);
    let isOurs = true;
    const written = await records.update(kind, held.task.id, (record) => {
      const { state } = ofRecord(record).task.status;
      isOurs = !isOver(state) || state === held.task.status.state;
      return isOurs ? { value, expiresMs } : undefined;
    });
    return written !== undefined && isOurs;
  }

  return {
    save,
    async create(held) {
      const { maxTasks, maxTasksOfCaller } = limits();
      if ((await records.count({ kind, owner: held.owner })) >= maxTasksOfCaller) {
        throw new A2aError(
          "rateLimited",
          `This key has ${maxTasksOfCaller} tasks already: wait until some expire, or let the operator raise routeiq_settings.a2a.max_tasks_per_caller.`,
        );
      }
      if ((await records.count({ kind })) >= maxTasks) {
        throw new A2aError(
          "rateLimited",
          `There are ${maxTasks} tasks already: wait until some expire, or raise routeiq_settings.a2a.max_tasks.`,
        );
      }
      await records.put(toRecord(held), { ifAbsent: true });
    },
    async get(id, agent, caller) {
      const record = await records.get(kind, id);
      const isTheirs = record && (record.owner === caller.id || caller.admin);
      if (!record || !isTheirs || record.parent !== agent) throw noTask(id);
      return settle(record);
    },
    async look(id) {
      const record = await records.get(kind, id);
      return record && settle(record);
    },
    async list(agent, caller, request) {
      const found: HeldTask[] = [];
      const tag = request.contextId === undefined ? {} : { tag: request.contextId };
      let after: string | undefined;
      for (let seen = 0; seen < taskLimits.listed; seen += taskLimits.page) {
        const page = await records.list({
          ...{ kind, owner: caller.id, parent: agent, limit: taskLimits.page },
          ...tag,
          ...(after === undefined ? {} : { after }),
        });
        for (const record of page.records) {
          const held = await settle(record);
          if (fits(held, request)) found.push(narrowed(held, request));
        }
        after = page.records.at(-1)?.id;
        if (!page.hasMore || after === undefined) break;
      }
      return pageOf(found, request);
    },
    async ofContext(agent, owner, contextId, limit) {
      const { records: found } = await records.list({
        ...{ kind, owner, parent: agent, tag: contextId, limit },
      });
      return found.toReversed().map(ofRecord);
    },
    async remove(id) {
      await records.remove(kind, id);
    },
  };
}

export const noTask = (id: string) =>
  new A2aError("taskNotFound", `There is no task '${id.slice(0, 100)}'.`, {
    taskId: id.slice(0, 100),
  });

function fits({ task }: HeldTask, { status, afterMs }: ListRequest): boolean {
  if (status !== undefined && task.status.state !== status) return false;
  return afterMs === undefined || Date.parse(task.status.timestamp) >= afterMs;
}

/** Contents that nobody asked for are let go page by page. */
function narrowed(held: HeldTask, { historyLength, includeArtifacts }: ListRequest): HeldTask {
  const task = withHistory(held.task, historyLength ?? 0);
  return { ...held, task: includeArtifacts ? task : { ...task, artifacts: [] } };
}

/** The last status first; the token is the place of the last task that was told. */
function pageOf(found: HeldTask[], { pageSize, pageToken }: ListRequest): TaskPage {
  const keyOf = ({ task }: HeldTask) => `${task.status.timestamp} ${task.id}`;
  const ordered = found.sort((a, b) => (keyOf(a) < keyOf(b) ? 1 : -1));
  const last = pageToken === "" ? "" : Buffer.from(pageToken, "base64url").toString();
  if (pageToken !== "" && !/^\S+Z \S+$/.test(last)) {
    throw new A2aError("invalidParams", "'pageToken' is not one of this list's.");
  }
  const rest = last === "" ? ordered : ordered.filter((held) => keyOf(held) < last);
  const page = rest.slice(0, pageSize);
  const end = page.at(-1);
  const more = rest.length > page.length && end;
  return {
    tasks: page.map(({ task }) => task),
    nextPageToken: more ? Buffer.from(keyOf(end)).toString("base64url") : "",
    pageSize,
    totalSize: found.length,
  };
}

/** The last so many messages; undefined: all. */
export function withHistory(task: Task, length: number | undefined): Task {
  if (length === undefined) return task;
  return { ...task, history: length === 0 ? [] : task.history.slice(-length) };
}

function ofRecord({ value, parent, owner, updatedMs }: StoredRecord): HeldTask {
  const upstream = objectAt(value, "upstream");
  return {
    task: readTask(objectAt(value, "task") ?? {}),
    ...{ agent: parent, owner, updatedMs },
    moves: objectsOf(value["moves"]).map((move) => ({
      from: String(move["from"]),
      to: String(move["to"]),
      timestamp: String(move["timestamp"]),
    })),
    upstream: upstream && {
      taskId: String(upstream["taskId"] ?? ""),
      contextId: String(upstream["contextId"] ?? ""),
    },
    deadlineMs: Number(value["deadlineMs"] ?? 0),
    runner: readRunner(objectAt(value, "runner")),
  };
}

function readRunner(runner: JsonObject | undefined): Runner | undefined {
  if (!runner) return undefined;
  const { host, pid, instance } = runner;
  return { host: String(host), pid: Number(pid), instance: String(instance) };
}

/** Any task in 1.0's writing; what is missing is empty. */
export function readTask(task: JsonObject): Task {
  const status = objectAt(task, "status") ?? {};
  const message = objectAt(status, "message");
  const metadata = objectAt(task, "metadata");
  const state = status["state"];
  return {
    id: textAt(task, "id") ?? "",
    contextId: textAt(task, "contextId") ?? "",
    status: {
      state: isState(state) ? state : "TASK_STATE_UNSPECIFIED",
      ...(message ? { message } : {}),
      timestamp: textAt(status, "timestamp") ?? new Date(0).toISOString(),
    },
    artifacts: objectsOf(task["artifacts"]),
    history: objectsOf(task["history"]),
    ...(metadata ? { metadata } : {}),
  };
}
