/** Documents in plain text, for dialects whose conversations hold text and images alone. */
import type { ContentPart } from "../domain/chat.ts";
import { isObject, type Json } from "../domain/json.ts";
import type { Media } from "./media.ts";

const named = (name: string | undefined, text: string) => (name ? `${name}:\n${text}` : text);

/** A file's text under its name; undefined where it is no text. */
export function textOfFile(media: Media, name: string | undefined): string | undefined {
  if (media.kind !== "data" || !/^text\/|^application\/json$/.test(media.mediaType))
    return undefined;
  return named(name, Buffer.from(media.base64, "base64").toString("utf8"));
}

/** Anthropic's documents in plain text, and its finds; undefined where there is no text in them. */
export function textOfDocument({ source, title, content }: ContentPart): string | undefined {
  const name = typeof title === "string" ? title : undefined;
  if (isObject(source) && source["type"] === "text") return named(name, String(source["data"]));
  if (!Array.isArray(content)) return undefined;
  const texts = content.map((each: Json) => (isObject(each) ? String(each["text"] ?? "") : ""));
  return named(name, texts.join("\n"));
}

/** What a server tool of Anthropic's left in the history: the text after it holds the answer. */
export const isServerRemains = (type: string) =>
  /tool_use$|tool_result$|^container_upload$|^compaction$/.test(type);
