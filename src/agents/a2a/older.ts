/**
 * Revision 0.3's objects and those of 1.0, both ways. 0.3 names kinds by `kind`, roles and states by
 * small words, and puts a part's content into `text`, `file` or `data`.
 * Source: https://a2a-protocol.org/v0.3.0/specification/
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { isOver, isWaiting } from "./state.ts";
import {
  isState,
  objectAt,
  objectsOf,
  present,
  type Task,
  type TaskEvent,
  type TaskState,
  type TaskStatus,
  textAt,
} from "./wire.ts";

export function toOlderState(state: TaskState): string {
  if (state === "TASK_STATE_UNSPECIFIED") return "unknown";
  return state.replace("TASK_STATE_", "").toLowerCase().replaceAll("_", "-");
}

export function fromOlderState(word: string): TaskState {
  const state = `TASK_STATE_${word.toUpperCase().replaceAll("-", "_")}`;
  return isState(state) ? state : "TASK_STATE_UNSPECIFIED";
}

export function fromOlderMessage(message: JsonObject): JsonObject {
  const { kind: _kind, role, parts, ...rest } = message;
  return {
    ...rest,
    role: role === "agent" || role === "ROLE_AGENT" ? "ROLE_AGENT" : "ROLE_USER",
    parts: objectsOf(parts).map(fromOlderPart),
  };
}

function fromOlderPart(part: JsonObject): JsonObject {
  const { kind: _kind, file, ...rest } = part;
  if (!isObject(file)) return rest;
  const { bytes, uri, mimeType, name } = file;
  return present({
    ...rest,
    ...(bytes === undefined ? { url: uri } : { raw: bytes }),
    mediaType: mimeType,
    filename: name,
  });
}

export function toOlderMessage(message: JsonObject): JsonObject {
  const { role, parts, ...rest } = message;
  return {
    kind: "message",
    ...rest,
    role: role === "ROLE_AGENT" ? "agent" : "user",
    parts: objectsOf(parts).map(toOlderPart),
  };
}

function toOlderPart(part: JsonObject): JsonObject {
  const { text, raw, url, data, mediaType, filename, metadata } = part;
  const more = metadata === undefined ? {} : { metadata };
  if (text !== undefined) return { kind: "text", text, ...more };
  if (data !== undefined) return { kind: "data", data, ...more };
  const content: JsonObject = raw === undefined ? { uri: url ?? "" } : { bytes: raw };
  return {
    kind: "file",
    file: present({ ...content, mimeType: mediaType, name: filename }),
    ...more,
  };
}

const olderArtifact = (artifact: JsonObject): JsonObject => ({
  ...artifact,
  parts: objectsOf(artifact["parts"]).map(toOlderPart),
});

const newerArtifact = (artifact: JsonObject): JsonObject => ({
  ...artifact,
  parts: objectsOf(artifact["parts"]).map(fromOlderPart),
});

function toOlderStatus({ state, message, timestamp }: TaskStatus): JsonObject {
  const told = message ? { message: toOlderMessage(message) } : {};
  return { state: toOlderState(state), ...told, timestamp };
}

function fromOlderStatus(status: JsonObject | undefined): JsonObject {
  const message = status && objectAt(status, "message");
  return present({
    state: fromOlderState(String(status?.["state"] ?? "unknown")),
    message: message && fromOlderMessage(message),
    timestamp: status?.["timestamp"],
  });
}

export function toOlderTask(task: Task): JsonObject {
  const { status, artifacts, history, ...rest } = task;
  return {
    kind: "task",
    ...rest,
    status: toOlderStatus(status),
    ...(artifacts.length > 0 ? { artifacts: artifacts.map(olderArtifact) } : {}),
    ...(history.length > 0 ? { history: history.map(toOlderMessage) } : {}),
  };
}

export function fromOlderTask(task: JsonObject): JsonObject {
  const { kind: _kind, status: _status, artifacts, history, ...rest } = task;
  return {
    ...rest,
    status: fromOlderStatus(objectAt(task, "status")),
    artifacts: objectsOf(artifacts).map(newerArtifact),
    history: objectsOf(history).map(fromOlderMessage),
  };
}

/** An event in a stream's `result`. */
export function toOlderEvent(event: TaskEvent): JsonObject {
  if ("task" in event) return toOlderTask(event.task);
  if ("message" in event) return toOlderMessage(event.message);
  if ("statusUpdate" in event) {
    const { status, ...rest } = event.statusUpdate;
    const final = isOver(status.state) || isWaiting(status.state);
    return { kind: "status-update", ...rest, status: toOlderStatus(status), final };
  }
  const { artifact, ...rest } = event.artifactUpdate;
  return { kind: "artifact-update", ...rest, artifact: olderArtifact(artifact) };
}

/** Any `result` of 0.3 that holds an object with a kind, as 1.0 wraps it. */
export function fromOlderResult(result: JsonObject): JsonObject {
  const kind = textAt(result, "kind");
  const { kind: _kind, final: _final, ...rest } = result;
  if (kind === "message") return { message: fromOlderMessage(result) };
  if (kind === "status-update") {
    return { statusUpdate: { ...rest, status: fromOlderStatus(objectAt(result, "status")) } };
  }
  if (kind === "artifact-update") {
    return {
      artifactUpdate: { ...rest, artifact: newerArtifact(objectAt(result, "artifact") ?? {}) },
    };
  }
  return { task: fromOlderTask(result) };
}

/** 0.3 nests what 1.0 writes flat. */
export function fromOlderPush(params: JsonObject): JsonObject {
  const { pushNotificationConfig, ...rest } = params;
  const config = isObject(pushNotificationConfig) ? pushNotificationConfig : {};
  return { ...rest, ...newerPushConfig(config) };
}

export function toOlderPush(config: JsonObject): JsonObject {
  return { taskId: config["taskId"] ?? "", pushNotificationConfig: olderPushConfig(config) };
}

/** Without its task. 0.3 lists schemes, of which one is used. */
export function newerPushConfig(config: JsonObject): JsonObject {
  const { authentication, ...flat } = config;
  if (!isObject(authentication)) return flat;
  const { schemes } = authentication;
  const scheme: Json | undefined = Array.isArray(schemes) ? schemes[0] : authentication["scheme"];
  const credentials = authentication["credentials"];
  return { ...flat, authentication: present({ scheme, credentials }) };
}

export function olderPushConfig(config: JsonObject): JsonObject {
  const { taskId: _task, authentication, tenant: _tenant, ...rest } = config;
  if (!isObject(authentication)) return rest;
  const { scheme, credentials } = authentication;
  return { ...rest, authentication: present({ schemes: [scheme ?? "Bearer"], credentials }) };
}
