/** From what arrived to a Call: bytes parsed once, the little that the gateway relies on checked. */
import type { Dialect, DialectName } from "../dialects/dialect.ts";
import type { Call, Caller, HangUp, RequestHeaders } from "../domain/call.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Operation } from "../domain/model.ts";
import { readDial } from "../routing/dial.ts";
import { decodeUtf8, JsonParseFailed, parseJsonText } from "../std/json.ts";
import { parseTraceparent } from "../telemetry/trace-context.ts";
import { type FormSource, readForm } from "./read-form.ts";
import { readOptions } from "./read-options.ts";

/** A request as the transport hands it over, its body not read yet. */
export interface Arrival {
  /** Ours, a UUIDv7. */
  readonly id: string;
  readonly requestId: string;
  readonly operation: Operation;
  readonly dialect: Call["dialect"];
  readonly headers: RequestHeaders;
  readonly signal: HangUp;
  readonly atMs: number;
  readonly atUs: number;
  /** From `/engines/{model}/…` and `/openai/deployments/{model}/…`; wins over the body's. */
  readonly pathModel?: string | undefined;
  /** Answers where the request names none and its operation lets it. */
  readonly defaultModel?: string | undefined;
  /** Where the body is a form: it is read as it comes, instead of `bytes`. */
  readonly form?: FormSource | undefined;
  /** From the path of a dialect that says there whether to stream. */
  readonly pathStream?: boolean | undefined;
  /** @throws GatewayError body_too_large, unsupported_media_type */
  bytes(): ReceivedBody | Promise<ReceivedBody>;
}

/** A body as it came, or its text where that is known to be ASCII. */
export type ReceivedBody = Uint8Array | ArrayBuffer | string;

/** The same of a form. What it misses the provider will say, as most of it has not come yet. */
export async function readFormCall(
  arrival: Arrival,
  caller: Caller,
  form: FormSource,
): Promise<Call> {
  const named = arrival.pathModel !== undefined;
  const { body, upload } = await readForm(form, arrival.operation, named);
  checkFields(body, arrival.operation);
  return { ...toCall(arrival, caller, { text: "", body }), upload };
}

export function readCall(
  arrival: Arrival,
  caller: Caller,
  bytes: ReceivedBody,
  getDialect: (name: DialectName) => Dialect,
): Call {
  const parsed = parseBody(bytes);
  if (arrival.dialect === "gemini") {
    const body = withPath(parsed.body, arrival);
    const call = toCall(arrival, caller, { text: parsed.text, body });
    return { ...call, chat: getDialect("gemini").decodeRequest(body) };
  }
  checkFields(parsed.body, arrival.operation);
  return toCall(arrival, caller, parsed);
}

function toCall(
  arrival: Arrival,
  caller: Caller,
  { text, body }: Pick<Call, "text" | "body">,
): Call {
  const { headers } = arrival;
  const requestedModel = toModelName(arrival.pathModel ?? readModel(body, arrival.defaultModel));
  const deadlineMs = readDeadline(headers, arrival.atMs);
  const dial = readDial(headers);
  const sessionId = readSession(headers, body);
  const traceparent = headers.get("traceparent");
  const call: Mutable<Call> = {
    id: arrival.id,
    requestId: arrival.requestId,
    operation: arrival.operation,
    dialect: arrival.dialect,
    caller,
    requestedModel,
    stream: streams(arrival.operation, body),
    text,
    body,
    headers,
    signal: arrival.signal,
    startedAtMs: arrival.atMs,
    startedUs: arrival.atUs,
    options: readOptions(headers, body),
  };
  if (deadlineMs !== undefined) call.deadlineMs = deadlineMs;
  if (dial) call.dial = dial;
  if (sessionId !== undefined) call.sessionId = sessionId;
  if (traceparent !== null && parseTraceparent(traceparent)) call.traceparent = traceparent;
  return call;
}

/** What a dialect says in the path, in the body's words. The text stays as it came. */
function withPath(body: JsonObject, { pathModel, pathStream }: Arrival): JsonObject {
  if (pathStream === undefined || pathModel === undefined) return body;
  return { ...body, model: pathModel, stream: pathStream };
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

function parseBody(bytes: ReceivedBody): Pick<Call, "text" | "body"> {
  if ((typeof bytes === "string" ? bytes.length : bytes.byteLength) === 0) {
    throw new GatewayError("invalid_json", "The request has no body. Send a JSON object.");
  }
  let text: string;
  let body: unknown;
  try {
    text = typeof bytes === "string" ? bytes : decodeUtf8(bytes);
    body = parseJsonText(text);
  } catch (cause) {
    if (!(cause instanceof JsonParseFailed)) throw cause;
    const code = cause.reason === "utf8" ? "invalid_utf8" : "invalid_json";
    throw new GatewayError(code, `The body cannot be read: ${cause.message}.`, { cause });
  }
  if (isObject(body)) return { text, body };
  throw new GatewayError("invalid_request", "The body must be a JSON object.");
}

/** Sound streams by nature; as events where the request says so. */
function streams(operation: Operation, body: JsonObject): boolean {
  if (operation === "audio_speech") return body["stream_format"] === "sse";
  return body["stream"] === true && operation !== "embedding" && operation !== "rerank";
}

function readModel(body: JsonObject, otherwise: string | undefined): string {
  const { model } = body;
  if (otherwise !== undefined && (model === undefined || model === null)) return otherwise;
  if (typeof model === "string" && model !== "") return model;
  const problem = model === undefined ? "is missing" : "must be a non-empty string";
  throw new GatewayError("invalid_request", `"model" ${problem}. Call /v1/models for the names.`, {
    param: "model",
  });
}

/** No model is called so; and the name goes into receipts, spans and the event log. */
const modelCharLimit = 512;

function toModelName(name: string): string {
  if (name.length <= modelCharLimit) return name;
  throw new GatewayError(
    "model_not_found",
    `The model "${excerpt(name)}" does not exist here. GET /v1/models lists those that do.`,
    { param: "model" },
  );
}

interface Check {
  readonly name: string;
  readonly holds: (value: Json) => boolean;
  readonly what: string;
}

const isNumber = (value: Json) => typeof value === "number";
const isText = (value: Json) => typeof value === "string";
const isCount = (value: Json) => Number.isInteger(value) && Number(value) >= 0;

const always: readonly Check[] = [
  { name: "stream", holds: (value) => typeof value === "boolean", what: "true or false" },
  { name: "n", holds: isCount, what: "a whole number" },
];

/** What the dialects of chat agree on; the rest is the provider's to judge, or the dialect's to decode. */
const ofChat: readonly Check[] = [
  ...always,
  { name: "stream_options", holds: isObject, what: "an object" },
  { name: "temperature", holds: isNumber, what: "a number" },
  { name: "top_p", holds: isNumber, what: "a number" },
  { name: "max_tokens", holds: isCount, what: "a whole number" },
  { name: "max_completion_tokens", holds: isCount, what: "a whole number" },
  { name: "tools", holds: Array.isArray, what: "a list" },
  { name: "response_format", holds: isObject, what: "an object" },
];

/** `ofChat` for an embedding, as its callers send some of these by habit. */
const ofEmbedding: readonly Check[] = [
  ...ofChat,
  { name: "dimensions", holds: isCount, what: "a whole number" },
];

const checks: Readonly<Partial<Record<Operation, readonly Check[]>>> = {
  chat: ofChat,
  completion: ofChat,
  embedding: ofEmbedding,
};

const isInput = (value: Json) => isText(value) || isList(value);
const isList = (value: Json) => Array.isArray(value) && value.length > 0;

/** What an operation cannot do without. */
const input = { name: "input", holds: isInput, what: "a string or a list of at least one input" };
/** A text, the texts, a text's tokens, or lists of those: what can be read off the first. */
const isEmbeddable = (value: Json) =>
  isText(value) || (Array.isArray(value) && value[0] !== undefined && value[0] !== null);
const embeddable = { ...input, holds: isEmbeddable };
const documents = { name: "documents", holds: isList, what: "a list of at least one document" };
const required: Readonly<Partial<Record<Operation, readonly Check[]>>> = {
  completion: [
    { name: "prompt", holds: isInput, what: "a string or a list of at least one prompt" },
  ],
  embedding: [embeddable],
  moderation: [input],
  rerank: [{ name: "query", holds: isText, what: "a string" }, documents],
  image_generation: [{ name: "prompt", holds: isText, what: "a string" }],
  audio_speech: [{ name: "input", holds: isText, what: "a string" }],
};

/** A null counts as absent, as the providers read it. */
function checkFields(body: JsonObject, operation: Operation): void {
  for (const { name, holds, what } of checks[operation] ?? always) {
    const value = body[name];
    if (value === undefined || value === null || holds(value)) continue;
    throw wrongType(name, what);
  }
  if (operation === "chat") checkMessages(body["messages"]);
  for (const { name, holds, what } of required[operation] ?? []) {
    if (!holds(body[name] ?? null)) throw wrongType(name, what);
  }
}

/** OpenAI's and Anthropic's; and those of open models' chat templates, which their servers take. */
const knownRoles = ["system", "developer", "user", "assistant", "tool", "function"] as const;
const templateRoles = ["document", "context", "ipython", "observation", "latest_reminder"] as const;
const roles: ReadonlySet<unknown> = new Set([...knownRoles, ...templateRoles]);
const roleNames = `one of ${knownRoles.join(", ")}`;

function checkMessages(messages: Json | undefined): void {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw wrongType("messages", "a list of at least one message");
  }
  for (let i = 0; i < messages.length; i++) {
    const message = messages[i] as Json;
    if (!isObject(message)) throw wrongType(`messages[${i}]`, "an object");
    if (!roles.has(message["role"])) throw wrongType(`messages[${i}].role`, roleNames);
    const content = message["content"];
    if (content === undefined || content === null || typeof content === "string") continue;
    if (!Array.isArray(content) || !content.every(isObject)) {
      throw wrongType(`messages[${i}].content`, "a string or a list of parts");
    }
  }
}

function wrongType(param: string, what: string): GatewayError {
  return new GatewayError("invalid_request", `"${param}" must be ${what}.`, { param });
}

/** `x-routeiq-deadline-ms`: how long the caller will wait, from now. */
function readDeadline(headers: RequestHeaders, nowMs: number): number | undefined {
  const text = headers.get("x-routeiq-deadline-ms");
  if (text === null) return undefined;
  const waitMs = Number(text);
  if (waitMs > 0 && Number.isFinite(waitMs)) return nowMs + waitMs;
  throw new GatewayError(
    "invalid_request",
    `x-routeiq-deadline-ms: "${excerpt(text)}" is not a positive number of milliseconds.`,
    { param: "x-routeiq-deadline-ms" },
  );
}

const sessionLimit = 256;

function readSession(headers: RequestHeaders, body: JsonObject): string | undefined {
  const named =
    headers.get("x-routeiq-session-id") ??
    headers.get("x-litellm-session-id") ??
    body["litellm_session_id"] ??
    (isObject(body["metadata"]) ? body["metadata"]["session_id"] : undefined);
  return typeof named === "string" && named !== "" ? named.slice(0, sessionLimit) : undefined;
}
