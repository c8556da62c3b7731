/** What a run's model is told: instructions, the thread so far, and what the run itself has said. */
import type { Caller } from "../../domain/call.ts";
import type { ChatTool } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { Files } from "../files/files.ts";
import { searchFunction, searchToolName } from "../vector-stores/hosted-source.ts";
import { kinds } from "./objects.ts";
import { runToolTypes } from "./run-tools.ts";

export interface ContextSources {
  readonly records: RecordStore;
  readonly files: Files;
}

/** Messages of a thread that a model is told at most; the oldest are left out. */
const messageLimit = 1_000;
/** Of a picture that a message holds by its file. */
const imageLimitBytes = 20 * 1024 * 1024;

/** The body of the chat call. `more`: tools that were opened for the run. */
export async function toChatBody(
  record: StoredRecord,
  caller: Caller,
  sources: ContextSources,
  more: readonly ChatTool[],
): Promise<JsonObject> {
  const settings = objectAt(record.value, "settings");
  const instructions = String(settings["instructions"] ?? "");
  const messages = await readThread(record, settings, caller, sources);
  const transcript = record.value["transcript"];
  const tools = [...toChatTools(settings["tools"]), ...(more as readonly JsonObject[])];
  const format = settings["response_format"];
  const fields: Record<string, Json | undefined> = {
    model: settings["model"],
    messages: [
      ...(instructions === "" ? [] : [{ role: "system", content: instructions }]),
      ...messages,
      ...(Array.isArray(transcript) ? transcript : []),
    ],
    tools: tools.length > 0 ? tools : undefined,
    tool_choice: tools.length > 0 ? toChatChoice(settings["tool_choice"]) : undefined,
    parallel_tool_calls: tools.length > 0 ? settings["parallel_tool_calls"] : undefined,
    temperature: settings["temperature"],
    top_p: settings["top_p"],
    reasoning_effort: settings["reasoning_effort"],
    max_completion_tokens: settings["max_completion_tokens"],
    response_format: format === "auto" ? undefined : format,
  };
  const entries = Object.entries(fields).filter(
    ([, value]) => value !== undefined && value !== null,
  );
  return Object.fromEntries(entries);
}

async function readThread(
  { parent: thread }: StoredRecord,
  settings: JsonObject,
  caller: Caller,
  sources: ContextSources,
): Promise<JsonObject[]> {
  const strategy = objectAt(settings, "truncation_strategy");
  const last = Number(strategy["last_messages"] ?? messageLimit);
  const limit = Math.min(messageLimit, Number.isFinite(last) ? last : messageLimit);
  const { records } = await sources.records.list({ kind: kinds.message, parent: thread, limit });
  const told: JsonObject[] = [];
  for (const { value } of records.toReversed()) {
    const parts = Array.isArray(value["content"]) ? value["content"] : [];
    const content = await Promise.all(parts.map((part) => toChatPart(part, caller, sources)));
    if (content.length > 0) told.push({ role: value["role"] ?? "user", content: joined(content) });
  }
  return told;
}

/** Texts alone are one text: the form that every model takes. */
function joined(parts: readonly JsonObject[]): Json {
  if (!parts.every(({ type }) => type === "text")) return parts as Json;
  return parts.map(({ text }) => String(text)).join("\n");
}

async function toChatPart(
  part: Json,
  caller: Caller,
  { files }: ContextSources,
): Promise<JsonObject> {
  if (!isObject(part)) return { type: "text", text: "" };
  const { type, text, refusal } = part;
  if (type === "text" && isObject(text)) return { type: "text", text: text["value"] ?? "" };
  if (type === "refusal") return { type: "text", text: refusal ?? "" };
  if (type === "image_url") return { type: "image_url", image_url: part["image_url"] ?? {} };
  const image = objectAt(part, "image_file");
  const url = await readImage(String(image["file_id"]), caller, files);
  return {
    type: "image_url",
    image_url: { url, ...(image["detail"] ? { detail: image["detail"] } : {}) },
  };
}

async function readImage(id: string, caller: Caller, files: Files): Promise<string> {
  const { blob } = await files.open(id, caller);
  if (blob.sizeBytes > imageLimitBytes) {
    const message = `The picture '${id}' is over the limit of ${imageLimitBytes} bytes.`;
    throw new GatewayError("invalid_request", message);
  }
  const parts: Uint8Array[] = [];
  for await (const each of blob.content) parts.push(each);
  const bytes = Buffer.concat(parts);
  return `data:${mediaTypeOf(bytes)};base64,${bytes.toString("base64")}`;
}

/** By its first bytes: a name may say anything. */
function mediaTypeOf(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return "image/jpeg";
  if (bytes.subarray(0, 4).toString("latin1") === "GIF8") return "image/gif";
  if (bytes.subarray(8, 12).toString("latin1") === "WEBP") return "image/webp";
  return "image/png";
}

function toChatTools(tools: Json | undefined): JsonObject[] {
  return (Array.isArray(tools) ? tools : [])
    .filter(isObject)
    .filter(({ type }) => !runToolTypes.has(type))
    .map((tool) =>
      tool["type"] === "file_search"
        ? { type: "function", function: searchFunction }
        : { type: "function", function: tool["function"] ?? {} },
    );
}

export const isFileSearch = (name: string) => name === searchToolName;

/** What the run's `file_search` says of its searches. */
export function searchOptions({ settings }: StoredRecord["value"]): JsonObject {
  const tools = isObject(settings) ? settings["tools"] : undefined;
  const search = (Array.isArray(tools) ? tools.filter(isObject) : []).find(
    ({ type }) => type === "file_search",
  );
  return search ? objectAt(search, "file_search") : {};
}

function toChatChoice(choice: Json | undefined): Json | undefined {
  if (!isObject(choice)) return choice;
  // Chat can only say that one of the tools is needed.
  if (runToolTypes.has(choice["type"])) return "required";
  if (choice["type"] !== "file_search") return choice;
  return { type: "function", function: { name: searchToolName } };
}

export function objectAt(of: JsonObject, name: string): JsonObject {
  const value = of[name];
  return isObject(value) ? value : {};
}
