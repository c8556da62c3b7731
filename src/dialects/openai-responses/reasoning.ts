/**
 * Signed reasoning of another provider, carried through a Responses caller's hands in
 * `encrypted_content`: opaque to the caller, as OpenAI's is, and ours to read when it comes back.
 * It is signed by the provider that made it, who refuses what was changed; so it needs no seal.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { responseIdOf, textOf } from "./wire.ts";

const mark = "riq1.";

export function packThinking(blocks: readonly JsonObject[]): string {
  return mark + Buffer.from(JSON.stringify(blocks)).toString("base64url");
}

/** The blocks; none where the text is OpenAI's own, or was changed. */
export function unpackThinking(text: Json | undefined): readonly JsonObject[] {
  if (!isPacked(text)) return [];
  try {
    const blocks: unknown = JSON.parse(
      Buffer.from(text.slice(mark.length), "base64url").toString("utf8"),
    );
    if (!Array.isArray(blocks)) return [];
    return blocks
      .filter(isObject)
      .filter(({ type }) => /^(redacted_)?thinking$/.test(String(type)));
  } catch {
    return []; // cut short on its way: then it is no reasoning, and the conversation goes on without
  }
}

export const isPacked = (text: Json | undefined): text is string =>
  typeof text === "string" && text.startsWith(mark);

/** What only we can read, taken out of a body that goes to OpenAI; the body itself where none is. */
export function withoutPacked(body: JsonObject): JsonObject {
  const { input } = body;
  if (!Array.isArray(input)) return body;
  const isOurs = (item: Json) =>
    isObject(item) &&
    item["type"] === "reasoning" &&
    (isPacked(item["encrypted_content"]) || responseIdOf(textOf(item["id"])) !== undefined);
  return input.some(isOurs) ? { ...body, input: input.filter((item) => !isOurs(item)) } : body;
}
