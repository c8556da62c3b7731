/**
 * A2A's objects as the gateway holds them: those of revision 1.0 in JSON. Revision 0.3 is translated
 * at the border (older.ts). Source: https://a2a-protocol.org/v1.0.0/specification/
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

export type Version = "1.0" | "0.3";

export const taskStates = [
  "TASK_STATE_SUBMITTED",
  "TASK_STATE_WORKING",
  "TASK_STATE_INPUT_REQUIRED",
  "TASK_STATE_AUTH_REQUIRED",
  "TASK_STATE_COMPLETED",
  "TASK_STATE_FAILED",
  "TASK_STATE_CANCELED",
  "TASK_STATE_REJECTED",
  "TASK_STATE_UNSPECIFIED",
] as const;
export type TaskState = (typeof taskStates)[number];

export interface TaskStatus {
  readonly state: TaskState;
  readonly message?: JsonObject;
  /** ISO 8601 in UTC with milliseconds. */
  readonly timestamp: string;
}

export interface Task {
  readonly id: string;
  readonly contextId: string;
  readonly status: TaskStatus;
  readonly artifacts: readonly JsonObject[];
  /** Messages, oldest first. */
  readonly history: readonly JsonObject[];
  readonly metadata?: JsonObject;
}

/** What a stream tells, one of: each as 1.0 writes it. */
export type TaskEvent =
  | { readonly task: Task }
  | { readonly message: JsonObject }
  | { readonly statusUpdate: StatusUpdate }
  | { readonly artifactUpdate: ArtifactUpdate };

export interface StatusUpdate {
  readonly taskId: string;
  readonly contextId: string;
  readonly status: TaskStatus;
  readonly metadata?: JsonObject;
}

export interface ArtifactUpdate {
  readonly taskId: string;
  readonly contextId: string;
  readonly artifact: JsonObject;
  /** Its parts follow those that the artifact has. */
  readonly append: boolean;
  readonly lastChunk: boolean;
  readonly metadata?: JsonObject;
}

/** `message/send` and its like, read. */
export interface SendRequest {
  readonly message: JsonObject;
  readonly taskId: string | undefined;
  readonly contextId: string | undefined;
  readonly acceptedOutputModes: readonly string[];
  /** Messages of history to answer with; undefined: all. */
  readonly historyLength: number | undefined;
  /** Answers with the task as it begins. */
  readonly returnImmediately: boolean;
  /** Where to tell how it goes. */
  readonly push: JsonObject | undefined;
  readonly metadata: JsonObject | undefined;
}

export function isState(value: unknown): value is TaskState {
  return taskStates.some((state) => state === value);
}

export const textAt = (of: JsonObject, name: string): string | undefined => {
  const value = of[name];
  return typeof value === "string" && value !== "" ? value : undefined;
};

export const objectAt = (of: JsonObject, name: string): JsonObject | undefined => {
  const value = of[name];
  return isObject(value) ? value : undefined;
};

export function objectsOf(value: Json | undefined): readonly JsonObject[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

export function textsOf(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
}

/** What is not there is left out, as both revisions write it. */
export function present(fields: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

export const toJson = (value: object): JsonObject => value as JsonObject;

/** As 1.0 writes it: a list that is empty is left out. */
export function toWireTask({ artifacts, history, ...task }: Task): JsonObject {
  return toJson({
    ...task,
    ...(artifacts.length > 0 ? { artifacts } : {}),
    ...(history.length > 0 ? { history } : {}),
  });
}

export function toWireEvent(event: TaskEvent): JsonObject {
  return "task" in event ? { task: toWireTask(event.task) } : toJson(event);
}
