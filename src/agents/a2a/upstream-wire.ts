/**
 * How an agent elsewhere is asked, and what its answers say, in both revisions and both bindings; on
 * this side of it there is 1.0 alone.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { A2aError, type A2aErrorName, a2aErrors, kindOfCode } from "./errors.ts";
import { fromOlderResult, fromOlderTask, toOlderMessage } from "./older.ts";
import { fromOlderRestResult, fromOlderRestTask, toOlderRestMessage } from "./older-rest.ts";
import { objectAt, objectsOf, present, textAt, type Version } from "./wire.ts";

export type Operation = "send" | "stream" | "get" | "cancel" | "subscribe";
export type Binding = "JSONRPC" | "HTTP+JSON";

/** One of the interfaces that a card names. */
export interface Face {
  readonly version: Version;
  readonly binding: Binding;
  readonly endpoint: string;
  /** Whom the endpoint serves it for, where it serves several. */
  readonly tenant: string | undefined;
}

const operations: Readonly<
  Record<Operation, readonly [newer: string, older: string, path: string]>
> = {
  send: ["SendMessage", "message/send", "POST message:send"],
  stream: ["SendStreamingMessage", "message/stream", "POST message:stream"],
  get: ["GetTask", "tasks/get", "GET tasks/{id}"],
  cancel: ["CancelTask", "tasks/cancel", "POST tasks/{id}:cancel"],
  // 0.3's proto has it as GET, which 1.0's servers take as well.
  subscribe: ["SubscribeToTask", "tasks/resubscribe", "GET tasks/{id}:subscribe"],
};

export interface WireRequest {
  readonly url: string;
  readonly method: string;
  readonly body: string | undefined;
}

/** `params` in the words of 1.0. */
export function toWireRequest(face: Face, operation: Operation, params: JsonObject): WireRequest {
  const [newer, older, rest] = operations[operation];
  const isNewer = face.version === "1.0";
  const written = isNewer ? { ...params, ...tenantOf(face) } : olderParams(face, params);
  if (face.binding === "JSONRPC") {
    const method = isNewer ? newer : older;
    const call = { jsonrpc: "2.0", id: Bun.randomUUIDv7(), method, params: written };
    return { url: face.endpoint, method: "POST", body: JSON.stringify(call) };
  }
  const [method = "GET", path = ""] = rest.split(" ");
  const { id, ...body } = written;
  const tenant = face.tenant === undefined ? "" : `${encodeURIComponent(face.tenant)}/`;
  const place = path.replace("{id}", encodeURIComponent(String(id ?? "")));
  const base = face.endpoint.replace(/\/+$/, "");
  const url = isNewer ? `${base}/${tenant}${place}` : `${withoutV1(base)}/v1/${place}`;
  return { url, method, body: method === "POST" ? JSON.stringify(body) : undefined };
}

/** Some cards of 0.3 name the address with the prefix that its paths bring. */
const withoutV1 = (base: string) => base.replace(/\/v1$/, "");

const tenantOf = ({ tenant, binding }: Face): JsonObject =>
  tenant === undefined || binding !== "JSONRPC" ? {} : { tenant };

function olderParams({ binding }: Face, params: JsonObject): JsonObject {
  const { message, configuration, ...rest } = params;
  if (!isObject(message)) return rest;
  const { returnImmediately, ...others } = isObject(configuration) ? configuration : {};
  return {
    ...rest,
    message: binding === "JSONRPC" ? toOlderMessage(message) : toOlderRestMessage(message),
    configuration: { ...others, blocking: returnImmediately !== true },
  };
}

/** An answer, or what an event of a stream holds. @throws A2aError with the agent's own code and words */
export function readAnswer(
  face: Face,
  operation: Operation,
  status: number,
  text: string,
): JsonObject {
  const refused = status < 200 || status > 299;
  if (refused && !text.trimStart().startsWith("{")) {
    throw new A2aError("internal", `The agent answered with HTTP ${status}.`, {
      status: String(status),
    });
  }
  const reply = readObject(text, "The agent's answer");
  if (face.binding === "JSONRPC") return newerResult(face, operation, rpcResult(reply, status));
  const error = restError(reply);
  if (refused || error) throw toRestFailure(error ?? {}, status);
  return newerResult(face, operation, reply);
}

export function readObject(text: string, what: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new A2aError("invalidAgentResponse", `${what} is not JSON.`, {}, { cause });
  }
  if (isObject(value)) return value;
  throw new A2aError("invalidAgentResponse", `${what} is not a JSON object.`);
}

function newerResult(face: Face, operation: Operation, result: JsonObject): JsonObject {
  if (face.version === "1.0") return result;
  const isTask = operation === "get" || operation === "cancel";
  if (face.binding === "JSONRPC") return isTask ? fromOlderTask(result) : fromOlderResult(result);
  return isTask ? fromOlderRestTask(result) : fromOlderRestResult(result);
}

function rpcResult(reply: JsonObject, status: number): JsonObject {
  const error = objectAt(reply, "error");
  if (error) {
    const code = Number(error["code"]);
    const words = wordsOf(error);
    if (!Number.isInteger(code) || code > 0) throw new A2aError("internal", words);
    throw new A2aError(kindOfCode(code), words, {}, { code });
  }
  const result: Json | undefined = reply["result"];
  if (status < 200 || status > 299 || result === undefined) {
    throw new A2aError(
      "invalidAgentResponse",
      `The agent's answer (HTTP ${status}) has no result.`,
    );
  }
  return isObject(result) ? result : { value: result };
}

const wordsOf = (error: JsonObject) =>
  String(error["message"] ?? "The agent failed.").slice(0, 500);

/** google.rpc.Status, or 0.3's bare one. */
function restError(reply: JsonObject): JsonObject | undefined {
  const error = objectAt(reply, "error");
  if (error) return error;
  const { code, message } = reply;
  return typeof code === "number" && typeof message === "string" ? reply : undefined;
}

/** By the reason it gives, by JSON-RPC's code, else by HTTP's. */
function toRestFailure(error: JsonObject, status: number): A2aError {
  const words = textAt(error, "message")
    ? wordsOf(error)
    : `The agent answered with HTTP ${status}.`;
  const given = [...objectsOf(error["details"]), ...objectsOf(error["data"])];
  const reasons = given.map((each) => each["reason"]);
  const names = Object.keys(a2aErrors) as A2aErrorName[];
  const named = names.find((name) => reasons.includes(a2aErrors[name].reason));
  if (named) return new A2aError(named, words);
  const code = Number(error["code"]);
  if (Number.isInteger(code) && code < 0) {
    return new A2aError(kindOfCode(code), words, {}, { code });
  }
  const kind = status === 404 ? "taskNotFound" : status === 400 ? "invalidParams" : "internal";
  return new A2aError(kind, words, present({ status: String(status) }) as Record<string, string>);
}
