/**
 * Our conversation in Converse's form: system text apart, turns that alternate, tool results in the
 * user's turns, a cache point behind what is to be kept.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Message.html
 */
import type { ChatMessage, ContentPart, ToolCall } from "../../domain/chat.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { toInput, toToolId } from "../anthropic/encode-messages.ts";
import { isServerRemains } from "../documents.ts";
import { toFile, toMedia, urlIn } from "../media.ts";
import { invalid } from "../read.ts";
import { type DocumentNames, encodeMedia, toName } from "./encode-media.ts";
import type { BedrockTraits } from "./models.ts";

export interface EncodedConversation {
  readonly system: readonly JsonObject[];
  readonly messages: readonly JsonObject[];
}

interface Context {
  readonly traits: BedrockTraits;
  readonly names: DocumentNames;
}

interface Turn {
  readonly role: "user" | "assistant";
  readonly content: JsonObject[];
}

/** @throws GatewayError invalid_request or unsupported_capability for what Converse cannot read. */
export function encodeConversation(
  messages: readonly ChatMessage[],
  traits: BedrockTraits,
): EncodedConversation {
  const context = { traits, names: new Set<string>() };
  const system: JsonObject[] = [];
  const turns: Turn[] = [];
  // Converse wants turns to alternate, and all results of parallel calls in the one turn after them.
  const add = (role: Turn["role"], content: readonly JsonObject[]) => {
    if (content.length === 0) return;
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...content);
    else turns.push({ role, content: [...content] });
  };
  messages.forEach((message, i) => {
    const path = `messages[${i}]`;
    const { role } = message;
    if (role === "system" || role === "developer") {
      system.push(...contentBlocks(message, path, context));
    } else if (role === "user") add("user", contentBlocks(message, path, context));
    else if (role === "assistant") add("assistant", assistantBlocks(message, path, context));
    else add("user", toolResult(message, path, context));
  });
  // OpenAI answers a system message alone; Converse needs a turn to answer.
  if (turns.length === 0) return { system: [], messages: [{ role: "user", content: system }] };
  trimLast(turns);
  const told = turns.map(({ role, content }, i) => ({
    role,
    content: i === 0 && !traits.system ? [...system, ...content] : content,
  }));
  return { system: traits.system ? system : [], messages: told };
}

/** Claude refuses a conversation that ends in an assistant's white space. */
function trimLast(turns: readonly Turn[]): void {
  const last = turns.at(-1);
  const block = last?.content.at(-1);
  if (last?.role !== "assistant" || typeof block?.["text"] !== "string") return;
  last.content[last.content.length - 1] = { text: block["text"].trimEnd() };
}

function contentBlocks(message: ChatMessage, path: string, context: Context): JsonObject[] {
  const { content } = message;
  if (content === undefined || content === null) return [];
  const parts = typeof content === "string" ? [{ type: "text", text: content }] : content;
  const blocks = parts.flatMap((part, i) => [
    ...encodePart(part, `${path}.content[${i}]`, context),
    ...cachePoint(part["cache_control"], context),
  ]);
  return [...blocks, ...cachePoint(message["cache_control"], context)];
}

/** Anthropic's mark on a block as Converse's point behind it, for models that cache. */
export function cachePoint(
  mark: Json | undefined,
  { traits }: Pick<Context, "traits">,
): JsonObject[] {
  if (!(isObject(mark) && traits.caches)) return [];
  const ttl = mark["ttl"] === "1h" ? { ttl: "1h" } : {};
  return [{ cachePoint: { type: "default", ...ttl } }];
}

function assistantBlocks(message: ChatMessage, path: string, context: Context): JsonObject[] {
  const { refusal, function_call: legacy } = message;
  const calls: readonly ToolCall[] = message.tool_calls ?? [];
  return [
    // Signed reasoning comes first and unchanged, or Claude refuses it.
    ...(message.thinking_blocks ?? []).flatMap((block) => reasoningBlock(block, context)),
    ...contentBlocks(message, path, context),
    ...(typeof refusal === "string" && refusal ? [{ text: refusal }] : []),
    ...calls.flatMap((call, i) => [
      toolUse(call, `${path}.tool_calls[${i}]`),
      ...cachePoint(call["cache_control"], context),
    ]),
    ...(isObject(legacy) ? [legacyUse(legacy)] : []),
  ];
}

/** Models that do not sign what they thought want none of it back. */
function reasoningBlock(block: JsonObject, { traits }: Context): JsonObject[] {
  if (traits.family !== "claude" && traits.family !== "unknown") return [];
  if (block["type"] === "redacted_thinking") {
    return [{ reasoningContent: { redactedContent: block["data"] } }];
  }
  const { thinking, signature } = block;
  if (typeof signature !== "string" || !signature) return [];
  return [{ reasoningContent: { reasoningText: { text: thinking, signature } } }];
}

/** Converse takes only letters, digits, "_" and "-" in an id, 64 of them. */
function toId(id: string): string {
  const clean = toToolId(id);
  if (clean.length <= 64) return clean;
  return `${clean.slice(0, 48)}_${Bun.hash(clean).toString(36)}`;
}

function toolUse(call: ToolCall, path: string): JsonObject {
  if (!isObject(call.function)) {
    throw new GatewayError(
      "unsupported_capability",
      `'${path}' is a call of a custom tool, which Bedrock's models do not have. Use function tools.`,
      { param: path },
    );
  }
  const { name, arguments: args } = call.function;
  return { toolUse: { toolUseId: toId(call.id), name, input: toInput(args) } };
}

const legacyId = (name: string) => toId(`call_${name}`);

function legacyUse(call: JsonObject): JsonObject {
  const name = String(call["name"]);
  return {
    toolUse: { toolUseId: legacyId(name), name, input: toInput(String(call["arguments"])) },
  };
}

function toolResult(message: ChatMessage, path: string, context: Context): JsonObject[] {
  const { cache_control: mark, ...unmarked } = message;
  const id = message.tool_call_id;
  const content = contentBlocks(unmarked, path, context).filter((block) => !block["cachePoint"]);
  const says = context.traits.family !== "other"; // the others take no status
  return [
    {
      toolResult: {
        toolUseId: id === undefined ? legacyId(message.name ?? "") : toId(id),
        content: content.length > 0 ? content : [{ text: "(no output)" }], // blank text is refused
        ...(message["is_error"] === true && says ? { status: "error" } : {}),
      },
    },
    ...cachePoint(mark, context),
  ];
}

/** Converse's own blocks, which callers may send as parts: `{"type": "guardContent", "guardContent": …}`. */
const ownBlocks = ["guardContent", "cachePoint", "video", "audio", "image", "searchResult"];

function encodePart(part: ContentPart, path: string, context: Context): readonly JsonObject[] {
  const { names } = context;
  const media = (url: unknown, key: string) =>
    encodeMedia(toMedia(url, `${path}.${key}`), `${path}.${key}`, { names, name: undefined });
  switch (part.type) {
    case "text":
      return part.text?.trim() ? [{ text: part.text }] : []; // blank text is refused
    case "refusal":
      return [{ text: String(part["refusal"]) }];
    case "guarded_text": // LiteLLM's
      return [{ guardContent: { text: { text: part.text } } }];
    case "image_url":
    case "video_url":
    case "audio_url":
      return [media(urlIn(part[part.type] as Json), part.type)];
    case "input_audio":
      return [encodeAudio(part["input_audio"], path, names)];
    case "file": {
      const { media: found, name } = toFile(part["file"], `${path}.file`);
      return [encodeMedia(found, `${path}.file`, { names, name })];
    }
    case "document":
      return [encodeDocument(part, path, names)];
    case "search_result":
      return [encodeSearchResult(part)];
    default:
      return otherPart(part, path);
  }
}

function otherPart(part: ContentPart, path: string): readonly JsonObject[] {
  const own = ownBlocks.find((key) => isObject(part[key]));
  if (own) return [{ [own]: part[own] }];
  if (isServerRemains(part.type)) return [];
  throw new GatewayError(
    "unsupported_capability",
    `'${path}' is of type '${excerpt(part.type)}', which Bedrock does not read. Send text, images, documents or video.`,
    { param: path },
  );
}

function encodeAudio(audio: Json | undefined, path: string, names: DocumentNames): JsonObject {
  const at = `${path}.input_audio`;
  if (!isObject(audio) || typeof audio["data"] !== "string") {
    throw invalid(at, `'${at}' needs 'data' and 'format'.`);
  }
  const mediaType = `audio/${String(audio["format"] ?? "wav")}`;
  const media = { kind: "data", mediaType, base64: audio["data"] } as const;
  return encodeMedia(media, at, { names, name: undefined });
}

/** Anthropic's documents that OpenAI has no form for: plain text, an address, blocks. */
function encodeDocument(part: ContentPart, path: string, names: DocumentNames): JsonObject {
  const { source, title, context, citations } = part;
  if (!isObject(source)) {
    const own = part["document"];
    if (isObject(own)) return { document: own };
    throw invalid(`${path}.source`, `'${path}.source' must be an object.`);
  }
  const name = typeof title === "string" ? title : undefined;
  const more = {
    ...(typeof context === "string" ? { context } : {}),
    ...(isObject(citations) && citations["enabled"] === true
      ? { citations: { enabled: true } }
      : {}),
  };
  if (source["type"] === "text") {
    const text = { text: source["data"] };
    return { document: { format: "txt", name: toName(name, names), source: text, ...more } };
  }
  const url = source["type"] === "url" ? source["url"] : undefined;
  const media =
    source["type"] === "base64"
      ? `data:${String(source["media_type"])};base64,${String(source["data"])}`
      : url;
  const encoded = encodeMedia(toMedia(media, `${path}.source`), path, { names, name });
  const { document } = encoded;
  return isObject(document) ? { document: { ...document, ...more } } : encoded;
}

function encodeSearchResult(part: ContentPart): JsonObject {
  const { source, title, content, citations } = part;
  const texts = Array.isArray(content)
    ? content.filter(isObject).map((each: JsonObject) => ({ text: each["text"] }))
    : [];
  return {
    searchResult: {
      source,
      title,
      content: texts,
      ...(isObject(citations) ? { citations } : {}),
    },
  };
}
