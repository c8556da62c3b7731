/**
 * Our conversation in Ollama's form: content as one text, images beside it, arguments as objects.
 * Source: https://docs.ollama.com/api/chat
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { toInput } from "../anthropic/encode-messages.ts";
import type { FetchedMedia } from "../dialect.ts";
import { isServerRemains, textOfDocument, textOfFile } from "../documents.ts";
import { type Media, toFile, toMedia, urlIn } from "../media.ts";

interface Content {
  readonly texts: string[];
  /** Base64; an http(s) address stands for what is fetched from there before the request leaves. */
  readonly images: string[];
}

/** @throws GatewayError invalid_request or unsupported_capability for what Ollama cannot read. */
export function encodeMessages(messages: readonly ChatMessage[]): readonly JsonObject[] {
  const names = new Map<string, string>();
  return messages.map((message, i) => {
    for (const call of message.tool_calls ?? []) names.set(call.id, call.function?.name ?? "");
    return encodeMessage(message, `messages[${i}]`, names);
  });
}

function encodeMessage(
  message: ChatMessage,
  path: string,
  names: ReadonlyMap<string, string>,
): JsonObject {
  const { role, tool_call_id: id, refusal } = message;
  const { texts, images } = contentOf(message, path);
  if (typeof refusal === "string" && refusal) texts.push(refusal);
  const said = {
    content: texts.join("\n"),
    ...(images.length > 0 ? { images } : {}),
  };
  if (role === "tool" || role === "function") {
    const name = (id === undefined ? message.name : names.get(id)) || message.name;
    return {
      role: "tool",
      ...said,
      ...(name ? { tool_name: name } : {}),
      ...(id === undefined ? {} : { tool_call_id: id }),
    };
  }
  if (role !== "assistant") return { role: role === "developer" ? "system" : role, ...said };
  const { function_call: legacy, reasoning_content: thinking } = message;
  const calls = [
    ...(message.tool_calls ?? []).map((call, i) => encodeCall(call, `${path}.tool_calls[${i}]`)),
    ...(isObject(legacy)
      ? [{ function: { name: legacy["name"], arguments: toInput(String(legacy["arguments"])) } }]
      : []),
  ];
  return {
    role,
    ...said,
    ...(thinking ? { thinking } : {}),
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
}

function encodeCall(call: ToolCall, path: string): JsonObject {
  if (!isObject(call.function)) {
    throw new GatewayError(
      "unsupported_capability",
      `'${path}' is a call of a custom tool, which Ollama does not have. Use function tools.`,
      { param: path },
    );
  }
  const { name, arguments: args } = call.function;
  return { id: call.id, function: { name, arguments: toInput(args) } };
}

function contentOf({ content }: ChatMessage, path: string): Content {
  const found: Content = { texts: [], images: [] };
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : (content ?? []);
  for (const [i, part] of parts.entries()) addPart(part, `${path}.content[${i}]`, found);
  return found;
}

function addPart(part: ContentPart, path: string, { texts, images }: Content): void {
  switch (part.type) {
    case "text":
      if (part.text) texts.push(part.text);
      return;
    case "refusal":
      texts.push(String(part["refusal"]));
      return;
    case "image_url":
      images.push(toImage(toMedia(urlIn(part.image_url as Json), `${path}.image_url`), path));
      return;
    case "file": {
      const { media, name } = toFile(part["file"], `${path}.file`);
      const text = textOfFile(media, name);
      if (text === undefined) images.push(toImage(media, `${path}.file`));
      else texts.push(text);
      return;
    }
    case "document":
    case "search_result": {
      const text = textOfDocument(part);
      if (text === undefined) throw unread(path, part.type);
      texts.push(text);
      return;
    }
    default:
      if (!isServerRemains(part.type)) throw unread(path, part.type);
  }
}

function toImage(media: Media, path: string): string {
  if (media.kind === "url") return media.url;
  if (media.kind === "data" && media.mediaType.startsWith("image/")) return media.base64;
  throw unread(path, media.kind === "data" ? media.mediaType : "s3");
}

function unread(path: string, what: string): GatewayError {
  return new GatewayError(
    "unsupported_capability",
    `'${path}' is of type '${excerpt(what)}', which Ollama does not read. Send text or images.`,
    { param: path },
  );
}

/** Images that are named by an address, with what lay there in its place. */
export function withMedia(
  body: JsonObject,
  take: (url: string) => FetchedMedia | undefined,
): JsonObject {
  const { messages } = body;
  if (!Array.isArray(messages)) return body;
  const fill = (image: Json) =>
    typeof image === "string" && /^https?:/i.test(image) ? filled(image) : image;

  function filled(url: string): Json {
    const found = take(url);
    if (!found) return url;
    if (found.mediaType.startsWith("image/")) return found.base64;
    throw unread("messages", found.mediaType);
  }

  return {
    ...body,
    messages: messages.map((message: Json) =>
      isObject(message) && Array.isArray(message["images"])
        ? { ...message, images: message["images"].map(fill) }
        : message,
    ),
  };
}
