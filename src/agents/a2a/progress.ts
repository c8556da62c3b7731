/** A task as its events come: what each makes of it, and whether it may. */
import type { JsonObject } from "../../domain/json.ts";
import { A2aError } from "./errors.ts";
import { assertMove } from "./state.ts";
import { type Move, taskLimits } from "./tasks.ts";
import {
  type ArtifactUpdate,
  objectsOf,
  type Task,
  type TaskEvent,
  type TaskStatus,
} from "./wire.ts";

export interface Progress {
  readonly task: Task;
  readonly moves: readonly Move[];
  readonly size: number;
}

/**
 * @throws A2aError invalidParams for a move that its state does not allow; invalidAgentResponse for
 * a task that grows beyond its limit.
 */
export function advance(before: Progress, event: TaskEvent): Progress {
  const size = before.size + sizeOf(event);
  if (size > taskLimits.chars) {
    throw new A2aError(
      "invalidAgentResponse",
      `The agent has said more than a task may hold: the limit is ${taskLimits.chars} characters.`,
    );
  }
  const { task, moves } = before;
  if ("message" in event) return { ...before, size };
  if ("artifactUpdate" in event)
    return { task: withArtifact(task, event.artifactUpdate), moves, size };
  const status = "task" in event ? event.task.status : event.statusUpdate.status;
  const next = "task" in event ? merged(task, event.task) : withStatus(task, status);
  return { task: next, moves: moved(task, status, moves), size };
}

/** What a status says is kept in the history; one that says nothing is small. */
function sizeOf(event: TaskEvent): number {
  const isBare = "statusUpdate" in event && event.statusUpdate.status.message === undefined;
  return isBare ? 64 : JSON.stringify(event).length;
}

function moved(task: Task, to: TaskStatus, moves: readonly Move[]): readonly Move[] {
  const { state: from } = task.status;
  if (from === to.state) return moves;
  assertMove(from, to.state);
  return [...moves, { from, to: to.state, timestamp: to.timestamp }].slice(-taskLimits.moves);
}

/** What a status said is part of the conversation as soon as another follows it. */
function withStatus(task: Task, status: TaskStatus): Task {
  const { message } = task.status;
  const history = message
    ? [...task.history, message].slice(-taskLimits.historyMessages)
    : task.history;
  return { ...task, status, history };
}

/** An agent's own snapshot; what it leaves out stays. */
function merged(task: Task, told: Task): Task {
  return {
    ...task,
    status: told.status,
    artifacts:
      told.artifacts.length > 0 ? told.artifacts.slice(0, taskLimits.artifacts) : task.artifacts,
    history:
      told.history.length > 0 ? told.history.slice(-taskLimits.historyMessages) : task.history,
    ...(told.metadata ? { metadata: { ...task.metadata, ...told.metadata } } : {}),
  };
}

function withArtifact(task: Task, { artifact, append }: ArtifactUpdate): Task {
  const at = task.artifacts.findIndex(({ artifactId }) => artifactId === artifact["artifactId"]);
  const held = task.artifacts[at];
  if (!held) {
    if (task.artifacts.length >= taskLimits.artifacts) {
      throw new A2aError(
        "invalidAgentResponse",
        `A task has at most ${taskLimits.artifacts} artifacts.`,
      );
    }
    return { ...task, artifacts: [...task.artifacts, artifact] };
  }
  return {
    ...task,
    artifacts: task.artifacts.with(at, append ? extended(held, artifact) : artifact),
  };
}

/** Pieces of text become one text: a thousand of them would be a thousand parts. */
function extended(held: JsonObject, { parts, ...more }: JsonObject): JsonObject {
  const all = [...objectsOf(held["parts"])];
  for (const part of objectsOf(parts)) {
    const last = all.at(-1);
    const joins =
      typeof last?.["text"] === "string" && typeof part["text"] === "string" && !part["metadata"];
    if (last && joins) all[all.length - 1] = { ...last, text: `${last["text"]}${part["text"]}` };
    else all.push(part);
  }
  return { ...held, ...more, parts: all };
}
