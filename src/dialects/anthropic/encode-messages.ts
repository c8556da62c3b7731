/**
 * Our conversation in Anthropic's form: system text apart, turns that alternate, tool results in
 * the user's turns.
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { invalid } from "../read.ts";

export interface EncodedConversation {
  readonly system: readonly JsonObject[];
  readonly messages: readonly JsonObject[];
}

interface Turn {
  readonly role: "user" | "assistant";
  readonly blocks: JsonObject[];
}

/** @throws GatewayError unsupported_capability for content that Anthropic has no block for. */
export function encodeConversation(messages: readonly ChatMessage[]): EncodedConversation {
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  // Anthropic joins neighbours of one role itself; doing it here also keeps all results of parallel
  // tool calls in the one turn after them, which it insists on.
  const add = (role: Turn["role"], blocks: readonly JsonObject[]) => {
    if (blocks.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.blocks.push(...blocks);
    else turns.push({ role, blocks: [...blocks] });
  };
  messages.forEach((message, i) => {
    const path = `messages[${i}]`;
    const { role } = message;
    if (role === "system" || role === "developer") system.push(...contentBlocks(message, path));
    else if (role === "user") add("user", contentBlocks(message, path));
    else if (role === "assistant") add("assistant", assistantBlocks(message, path));
    else add("user", [toolResult(message, path)]);
  });
  // OpenAI answers a system message alone; Anthropic needs a turn to answer.
  if (turns.length === 0)
    return { system: [], messages: [encodeTurn({ role: "user", blocks: system })] };
  trimLast(turns);
  return { system, messages: turns.map(encodeTurn) };
}

function encodeTurn({ role, blocks }: Turn): JsonObject {
  return { role, content: asPlainText(blocks) ?? blocks };
}

/** The text of a single block that is nothing but text. */
export function asPlainText(blocks: readonly JsonObject[]): string | undefined {
  const [block] = blocks;
  if (blocks.length !== 1 || block?.["type"] !== "text") return undefined;
  const isPlain = Object.keys(block).length === 2 && typeof block["text"] === "string";
  return isPlain ? String(block["text"]) : undefined;
}

/** Anthropic refuses a conversation that ends in an assistant's white space. */
function trimLast(turns: readonly Turn[]): void {
  const last = turns.at(-1);
  const block = last?.blocks.at(-1);
  if (last?.role !== "assistant" || typeof block?.["text"] !== "string") return;
  last.blocks[last.blocks.length - 1] = { ...block, text: block["text"].trimEnd() };
}

function contentBlocks(message: ChatMessage, path: string): JsonObject[] {
  const { content } = message;
  if (content === undefined || content === null) return [];
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  const blocks = parts.flatMap((part, i) => encodePart(part, `${path}.content[${i}]`));
  return markLast(blocks, message["cache_control"]);
}

/** LiteLLM lets a whole message carry `cache_control`: it belongs to the last block. */
function markLast(blocks: JsonObject[], cacheControl: Json | undefined): JsonObject[] {
  const last = blocks.at(-1);
  if (!isObject(cacheControl) || !last || "cache_control" in last) return blocks;
  return [...blocks.slice(0, -1), { ...last, cache_control: cacheControl }];
}

function assistantBlocks(message: ChatMessage, path: string): JsonObject[] {
  const refusal = message["refusal"];
  const call = message["function_call"];
  const calls: readonly ToolCall[] = message.tool_calls ?? [];
  return [
    // Signed reasoning comes first and unchanged, or Anthropic refuses it.
    ...(message.thinking_blocks ?? []),
    ...contentBlocks(message, path),
    ...(typeof refusal === "string" && refusal ? [{ type: "text", text: refusal }] : []),
    ...calls.map((each, i) => toolUse(each, `${path}.tool_calls[${i}]`)),
    ...(isObject(call) ? [legacyCall(call)] : []),
  ];
}

function toolUse(call: ToolCall, path: string): JsonObject {
  if (!isObject(call.function)) {
    throw new GatewayError(
      "unsupported_capability",
      `'${path}' is a call of a custom tool, which Anthropic's models do not have. Use function tools.`,
      { param: path },
    );
  }
  return {
    type: "tool_use",
    id: toToolId(call.id),
    name: call.function.name,
    input: toInput(call.function.arguments),
    ...carried(call),
  };
}

function legacyCall(call: JsonObject): JsonObject {
  const name = String(call["name"]);
  return { type: "tool_use", id: legacyId(name), name, input: toInput(String(call["arguments"])) };
}

const legacyId = (name: string) => toToolId(`call_${name}`);

/** Anthropic takes only letters, digits, "_" and "-" in an id. */
export const toToolId = (id: string) => id.replace(/[^a-zA-Z0-9_-]/g, "_") || "call";

/**
 * A call's arguments as an object. A model may have written what is no JSON object; it stays in the
 * history under a name that says so, since refusing it would end the conversation.
 */
export function toInput(text: string | null | undefined): JsonObject {
  if (!text?.trim()) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Said below, in the input itself.
  }
  return { invalid_arguments: text };
}

function toolResult(message: ChatMessage, path: string): JsonObject {
  const id = message.tool_call_id ?? legacyId(message.name ?? "");
  const { content } = message;
  const blocks =
    typeof content === "string" || !content
      ? content
      : content.flatMap((part, i) => encodePart(part, `${path}.content[${i}]`));
  return {
    type: "tool_result",
    tool_use_id: toToolId(id),
    ...(blocks ? { content: blocks } : {}),
    ...(message["is_error"] === true ? { is_error: true } : {}),
    ...carried(message),
  };
}

/** What Anthropic allows on a block and OpenAI has no word for. */
const carriedKeys = ["cache_control", "citations", "title", "context"];

function carried(from: JsonObject): JsonObject {
  const found = carriedKeys.filter((key) => from[key] !== undefined && from[key] !== null);
  return Object.fromEntries(found.map((key) => [key, from[key]]));
}

function encodePart(part: ContentPart, path: string): readonly JsonObject[] {
  switch (part.type) {
    case "text":
      // Anthropic refuses blank text.
      return part.text?.trim() ? [{ type: "text", text: part.text, ...carried(part) }] : [];
    case "refusal":
      return [{ type: "text", text: String(part["refusal"]) }];
    case "image_url":
      return [encodeImage(part, path)];
    case "file":
      return [encodeFile(part, path)];
    case "input_audio":
    case "audio_url":
    case "video_url":
      throw new GatewayError(
        "unsupported_capability",
        `'${path}' is of type '${part.type}', which Anthropic's models do not read. Send text, images or documents.`,
        { param: path },
      );
    default:
      return [part]; // Anthropic's own blocks, and those newer than this file
  }
}

function encodeImage(part: ContentPart, path: string): JsonObject {
  // LiteLLM takes the bare URL as well as OpenAI's object.
  const image: unknown = part.image_url;
  const url = typeof image === "string" ? image : part.image_url?.url;
  if (typeof url !== "string")
    throw invalid(`${path}.image_url`, `'${path}.image_url' has no url.`);
  const source = toSource(url, `${path}.image_url.url`);
  const isPdf = source["media_type"] === "application/pdf";
  return { type: isPdf ? "document" : "image", source, ...carried(part) };
}

/** An http(s) or data: URL as a source. */
function toSource(url: string, param: string): JsonObject {
  if (/^https?:\/\//i.test(url)) return { type: "url", url };
  const data = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,/i.exec(url);
  if (!data) {
    const message = `'${param}' must be an http(s) URL or a data: URI in base64, not '${excerpt(url.slice(0, 60))}'.`;
    throw invalid(param, message);
  }
  const type = (data[1] ?? "").toLowerCase();
  return {
    type: "base64",
    media_type: type === "image/jpg" ? "image/jpeg" : type,
    data: url.slice(data[0].length),
  };
}

function encodeFile(part: ContentPart, path: string): JsonObject {
  const file = part["file"];
  if (!isObject(file)) throw invalid(`${path}.file`, `'${path}.file' must be an object.`);
  const title = typeof file["filename"] === "string" ? { title: file["filename"] } : {};
  const document = (source: JsonObject) => ({
    type: "document",
    source,
    ...title,
    ...carried(part),
  });
  if (typeof file["file_data"] === "string") {
    const source = toSource(file["file_data"], `${path}.file.file_data`);
    return document(isText(source["media_type"]) ? toTextSource(source) : source);
  }
  const id = file["file_id"];
  if (typeof id !== "string") {
    throw invalid(`${path}.file`, `'${path}.file' needs 'file_data' or 'file_id'.`);
  }
  return document(/^https?:/.test(id) ? { type: "url", url: id } : { type: "file", file_id: id });
}

const isText = (type: Json | undefined) => typeof type === "string" && type.startsWith("text/");

function toTextSource(source: JsonObject): JsonObject {
  const bytes = Uint8Array.from(atob(String(source["data"])), (char) => char.charCodeAt(0));
  return { type: "text", media_type: "text/plain", data: new TextDecoder().decode(bytes) };
}
