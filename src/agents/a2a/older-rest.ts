/**
 * Revision 0.3 over HTTP+JSON: the JSON of its own protobuf, which is neither 0.3's JSON-RPC nor 1.0.
 * A message's parts are its `content`, a file is `fileWithUri` or `fileWithBytes`, data lies one level
 * deeper, and what ends by request is CANCELLED. Field names are read in snake case as well.
 * Source: a2a.proto of https://github.com/a2aproject/A2A/tree/v0.3.0/specification/grpc
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { fromOlderPush, newerPushConfig, olderPushConfig } from "./older.ts";
import { isOver, isWaiting } from "./state.ts";
import {
  isState,
  objectAt,
  objectsOf,
  present,
  type Task,
  type TaskEvent,
  type TaskStatus,
  textAt,
} from "./wire.ts";

/** Fields in snake case under their other name; what is in neither stays. */
function inCamels(of: JsonObject): JsonObject {
  const entries = Object.entries(of).map(([key, value]) => [
    key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(entries);
}

export function fromOlderRestMessage(given: JsonObject): JsonObject {
  const { content, parts, role, kind: _kind, ...rest } = inCamels(given);
  const isAgent = role === "ROLE_AGENT" || role === 2 || role === "agent";
  return {
    ...rest,
    role: isAgent ? "ROLE_AGENT" : "ROLE_USER",
    parts: objectsOf(content ?? parts).map(fromPart),
  };
}

export function toOlderRestMessage(message: JsonObject): JsonObject {
  const { parts, referenceTaskIds: _references, ...rest } = message;
  return { ...rest, content: objectsOf(parts).map(toPart) };
}

function fromPart(part: JsonObject): JsonObject {
  const { file, data, kind: _kind, ...rest } = inCamels(part);
  if (isObject(file)) {
    const { fileWithUri, fileWithBytes, mimeType, name, uri, bytes } = inCamels(file);
    const raw = fileWithBytes ?? bytes;
    const content = raw === undefined ? { url: fileWithUri ?? uri } : { raw };
    return present({ ...rest, ...content, mediaType: mimeType, filename: name });
  }
  if (data === undefined) return rest;
  return { ...rest, data: isObject(data) && isObject(data["data"]) ? data["data"] : data };
}

function toPart(part: JsonObject): JsonObject {
  const { text, raw, url, data, mediaType, filename, metadata } = part;
  const more = metadata === undefined ? {} : { metadata };
  if (text !== undefined) return { text, ...more };
  // A Struct is an object: what is none has to lie in one.
  if (data !== undefined)
    return { data: { data: isObject(data) ? data : { value: data } }, ...more };
  const content: JsonObject =
    raw === undefined ? { fileWithUri: url ?? "" } : { fileWithBytes: raw };
  return { file: present({ ...content, mimeType: mediaType, name: filename }), ...more };
}

const fromArtifact = (artifact: JsonObject): JsonObject => ({
  ...inCamels(artifact),
  parts: objectsOf(artifact["parts"]).map(fromPart),
});
const toArtifact = (artifact: JsonObject): JsonObject => ({
  ...artifact,
  parts: objectsOf(artifact["parts"]).map(toPart),
});

const toStatus = ({ state, message, timestamp }: TaskStatus): JsonObject => ({
  state: state === "TASK_STATE_CANCELED" ? "TASK_STATE_CANCELLED" : state,
  ...(message ? { message: toOlderRestMessage(message) } : {}),
  timestamp,
});

function fromStatus(status: JsonObject | undefined): JsonObject {
  const word = String(status?.["state"] ?? "").replace("CANCELLED", "CANCELED");
  const message = status && (objectAt(status, "message") ?? objectAt(status, "update"));
  return present({
    state: isState(word) ? word : "TASK_STATE_UNSPECIFIED",
    message: message && fromOlderRestMessage(message),
    timestamp: status?.["timestamp"],
  });
}

export function toOlderRestTask(task: Task): JsonObject {
  const { status, artifacts, history, ...rest } = task;
  return {
    ...rest,
    status: toStatus(status),
    ...(artifacts.length > 0 ? { artifacts: artifacts.map(toArtifact) } : {}),
    ...(history.length > 0 ? { history: history.map(toOlderRestMessage) } : {}),
  };
}

export function fromOlderRestTask(given: JsonObject): JsonObject {
  const { status: _status, artifacts, history, ...rest } = inCamels(given);
  return {
    ...rest,
    status: fromStatus(objectAt(given, "status")),
    artifacts: objectsOf(artifacts).map(fromArtifact),
    history: objectsOf(history).map(fromOlderRestMessage),
  };
}

/** `SendMessageResponse` and `StreamResponse`, which have the same names. */
export function toOlderRestEvent(event: TaskEvent): JsonObject {
  if ("task" in event) return { task: toOlderRestTask(event.task) };
  if ("message" in event) return { message: toOlderRestMessage(event.message) };
  if ("statusUpdate" in event) {
    const { status, ...rest } = event.statusUpdate;
    const final = isOver(status.state) || isWaiting(status.state);
    return { statusUpdate: { ...rest, status: toStatus(status), final } };
  }
  const { artifact, ...rest } = event.artifactUpdate;
  return { artifactUpdate: { ...rest, artifact: toArtifact(artifact) } };
}

export function fromOlderRestResult(given: JsonObject): JsonObject {
  const result = inCamels(given);
  const task = objectAt(result, "task");
  if (task) return { task: fromOlderRestTask(task) };
  const message = objectAt(result, "message") ?? objectAt(result, "msg");
  if (message) return { message: fromOlderRestMessage(message) };
  const update = objectAt(result, "statusUpdate");
  if (update) {
    const { final: _final, ...rest } = inCamels(update);
    return { statusUpdate: { ...rest, status: fromStatus(objectAt(update, "status")) } };
  }
  const piece = objectAt(result, "artifactUpdate");
  if (!piece) return result;
  const artifact = fromArtifact(objectAt(piece, "artifact") ?? {});
  return { artifactUpdate: { ...inCamels(piece), artifact } };
}

export function toOlderRestPush(config: JsonObject): JsonObject {
  const { taskId, id } = config;
  return {
    name: `tasks/${taskId}/pushNotificationConfigs/${id}`,
    pushNotificationConfig: olderPushConfig(config),
  };
}

/** As the proto's route has it (the body is the `config`), as its request message, or bare. */
export function fromOlderRestPush(params: JsonObject): JsonObject {
  const given = inCamels(params);
  const inner = objectAt(given, "config");
  const wrapped = inner ? inCamels(inner) : given;
  const config = objectAt(wrapped, "pushNotificationConfig");
  const name = textAt(wrapped, "name")?.split("/").at(-1);
  const id = textAt(given, "configId") ?? name;
  const flat = config ? newerPushConfig(inCamels(config)) : fromOlderPush(wrapped);
  return present({ ...flat, id: flat["id"] ?? id, taskId: given["taskId"] });
}

/** `configuration` by the names of 0.3's JSON-RPC. */
export function fromOlderRestConfiguration(given: JsonObject): JsonObject {
  const { pushNotification, ...rest } = inCamels(given);
  const push = isObject(pushNotification) ? inCamels(pushNotification) : undefined;
  return present({ ...rest, pushNotificationConfig: rest["pushNotificationConfig"] ?? push });
}
