/**
 * Our conversation as Gemini's contents: system text apart, neighbours of one role joined, results
 * of tools as function responses under the name of their call.
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { invalid } from "../read.ts";
import { signatureOf } from "./signatures.ts";

export interface EncodedContents {
  readonly system: readonly JsonObject[];
  readonly contents: readonly JsonObject[];
}

interface Turn {
  readonly role: "user" | "model";
  readonly parts: JsonObject[];
}

/** @throws GatewayError invalid_request or unsupported_capability for what Gemini cannot read. */
export function encodeContents(messages: readonly ChatMessage[]): EncodedContents {
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  const names = new Map<string, string>();
  // Gemini wants all answers to parallel calls in the one turn after them.
  const add = (role: Turn["role"], parts: readonly JsonObject[]) => {
    if (parts.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.parts.push(...parts);
    else turns.push({ role, parts: [...parts] });
  };
  messages.forEach((message, i) => {
    const path = `messages[${i}]`;
    for (const call of message.tool_calls ?? []) names.set(call.id, call.function?.name ?? "");
    const { role } = message;
    if (role === "system" || role === "developer") system.push(...systemParts(message, path));
    else if (role === "user") add("user", contentParts(message, path));
    else if (role === "assistant") add("model", modelParts(message, path));
    else add("user", responseParts(message, names, path));
  });
  // OpenAI answers a system message alone; Gemini needs a turn to answer.
  if (turns.length === 0) return { system: [], contents: [{ role: "user", parts: system }] };
  return { system, contents: turns.map(({ role, parts }) => ({ role, parts: sorted(parts) })) };
}

/** Responses first, as they belong to the turn before. */
function sorted(parts: readonly JsonObject[]): readonly JsonObject[] {
  const isResponse = (part: JsonObject) => "functionResponse" in part;
  if (!parts.some(isResponse)) return parts;
  return [...parts.filter(isResponse), ...parts.filter((part) => !isResponse(part))];
}

function systemParts(message: ChatMessage, path: string): JsonObject[] {
  return contentParts(message, path).map((part) => {
    if (typeof part["text"] === "string") return part;
    throw new GatewayError(
      "unsupported_capability",
      `'${path}.content' is a system message with more than text, which Gemini does not read. Send it as a user's.`,
      { param: `${path}.content` },
    );
  });
}

function contentParts({ content }: ChatMessage, path: string): JsonObject[] {
  if (content === undefined || content === null) return [];
  if (typeof content === "string") return content === "" ? [] : [{ text: content }];
  return content.flatMap((part, i) => encodePart(part, `${path}.content[${i}]`));
}

function modelParts(message: ChatMessage, path: string): JsonObject[] {
  const { refusal, function_call: legacy } = message;
  const reasoning = message.reasoning_content;
  const signature = signatureOf(message);
  const said = [
    ...contentParts(message, path),
    ...(typeof refusal === "string" && refusal ? [{ text: refusal }] : []),
  ];
  return [
    ...(reasoning ? [{ text: reasoning, thought: true }] : []),
    ...(signature ? withSigned(said, signature) : said),
    ...(message.tool_calls ?? []).map((call, i) => callPart(call, `${path}.tool_calls[${i}]`)),
    ...(isObject(legacy)
      ? [{ functionCall: { name: legacy["name"], args: toArgs(String(legacy["arguments"])) } }]
      : []),
  ];
}

/** A signature that came beside the text stands on the last part of it, or on an empty one. */
function withSigned(said: readonly JsonObject[], signature: string): JsonObject[] {
  const last = said.at(-1) ?? { text: "" };
  return [...said.slice(0, -1), { ...last, thoughtSignature: signature }];
}

function callPart(call: ToolCall, path: string): JsonObject {
  if (!isObject(call.function)) {
    throw new GatewayError(
      "unsupported_capability",
      `'${path}' is a call of a custom tool, which Gemini does not have. Use function tools.`,
      { param: path },
    );
  }
  const signature = signatureOf(call);
  return {
    functionCall: {
      id: call.id,
      name: call.function.name,
      args: toArgs(call.function.arguments),
    },
    ...(signature ? { thoughtSignature: signature } : {}),
  };
}

/** A call's arguments as an object; what is no JSON object stays, under a name that says so. */
export function toArgs(text: string | null | undefined): JsonObject {
  if (!text?.trim()) return {};
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch {
    // Said below, in the arguments themselves.
  }
  return { invalid_arguments: text };
}

/** A tool's answer; images in it stand beside, where every model reads them. */
function responseParts(
  message: ChatMessage,
  names: ReadonlyMap<string, string>,
  path: string,
): JsonObject[] {
  const id = message.tool_call_id;
  const name = (id === undefined ? message.name : names.get(id)) || message.name || id || "tool";
  const parts = contentParts(message, path);
  const text = parts
    .filter((part) => typeof part["text"] === "string")
    .map((part) => String(part["text"]))
    .join("\n");
  const response = message["is_error"] === true ? { error: text || "Error" } : toResponse(text);
  return [
    { functionResponse: { ...(id === undefined ? {} : { id }), name, response } },
    ...parts.filter((part) => typeof part["text"] !== "string"),
  ];
}

/** Gemini takes an object only. A JSON object is one; anything else stands under Google's key. */
function toResponse(text: string): JsonObject {
  if (text.trimStart().startsWith("{")) {
    try {
      const value: unknown = JSON.parse(text);
      if (isObject(value)) return value;
    } catch {
      // Text that begins like an object.
    }
  }
  return { output: text };
}

function encodePart(part: ContentPart, path: string): readonly JsonObject[] {
  switch (part.type) {
    case "text":
      return part.text ? [{ text: part.text }] : [];
    case "refusal":
      return [{ text: String(part["refusal"]) }];
    case "image_url":
      return [encodeImage(part, path)];
    case "input_audio":
      return [encodeAudio(part, path)];
    case "file":
      return [encodeFile(part, path)];
    case "video_url":
    case "audio_url":
      return [encodeUrl(part[part.type], `${path}.${part.type}`)];
    case "document":
    case "search_result":
      return [encodeDocument(part, path)];
    default:
      // What a server tool of Anthropic's left in the history: the text after it holds the answer.
      if (/tool_use$|tool_result$|^container_upload$|^compaction$/.test(part.type)) return [];
      throw new GatewayError(
        "unsupported_capability",
        `'${path}' is of type '${excerpt(part.type)}', which Gemini does not read. Send text, images, audio or files.`,
        { param: path },
      );
  }
}

function encodeImage(part: ContentPart, path: string): JsonObject {
  const image: unknown = part.image_url;
  const format =
    isObject(image) && typeof image["format"] === "string" ? image["format"] : undefined;
  return encodeUrl(image as Json, `${path}.image_url`, format);
}

/** Extensions by which an http(s) address tells its type; Gemini must be told one. */
const extensions: Readonly<Record<string, string>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  gif: "image/gif",
  heic: "image/heic",
  heif: "image/heif",
  pdf: "application/pdf",
  txt: "text/plain",
  mp3: "audio/mpeg",
  wav: "audio/wav",
  mp4: "video/mp4",
  mov: "video/quicktime",
  webm: "video/webm",
};

/** A `data:` URI inline; any other address as a file that Google fetches itself. */
function encodeUrl(sent: Json | undefined, param: string, format?: string): JsonObject {
  const url = isObject(sent) ? sent["url"] : sent;
  if (typeof url !== "string") throw invalid(param, `'${param}' has no url.`);
  if (/^data:/i.test(url)) return toInline(url, `${param}.url`);
  if (!/^(https?|gs):\/\//i.test(url)) {
    const message = `'${param}.url' must be an http(s) URL or a data: URI in base64, not '${excerpt(url.slice(0, 60))}'.`;
    throw invalid(`${param}.url`, message);
  }
  return toFile(url, format);
}

function toFile(fileUri: string, format: string | undefined): JsonObject {
  const extension = /\.(\w{2,4})(?:[?#]|$)/.exec(fileUri)?.[1]?.toLowerCase() ?? "";
  const mimeType = format ?? extensions[extension];
  return { fileData: { ...(mimeType ? { mimeType } : {}), fileUri } };
}

function toInline(url: string, param: string): JsonObject {
  const head = /^data:([\w.+-]+\/[\w.+-]+)(?:;[\w.+-]+=[^;,]*)*;base64,/i.exec(url);
  if (!head) throw invalid(param, `'${param}' must be a data: URI in base64 with a media type.`);
  const type = (head[1] ?? "").toLowerCase();
  return {
    inlineData: {
      mimeType: type === "image/jpg" ? "image/jpeg" : type,
      data: url.slice(head[0].length),
    },
  };
}

function encodeAudio(part: ContentPart, path: string): JsonObject {
  const audio = part["input_audio"];
  const data = isObject(audio) ? audio["data"] : undefined;
  if (!isObject(audio) || typeof data !== "string") {
    throw invalid(`${path}.input_audio`, `'${path}.input_audio' needs 'data' and 'format'.`);
  }
  const format = String(audio["format"] ?? "wav");
  return { inlineData: { mimeType: format === "mp3" ? "audio/mpeg" : `audio/${format}`, data } };
}

function encodeFile(part: ContentPart, path: string): JsonObject {
  const file = part["file"];
  if (!isObject(file)) throw invalid(`${path}.file`, `'${path}.file' must be an object.`);
  if (typeof file["file_data"] === "string") {
    return toInline(file["file_data"], `${path}.file.file_data`);
  }
  const id = file["file_id"];
  if (typeof id !== "string") {
    throw invalid(`${path}.file`, `'${path}.file' needs 'file_data' or 'file_id'.`);
  }
  return toFile(id, typeof file["format"] === "string" ? file["format"] : undefined);
}

/** A document or a search result of Anthropic's that is text. */
function encodeDocument(part: ContentPart, path: string): JsonObject {
  const { source, title } = part;
  const head = typeof title === "string" && title ? `${title}\n\n` : "";
  const text = isObject(source)
    ? source["type"] === "text"
      ? String(source["data"])
      : textOfBlocks(source["content"])
    : textOfBlocks(part["content"]);
  if (text) return { text: head + text };
  if (isObject(source) && source["type"] === "url") return toFile(String(source["url"]), undefined);
  throw new GatewayError(
    "unsupported_capability",
    `'${path}' is a block of type '${part.type}' whose source only Anthropic can read. Send its content instead.`,
    { param: path },
  );
}

function textOfBlocks(content: Json | undefined): string {
  if (!Array.isArray(content)) return typeof content === "string" ? content : "";
  const texts = content.map((block: Json) => (isObject(block) ? block["text"] : undefined));
  return texts.filter((text) => typeof text === "string").join("\n");
}
