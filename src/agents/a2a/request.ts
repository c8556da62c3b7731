/** What callers send, read and checked, in either revision. */
import type { Json, JsonObject } from "../../domain/json.ts";
import { A2aError } from "./errors.ts";
import { fromOlderState } from "./older.ts";
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

/** How a message and what surrounds it are written; each in the words of 1.0 when it is read. */
export interface SendForm {
  readonly roles: readonly Json[];
  readonly toMessage: (given: JsonObject) => JsonObject;
  /** `returnImmediately`, or its opposite `blocking`. */
  readonly toConfiguration: (given: JsonObject) => JsonObject;
}

/** @throws A2aError invalidParams */
export function readSend(params: JsonObject, form: SendForm): SendRequest {
  // 0.3's protobuf calls it `request`, by which name its clients may write it.
  const given = objectAt(params, "message") ?? objectAt(params, "request");
  if (!given) throw invalid("'message' is missing.");
  const message = form.toMessage(given);
  assertMessage(given, message, form);
  const configuration = form.toConfiguration(objectAt(params, "configuration") ?? {});
  return {
    message,
    ...{ taskId: readId(message, "taskId"), contextId: readId(message, "contextId") },
    acceptedOutputModes: textsOf(configuration["acceptedOutputModes"]),
    historyLength: readLength(configuration["historyLength"]),
    returnImmediately:
      configuration["returnImmediately"] === true || configuration["blocking"] === false,
    push:
      objectAt(configuration, "taskPushNotificationConfig") ??
      objectAt(configuration, "pushNotificationConfig"),
    metadata: objectAt(params, "metadata"),
  };
}

function assertMessage(given: JsonObject, message: JsonObject, { roles }: SendForm): void {
  if (!textAt(message, "messageId")) throw invalid("'message.messageId' is missing.");
  readId(message, "messageId");
  if (!roles.some((each) => each === given["role"])) {
    const words = roles.filter((each) => typeof each === "string");
    throw invalid(`'message.role' must be ${words.join(" or ")}.`);
  }
  const written = given["parts"] ?? given["content"];
  if (!Array.isArray(written) || written.length === 0)
    throw invalid("'message.parts' must have a part at least.");
  if (written.length > partLimit)
    throw invalid(`'message.parts' has more than ${partLimit} parts.`);
  const parts = objectsOf(message["parts"]);
  if (parts.length !== written.length) throw invalid("A part must be an object.");
  for (const part of parts) assertPart(part);
}

function assertPart(part: JsonObject): void {
  const { text, raw, url, data } = part;
  if ([text, raw, url, data].filter((each) => each !== undefined).length !== 1) {
    throw invalid("A part must have one of text, file (raw or url) and data.");
  }
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
