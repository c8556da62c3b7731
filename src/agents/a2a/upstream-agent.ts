/**
 * An agent that stands elsewhere. Its tasks have ids of the gateway's, and contexts that are one
 * caller's alone: what one may say of a task another cannot guess. No credential of the caller
 * travels on.
 */

import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { sha256Hex } from "../../security/hashing.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import type { Agent, Execute, UpstreamIds, UpstreamTarget, Work } from "./agent.ts";
import { A2aError } from "./errors.ts";
import type { Peers } from "./peer.ts";
import { isQuiet } from "./state.ts";
import { readTask } from "./tasks.ts";
import {
  type ArtifactUpdate,
  objectAt,
  present,
  type StatusUpdate,
  type Task,
  type TaskEvent,
  textAt,
} from "./wire.ts";

export interface UpstreamAgent {
  readonly execute: Execute;
  /** How it stands there. */
  get(held: Known, signal: AbortSignal): Promise<Task>;
  cancel(held: Known, signal: AbortSignal): Promise<Task>;
  /** What happens to it from now on. */
  subscribe(held: Known, signal: AbortSignal): AsyncIterable<TaskEvent>;
  card(agent: Agent): Promise<JsonObject>;
}

export interface Known {
  readonly agent: Agent;
  readonly task: Task;
  readonly upstream: UpstreamIds;
}

/** How often a task is asked about whose agent tells nothing by itself: at first, and at most. */
const pollMs = { first: 500, most: 10_000 } as const;

export function createUpstreamAgent(peers: Peers, clock: Clock): UpstreamAgent {
  const open = async (agent: Agent) => {
    const target = targetOf(agent);
    return { target, peer: await peers.find(target, agent.card) };
  };

  async function ask(
    operation: "get" | "cancel",
    { agent, task, upstream }: Known,
    signal: AbortSignal,
  ) {
    const { target, peer } = await open(agent);
    const params = { id: upstream.taskId };
    const told = await peers.call(target, peer, { operation, params, signal });
    return mapped({ task: readTask(told) }, task, upstream).task;
  }

  async function* subscribe({ agent, task, upstream }: Known, signal: AbortSignal) {
    const { target, peer } = await open(agent);
    const request = { operation: "subscribe", params: { id: upstream.taskId }, signal } as const;
    for await (const result of peers.stream(target, peer, request)) {
      yield mapEvent(readEvent(result), task, upstream);
    }
  }

  /** A task that goes on after its message has been answered: by its stream, else by asking. */
  async function* follow(held: Known, signal: AbortSignal): AsyncGenerator<TaskEvent> {
    let { task } = held;
    const { peer } = await open(held.agent);
    if (objectAt(peer.card, "capabilities")?.["streaming"] === true) {
      try {
        for await (const event of subscribe(held, signal)) {
          if ("task" in event && isSame(event.task, task)) continue;
          if (!("message" in event)) task = withStatusOf(event, task);
          yield event;
        }
      } catch (thrown) {
        // Its stream cannot be had, or broke off: it is asked instead.
        if (signal.aborted) throw thrown;
      }
    }
    for (let delayMs: number = pollMs.first; !isQuiet(task.status.state); ) {
      await sleep(clock, delayMs, signal);
      delayMs = Math.min(delayMs * 2, pollMs.most);
      const told = await ask("get", held, signal);
      if (!isSame(told, task)) yield { task: told };
      task = told;
    }
  }

  return {
    async *execute(work) {
      const { agent, signal, extensions, task } = work;
      const { target, peer } = await open(agent);
      const request = { params: toParams(work), extensions, signal };
      const results = work.stream
        ? peers.stream(target, peer, { operation: "stream", ...request })
        : one(peers.call(target, peer, { operation: "send", ...request }));
      let ids = work.upstream;
      let last: TaskEvent | undefined;
      for await (const result of results) {
        const event = readEvent(result);
        const told = "message" in event ? undefined : idsOf(event);
        if (told && ids === undefined) {
          ids = told;
          work.onUpstream(told);
        }
        last = mapEvent(event, task, ids);
        yield last;
      }
      if (!last) throw new A2aError("invalidAgentResponse", "The agent has said nothing at all.");
      if (work.stream || !ids || !("task" in last) || isQuiet(last.task.status.state)) return;
      if (work.onAnswered()) yield* follow({ agent, task: last.task, upstream: ids }, signal);
    },
    get: (held, signal) => ask("get", held, signal),
    cancel: (held, signal) => ask("cancel", held, signal),
    async *subscribe(held, signal) {
      let begun = false;
      for await (const event of subscribe(held, signal)) {
        // 1.0 begins with the task, which 0.3 need not.
        if (!begun && !("task" in event)) yield { task: held.task };
        begun = true;
        yield event;
      }
    },
    async card(agent) {
      return (await open(agent)).peer.card;
    },
  };
}

async function* one(result: Promise<JsonObject>): AsyncGenerator<JsonObject> {
  yield await result;
}

function targetOf({ serves }: Agent): UpstreamTarget {
  if (serves.kind === "upstream") return serves;
  throw new GatewayError("internal", "This agent stands nowhere else.");
}

/** The same conversation of the same caller has always the same name there, and nobody else's. */
export function foreignContext(owner: string, contextId: string): string {
  return `ctx-${sha256Hex(`${owner}\n${contextId}`).slice(0, 32)}`;
}

/** How it stands has not changed. */
const isSame = (a: Task, b: Task) =>
  a.status.state === b.status.state &&
  a.status.timestamp === b.status.timestamp &&
  a.artifacts.length === b.artifacts.length;

function withStatusOf(event: Exclude<TaskEvent, { message: JsonObject }>, task: Task): Task {
  if ("task" in event) return event.task;
  return "statusUpdate" in event ? { ...task, status: event.statusUpdate.status } : task;
}

function toParams({ request, caller, task, upstream, isNew }: Work): JsonObject {
  const { referenceTaskIds: _references, ...said } = request.message;
  const contextId = upstream?.contextId || foreignContext(caller.id, task.contextId);
  const message = present({ ...said, contextId, taskId: isNew ? undefined : upstream?.taskId });
  const modes =
    request.acceptedOutputModes.length > 0 ? [...request.acceptedOutputModes] : undefined;
  const { historyLength, returnImmediately, metadata } = request;
  const configuration = present({
    acceptedOutputModes: modes,
    historyLength,
    returnImmediately: returnImmediately || undefined,
  });
  return present({ message, configuration, metadata });
}

/** @throws A2aError invalidAgentResponse */
function readEvent(wrapped: JsonObject): TaskEvent {
  const task = objectAt(wrapped, "task");
  if (task && textAt(task, "id")) return { task: readTask(task) };
  const message = objectAt(wrapped, "message");
  if (message) return { message };
  const update = objectAt(wrapped, "statusUpdate");
  if (update && textAt(update, "taskId")) {
    const { status } = readTask({ status: objectAt(update, "status") ?? {} });
    return { statusUpdate: { ...idsIn(update), status, ...metadataOf(update) } };
  }
  const piece = objectAt(wrapped, "artifactUpdate");
  const artifact = piece && objectAt(piece, "artifact");
  if (piece && artifact && textAt(piece, "taskId")) {
    const { append, lastChunk } = piece;
    const flags = { append: append === true, lastChunk: lastChunk === true };
    return { artifactUpdate: { ...idsIn(piece), artifact, ...flags, ...metadataOf(piece) } };
  }
  throw new A2aError(
    "invalidAgentResponse",
    "The agent answered with neither a task nor a message nor an update.",
  );
}

const idsIn = (update: JsonObject) => ({
  taskId: textAt(update, "taskId") ?? "",
  contextId: textAt(update, "contextId") ?? "",
});

const metadataOf = (update: JsonObject) => {
  const metadata = objectAt(update, "metadata");
  return metadata ? { metadata } : {};
};

function idsOf(event: Exclude<TaskEvent, { message: JsonObject }>): UpstreamIds {
  if ("task" in event) return { taskId: event.task.id, contextId: event.task.contextId };
  const { taskId, contextId } = "statusUpdate" in event ? event.statusUpdate : event.artifactUpdate;
  return { taskId, contextId };
}

/** @throws A2aError invalidAgentResponse where it speaks of another task */
function mapEvent(event: TaskEvent, task: Task, ids: UpstreamIds | undefined): TaskEvent {
  if ("message" in event) return { message: ours(event.message, task, ids) };
  const told = idsOf(event);
  if (ids && told.taskId !== ids.taskId) {
    throw new A2aError(
      "invalidAgentResponse",
      "The agent answered with another task than was asked about.",
    );
  }
  return mapped(event, task, ids);
}

function mapped(
  event: { readonly task: Task },
  task: Task,
  ids: UpstreamIds | undefined,
): { readonly task: Task };
function mapped(event: TaskEvent, task: Task, ids: UpstreamIds | undefined): TaskEvent;
function mapped(event: TaskEvent, task: Task, ids: UpstreamIds | undefined): TaskEvent {
  const own = { taskId: task.id, contextId: task.contextId };
  const withStatus = <T extends { readonly status: Task["status"] }>(of: T): T =>
    of.status.message
      ? { ...of, status: { ...of.status, message: ours(of.status.message, task, ids) } }
      : of;
  if ("task" in event) {
    const history = event.task.history.map((each) => ours(each, task, ids));
    return { task: withStatus({ ...event.task, id: task.id, contextId: task.contextId, history }) };
  }
  if ("statusUpdate" in event) {
    const update: StatusUpdate = withStatus({ ...event.statusUpdate, ...own });
    return { statusUpdate: update };
  }
  if ("artifactUpdate" in event) {
    const update: ArtifactUpdate = { ...event.artifactUpdate, ...own };
    return { artifactUpdate: update };
  }
  return { message: ours(event.message, task, ids) };
}

/** A message's ids; one of another task is no longer told. */
function ours(message: JsonObject, task: Task, ids: UpstreamIds | undefined): JsonObject {
  const { taskId, contextId: _context, referenceTaskIds: _references, ...rest } = message;
  const isThis = taskId !== undefined && ids !== undefined && taskId === ids.taskId;
  return { ...rest, ...(isThis ? { taskId: task.id } : {}), contextId: task.contextId };
}
