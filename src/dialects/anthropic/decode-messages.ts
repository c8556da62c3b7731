/**
 * An Anthropic caller's conversation in our form: tool results become messages of their own, images
 * and documents OpenAI's parts. Blocks that OpenAI has no form for travel on as they are.
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { splitId, withSignature } from "../gemini/signatures.ts";
import { missing, requireObject, requireString, wrongType, wrongValue } from "../read.ts";

/** `system`: a string or text blocks, as one system message. */
export function decodeSystem(system: Json | undefined): ChatMessage[] {
  if (system === undefined || system === null || system === "") return [];
  if (typeof system === "string") return [{ role: "system", content: system }];
  if (!Array.isArray(system))
    throw wrongType("system", "a string or an array of text blocks", system);
  const parts = system.map((block: Json, i) => readBlock(block, `system[${i}]`));
  return parts.length ? [{ role: "system", content: simplify(parts) }] : [];
}

export function decodeMessages(messages: readonly Json[]): ChatMessage[] {
  return messages.flatMap((message, i) => {
    const path = `messages[${i}]`;
    const { role, content } = requireObject(message, path);
    const name = requireString(role, `${path}.role`);
    if (name !== "user" && name !== "assistant" && name !== "system") {
      throw wrongValue(`${path}.role`, name, ["user", "assistant", "system"]);
    }
    if (content === undefined) throw missing(`${path}.content`);
    if (typeof content === "string") return [{ role: name, content }];
    if (!Array.isArray(content)) {
      throw wrongType(`${path}.content`, "a string or an array of content blocks", content);
    }
    const at = `${path}.content`;
    if (name === "assistant") return [decodeAssistant(content, at)];
    return name === "system"
      ? [
          {
            role: name,
            content: simplify(content.map((block, j) => readBlock(block, `${at}[${j}]`))),
          },
        ]
      : decodeUser(content, at);
  });
}

/** Tool results first, as OpenAI wants them right after the calls; then what the user said. */
function decodeUser(content: readonly Json[], path: string): ChatMessage[] {
  const results: ChatMessage[] = [];
  const parts: ContentPart[] = [];
  content.forEach((item, i) => {
    const at = `${path}[${i}]`;
    const block = requireObject(item, at);
    if (block["type"] === "tool_result") results.push(decodeResult(block, at));
    else parts.push(readBlock(block, at));
  });
  return parts.length ? [...results, { role: "user", content: simplify(parts) }] : results;
}

function decodeResult(block: JsonObject, path: string): ChatMessage {
  const { content } = block;
  const parts = Array.isArray(content)
    ? content.map((each: Json, i) => readBlock(each, `${path}.content[${i}]`))
    : undefined;
  if (!parts && content !== undefined && content !== null && typeof content !== "string") {
    throw wrongType(`${path}.content`, "a string or an array of content blocks", content);
  }
  return {
    role: "tool",
    tool_call_id: splitId(requireString(block["tool_use_id"], `${path}.tool_use_id`)).id,
    content: parts ? simplify(parts) : typeof content === "string" ? content : "",
    ...(block["is_error"] === true ? { is_error: true } : {}),
    ...(isObject(block["cache_control"]) ? { cache_control: block["cache_control"] } : {}),
  };
}

function decodeAssistant(content: readonly Json[], path: string): ChatMessage {
  const parts: ContentPart[] = [];
  const calls: ToolCall[] = [];
  const thinking: JsonObject[] = [];
  let reasoning = "";
  content.forEach((item, i) => {
    const at = `${path}[${i}]`;
    const block = requireObject(item, at);
    if (block["type"] === "tool_use") calls.push(decodeCall(block, at));
    else if (block["type"] === "thinking") {
      reasoning += requireString(block["thinking"], `${at}.thinking`);
      // Without a signature it is not Anthropic's, who would refuse it; the text still travels.
      if (block["signature"]) thinking.push(block);
    } else if (block["type"] === "redacted_thinking") thinking.push(block);
    else parts.push(readBlock(block, at));
  });
  return {
    role: "assistant",
    content: parts.length ? simplify(parts) : null,
    ...(reasoning ? { reasoning_content: reasoning } : {}),
    ...(thinking.length ? { thinking_blocks: thinking } : {}),
    ...(calls.length ? { tool_calls: calls } : {}),
  };
}

function decodeCall(block: JsonObject, path: string): ToolCall {
  const input = block["input"] ?? {};
  if (!isObject(input)) throw wrongType(`${path}.input`, "an object", input);
  const { id, signature } = splitId(requireString(block["id"], `${path}.id`));
  return {
    id,
    type: "function",
    function: {
      name: requireString(block["name"], `${path}.name`),
      arguments: JSON.stringify(input),
    },
    ...(isObject(block["cache_control"]) ? { cache_control: block["cache_control"] } : {}),
    ...withSignature(signature),
  };
}

/** One block as a part of OpenAI's where there is one, else as it is. */
function readBlock(item: Json, path: string): ContentPart {
  const block = requireObject(item, path);
  const type = requireString(block["type"], `${path}.type`);
  if (type === "text") {
    const text = requireString(block["text"], `${path}.text`);
    return { ...rest(block), type, text };
  }
  if (type !== "image" && type !== "document") return { ...block, type };
  const source = requireObject(block["source"], `${path}.source`);
  const url = urlOf(source, path);
  if (type === "image" && url) return { ...rest(block), type: "image_url", image_url: { url } };
  if (type === "document" && url?.startsWith("data:")) {
    const title = typeof block["title"] === "string" ? block["title"] : "document.pdf";
    return { ...rest(block), type: "file", file: { filename: title, file_data: url } };
  }
  return { ...block, type };
}

/** A source as a URL; none for a file of Anthropic's and for text, which have no such form. */
function urlOf(source: JsonObject, path: string): string | undefined {
  const type = requireString(source["type"], `${path}.source.type`);
  if (type === "url") return requireString(source["url"], `${path}.source.url`);
  if (type !== "base64") return undefined;
  const mediaType = requireString(source["media_type"], `${path}.source.media_type`);
  return `data:${mediaType};base64,${requireString(source["data"], `${path}.source.data`)}`;
}

const blockKeys = new Set(["type", "text", "source"]);

function rest(block: JsonObject): JsonObject {
  const pairs = Object.entries(block).filter(
    ([key, value]) => !blockKeys.has(key) && value !== null,
  );
  return Object.fromEntries(pairs);
}

/** A single plain text as a string, which every provider takes. */
function simplify(parts: readonly ContentPart[]): string | readonly ContentPart[] {
  const [part] = parts;
  if (parts.length !== 1 || part?.type !== "text" || Object.keys(part).length !== 2) return parts;
  return part.text ?? "";
}
