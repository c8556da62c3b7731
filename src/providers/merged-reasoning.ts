/**
 * LiteLLM's `merge_reasoning_content_in_choices`: a chat's reasoning stands in its content, between
 * `<think>` and `</think>`, for clients that show nothing else. Thinking blocks stay beside it: their
 * signatures are asked for again. Costs nothing where it is not asked for.
 */
import type { ChatChunk } from "../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { StreamReply, WholeReply } from "./read-reply.ts";
import { rewriteStream } from "./rewrite.ts";

const opening = "<think>";
const closing = "</think>";

export function mergeWhole(reply: WholeReply): WholeReply {
  const { dialect } = reply;
  if (!reply.passes) {
    const decodeReply: typeof dialect.decodeReply = (body, context) =>
      mergeMessages(dialect.decodeReply(body, context));
    return { ...reply, dialect: { ...dialect, decodeReply } };
  }
  const body = mergeMessages(reply.body);
  if (body === reply.body) return reply;
  return { ...reply, body, bytes: new TextEncoder().encode(JSON.stringify(body)) };
}

export function mergeStream(reply: StreamReply): StreamReply {
  const merge = createChunkMerger();
  if (reply.passes) return rewriteStream(reply, merge);
  const { dialect } = reply;
  const decodeStream: typeof dialect.decodeStream = async function* (frames, context) {
    for await (const chunk of dialect.decodeStream(frames, context)) {
      yield merge(chunk) as ChatChunk; // its choices are chunks still
    }
  };
  return { ...reply, dialect: { ...dialect, decodeStream } };
}

function mergeMessages<T extends JsonObject>(body: T): T {
  return eachChoice(body, (choice) => {
    const { message } = choice;
    if (!isObject(message)) return choice;
    const thought = thoughtIn(message);
    const { content = null } = message;
    if (thought === "" || (content !== null && typeof content !== "string")) return choice;
    const merged = `${opening}${thought}${closing}${content ?? ""}`;
    return { ...choice, message: { ...withoutThought(message), content: merged } };
  });
}

/** For one stream: it knows which of its answers are in the middle of a thought. */
function createChunkMerger(): (body: JsonObject) => JsonObject {
  const thinking = new Set<Json | undefined>();
  return (body) =>
    eachChoice(body, (choice) => {
      const { index = 0, delta } = choice;
      if (!isObject(delta)) return choice;
      const thought = thoughtIn(delta);
      const ends = endsThought(choice, delta);
      if (thought === "" && !(ends && thinking.has(index))) return choice;
      let text = thought !== "" && !thinking.has(index) ? opening : "";
      text += thought;
      if (ends) text += closing;
      if (ends) thinking.delete(index);
      else thinking.add(index);
      if (typeof delta["content"] === "string") text += delta["content"];
      return { ...choice, delta: { ...withoutThought(delta), content: text } };
    });
}

/** The answer itself begins, or there is none. */
function endsThought(choice: JsonObject, delta: JsonObject): boolean {
  return Boolean(
    delta["content"] || delta["tool_calls"] || delta["refusal"] || choice["finish_reason"],
  );
}

/** vLLM, Groq and OpenRouter say `reasoning`. */
function thoughtIn(said: JsonObject): string {
  const thought = said["reasoning_content"] ?? said["reasoning"];
  return typeof thought === "string" ? thought : "";
}

function withoutThought(said: JsonObject): JsonObject {
  const { reasoning_content: _, reasoning: __, ...rest } = said;
  return rest;
}

/** The body itself (===) where no choice changes. */
function eachChoice<T extends JsonObject>(body: T, change: (choice: JsonObject) => JsonObject): T {
  const choices: unknown = body["choices"];
  if (!Array.isArray(choices)) return body;
  let changed = false;
  const fresh = choices.map((choice: Json) => {
    if (!isObject(choice)) return choice;
    const made = change(choice);
    changed ||= made !== choice;
    return made;
  });
  return changed ? { ...body, choices: fresh } : body;
}
