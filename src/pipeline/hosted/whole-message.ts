/** The message that a stream of Anthropic's events tells, piece by piece. */
import type { Answer, Dialect } from "../../dialects/dialect.ts";
import type { ChatChunk } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { assert } from "../../std/assert.ts";
import { createSseParser } from "../../std/sse.ts";

type Mutable = Record<string, Json | undefined>;

export async function wholeMessage(
  chunks: AsyncIterable<ChatChunk>,
  dialect: Dialect,
  answer: Answer,
): Promise<JsonObject> {
  const parser = createSseParser();
  const encoder = new TextEncoder();
  let message: Mutable | undefined;
  const content: Mutable[] = [];
  for await (const text of dialect.encodeStream(chunks, { model: "", messages: [] }, answer)) {
    for (const { data } of parser.push(encoder.encode(text))) {
      const event: unknown = JSON.parse(data);
      if (!isObject(event)) continue;
      if (isObject(event["message"])) message = { ...event["message"] };
      else if (isObject(event["content_block"])) content.push({ ...event["content_block"] });
      else hear(event, message, content);
    }
  }
  assert(message, "a stream of messages begins with one");
  for (const block of content) {
    const { input_text: input } = block;
    delete block["input_text"];
    if (typeof input === "string" && input !== "") block["input"] = JSON.parse(input);
  }
  return { ...message, content: content as JsonObject[] };
}

/** Texts, thoughts and signatures are put together; a call's input is JSON at its end. */
function hear(event: JsonObject, message: Mutable | undefined, content: readonly Mutable[]): void {
  const { type, delta, usage } = event;
  if (!isObject(delta)) return;
  if (type === "message_delta" && message) {
    Object.assign(message, delta, isObject(usage) ? { usage } : {});
    return;
  }
  const block = content.at(-1);
  if (!block) return;
  for (const name of ["text", "thinking", "signature"]) {
    const piece = delta[name];
    if (typeof piece === "string") block[name] = `${String(block[name] ?? "")}${piece}`;
  }
  const { partial_json: json } = delta;
  if (typeof json === "string") block["input_text"] = `${String(block["input_text"] ?? "")}${json}`;
}
