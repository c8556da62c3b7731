/** What callers send, read and checked, in either revision. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { A2aError } from "./errors.ts";
import { fromOlderMessage, fromOlderPush, fromOlderState } from "./older.ts";
import { type ListRequest, taskLimits } from "./tasks.ts";
import {
  isState,
  objectAt,
  objectsOf,
  type SendRequest,
  type TaskState,
  textAt,
  textsOf,
  type Version,
} from "./wire.ts";

const idChars = 256;
const partLimit = 1_000;

const invalid = (problem: string) => new A2aError("invalidParams", problem);

/** @throws A2aError invalidParams */
export function readSend(params: JsonObject, version: Version): SendRequest {
  const given = objectAt(params, "message");
  if (!given) throw invalid("'message' is missing.");
  const message = version === "0.3" ? fromOlderMessage(given) : given;
  assertMessage(given, message, version);
  const configuration = objectAt(params, "configuration") ?? {};
  const { blocking } = configuration;
  const taskId = readId(message, "taskId");
  const contextId = readId(message, "contextId");
  return {
    message,
    ...{ taskId, contextId },
    acceptedOutputModes: textsOf(configuration["acceptedOutputModes"]),
    historyLength: readLength(configuration["historyLength"]),
    returnImmediately:
      version === "0.3"
        ? blocking === false
        : configuration["returnImmediately"] === true || blocking === false,
    push: readPushOf(configuration, version),
    metadata: objectAt(params, "metadata"),
  };
}

function readPushOf(configuration: JsonObject, version: Version): JsonObject | undefined {
  if (version === "0.3") {
    const older = objectAt(configuration, "pushNotificationConfig");
    return older && fromOlderPush({ pushNotificationConfig: older });
  }
  return (
    objectAt(configuration, "taskPushNotificationConfig") ??
    objectAt(configuration, "pushNotificationConfig")
  );
}

function assertMessage(given: JsonObject, message: JsonObject, version: Version): void {
  if (!textAt(message, "messageId")) throw invalid("'message.messageId' is missing.");
  readId(message, "messageId");
  const role = given["role"];
  const roles = version === "0.3" ? ["user", "agent"] : ["ROLE_USER", "ROLE_AGENT", 1, 2];
  if (!roles.some((each) => each === role)) {
    throw invalid(
      `'message.role' must be ${version === "0.3" ? "user or agent" : "ROLE_USER or ROLE_AGENT"}.`,
    );
  }
  const parts = message["parts"];
  if (!Array.isArray(parts) || parts.length === 0)
    throw invalid("'message.parts' must have a part at least.");
  if (parts.length > partLimit) throw invalid(`'message.parts' has more than ${partLimit} parts.`);
  for (const part of objectsOf(given["parts"])) assertPart(part, version);
  if (objectsOf(given["parts"]).length !== parts.length) throw invalid("A part must be an object.");
}

function assertPart(part: JsonObject, version: Version): void {
  if (version === "0.3") {
    const { kind, text, file, data } = part;
    const fine =
      (kind === "text" && typeof text === "string") ||
      (kind === "file" && isObject(file)) ||
      (kind === "data" && data !== undefined);
    if (!fine)
      throw invalid("A part must be of kind text, file or data, and have what its kind says.");
    return;
  }
  const contents = ["text", "raw", "url", "data"].filter((name) => part[name] !== undefined);
  if (contents.length !== 1) throw invalid("A part must have one of text, raw, url and data.");
  const { text, raw, url } = part;
  if ([text, raw, url].some((each) => each !== undefined && typeof each !== "string")) {
    throw invalid("A part's text, raw and url are texts.");
  }
}

export function readId(of: JsonObject, name: string): string | undefined {
  const value = of[name];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "string" && value.length <= idChars) return value;
  throw invalid(`'${name}' must be a text of at most ${idChars} characters.`);
}

export function requireId(of: JsonObject, name: string): string {
  const id = readId(of, name);
  if (id === undefined) throw invalid(`'${name}' is missing.`);
  return id;
}

export function readLength(value: Json | undefined): number | undefined {
  if (value === undefined || value === null) return undefined;
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof number === "number" && Number.isInteger(number) && number >= 0) return number;
  throw invalid("'historyLength' must be a whole number from 0.");
}

/** @throws A2aError invalidParams */
export function readList(params: JsonObject, version: Version): ListRequest {
  const size = params["pageSize"] ?? 50;
  const pageSize = typeof size === "string" ? Number(size) : size;
  if (
    typeof pageSize !== "number" ||
    !Number.isInteger(pageSize) ||
    pageSize < 1 ||
    pageSize > taskLimits.page
  ) {
    throw invalid(`'pageSize' must be a whole number from 1 to ${taskLimits.page}.`);
  }
  const after = params["statusTimestampAfter"] ?? params["lastUpdatedAfter"];
  const afterMs =
    after === undefined ? undefined : typeof after === "number" ? after : Date.parse(String(after));
  if (afterMs !== undefined && !Number.isFinite(afterMs)) {
    throw invalid("'statusTimestampAfter' must be a time, as 2026-01-31T12:00:00.000Z.");
  }
  const artifacts = params["includeArtifacts"];
  return {
    contextId: readId(params, "contextId"),
    status: readState(params["status"], version),
    ...{ afterMs, pageSize },
    pageToken: textAt(params, "pageToken") ?? "",
    historyLength: readLength(params["historyLength"]),
    includeArtifacts: artifacts === true || artifacts === "true",
  };
}

function readState(value: Json | undefined, version: Version): TaskState | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  const state = version === "0.3" && typeof value === "string" ? fromOlderState(value) : value;
  if (state === "TASK_STATE_UNSPECIFIED") return undefined;
  if (isState(state)) return state;
  throw invalid("'status' is no state of a task.");
}
