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
  return unpack(text).filter(({ type }) => /^(redacted_)?thinking$/.test(String(type)));
}

function unpack(text: Json | undefined): readonly JsonObject[] {
  if (!isPacked(text)) return [];
  try {
    const blocks: unknown = JSON.parse(
      Buffer.from(text.slice(mark.length), "base64url").toString("utf8"),
    );
    return Array.isArray(blocks) ? blocks.filter(isObject) : [];
  } catch {
    return []; // cut short on its way: then it is no reasoning, and the conversation goes on without
  }
}

export const isPacked = (text: Json | undefined): text is string =>
  typeof text === "string" && text.startsWith(mark);

/** A conversation that the gateway has made short, as an item of the API's kind for that. */
export function packSummary(text: string): string {
  return packThinking([{ type: "summary", text }]);
}

/** The text of a `compaction` item of ours; undefined for another's. */
export function unpackSummary(item: JsonObject): string | undefined {
  const [block] = unpack(item["encrypted_content"]);
  return block?.["type"] === "summary" ? textOf(block["text"]) : undefined;
}

/** How a summary stands before a model. */
export const toldSummary = (text: string) =>
  `What was said in this conversation before this point, in short:\n\n${text}`;

/** What only we can read, taken out of a body that goes to OpenAI, or put into words that it can. */
export function withoutPacked(body: JsonObject): JsonObject {
  const { input } = body;
  if (!Array.isArray(input)) return body;
  const isOurs = (item: Json) =>
    isObject(item) &&
    ((item["type"] === "reasoning" &&
      (isPacked(item["encrypted_content"]) || responseIdOf(textOf(item["id"])) !== undefined)) ||
      (item["type"] === "compaction" && isPacked(item["encrypted_content"])));
  if (!input.some(isOurs)) return body;
  const told = (item: Json): readonly Json[] => {
    if (!isOurs(item)) return [item];
    const summary = unpackSummary(item as JsonObject);
    return summary === undefined ? [] : [{ role: "user", content: toldSummary(summary) }];
  };
  return { ...body, input: input.flatMap(told) };
}
