/** Our conversation without what only Anthropic and Gemini know: signed thinking, cache marks, blocks. */
import type { ChatMessage, ContentPart } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { without } from "../read.ts";

/** @throws GatewayError unsupported_capability for what only Anthropic can read. */
export function encodeMessages(messages: readonly ChatMessage[]): readonly JsonObject[] {
  const out: JsonObject[] = [];
  // Images of tool results wait until all results of the turn are said: nothing may come between.
  let images: JsonObject[] = [];
  const flush = () => {
    if (images.length > 0) out.push({ role: "user", content: images });
    images = [];
  };
  messages.forEach((message, i) => {
    if (message.role !== "tool") flush();
    const encoded = encodeMessage(message, `messages[${i}]`);
    out.push(encoded.message);
    images.push(...encoded.images);
  });
  flush();
  return out;
}

interface Encoded {
  readonly message: JsonObject;
  readonly images: readonly JsonObject[];
}

const alone = (message: JsonObject): Encoded => ({ message, images: [] });

const foreignKeys = new Set(["cache_control", "thinking_blocks", "is_error", "extra_content"]);
/** Reasoning that was signed is Anthropic's; other servers refuse the field or ask for their own. */
const signedKeys = new Set([...foreignKeys, "reasoning_content"]);

function encodeMessage(message: ChatMessage, path: string): Encoded {
  const known = without(message, message.thinking_blocks ? signedKeys : foreignKeys);
  const calls = message.tool_calls?.map((call) => without(call, foreignKeys));
  const plain = calls ? { ...known, tool_calls: calls } : known;
  const { content } = message;
  if (typeof content === "string" || !content) {
    // An error without a word would look like a success.
    if (message["is_error"] === true && !content) return alone({ ...plain, content: "Error" });
    return alone(plain);
  }
  const parts = content.flatMap((part, i) =>
    encodePart(part, `${path}.content[${i}]`, message.role === "assistant"),
  );
  if (message.role === "tool") return splitResult(plain, parts);
  if (message.role === "user") return alone({ ...plain, content: parts });
  // Many compatible servers take only a string of anybody but the user.
  const isText = parts.every((part) => part["type"] === "text");
  const text = parts
    .map((part) => String(part["text"]))
    .join(message.role === "system" ? "\n\n" : "");
  return alone({ ...plain, content: isText ? text || null : parts });
}

/** A tool's images cannot stand in its result: they follow in a user's message. */
function splitResult(message: JsonObject, parts: readonly JsonObject[]): Encoded {
  const texts = parts.filter((part) => part["type"] === "text").map((part) => String(part["text"]));
  const others = parts.filter((part) => part["type"] !== "text");
  const fallback = message["is_error"] === true ? "Error" : others.length ? "See below." : "";
  const result = { ...message, content: texts.join("\n") || fallback };
  if (others.length === 0) return alone(result);
  const said = `The result of tool call ${String(message["tool_call_id"])}:`;
  return { message: result, images: [{ type: "text", text: said }, ...others] };
}

const partKeys = new Set(["cache_control", "citations", "title", "context", "transformations"]);

function encodePart(part: ContentPart, path: string, isHistory: boolean): readonly JsonObject[] {
  const { type } = part;
  if (type === "file") return [encodeFile(without(part, partKeys))];
  if (type === "document") return [documentText(part, path)];
  if (type === "search_result") return [searchText(part)];
  if (type === "image" && isObject(part["source"])) throw unsupported(type, path);
  // What a server tool of Anthropic's left in the history: the text after it holds the answer.
  if (isHistory && /tool_use$|tool_result$|^container_upload$|^fallback$|^compaction$/.test(type)) {
    return [];
  }
  return [without(part, partKeys)];
}

/** A text file as text, which every model reads; OpenAI's file parts are for PDF. */
function encodeFile(part: JsonObject): JsonObject {
  const file = part["file"];
  const data = isObject(file) ? file["file_data"] : undefined;
  const match = typeof data === "string" ? /^data:text\/[^,]*;base64,/.exec(data) : null;
  if (!match || typeof data !== "string") return part;
  const bytes = Uint8Array.from(atob(data.slice(match[0].length)), (char) => char.charCodeAt(0));
  return { type: "text", text: new TextDecoder().decode(bytes) };
}

function documentText(part: ContentPart, path: string): JsonObject {
  const source = part["source"];
  const title = typeof part["title"] === "string" ? `${part["title"]}\n\n` : "";
  if (isObject(source) && source["type"] === "text") {
    return { type: "text", text: title + String(source["data"]) };
  }
  if (isObject(source) && source["type"] === "content") {
    return { type: "text", text: title + blocksText(source["content"]) };
  }
  throw unsupported("document", path);
}

function searchText(part: ContentPart): JsonObject {
  const head = `${String(part["title"])} (${String(part["source"])})`;
  return { type: "text", text: `${head}\n\n${blocksText(part["content"])}` };
}

function blocksText(content: Json | undefined): string {
  if (!Array.isArray(content)) return typeof content === "string" ? content : "";
  const texts = content.map((block: Json) => (isObject(block) ? block["text"] : undefined));
  return texts.filter((text) => typeof text === "string").join("\n");
}

function unsupported(type: string, path: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${path}' is a block of type '${type}' whose source only Anthropic can read. Send its content instead.`,
    { param: path },
  );
}
