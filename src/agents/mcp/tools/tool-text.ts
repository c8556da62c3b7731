/** A tool's result as text for a model that reads nothing else. */
import type { HostedResult } from "../../../domain/hosted-tool.ts";
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";

const toolFailed = -32000;

/** Texts as they are; of what is no text, that it was there. */
export function toHostedResult(result: JsonObject): HostedResult {
  const content = Array.isArray(result["content"]) ? result["content"] : [];
  const parts = content.filter(isObject).map(textOfPart);
  const structured = result["structuredContent"];
  // A server that answers in both forms says the same in each.
  const text =
    parts.length > 0 || structured === undefined ? parts.join("\n") : JSON.stringify(structured);
  if (result["isError"] !== true) return { text };
  return { text, failure: { kind: "tool", code: toolFailed, message: text || "The tool failed." } };
}

function textOfPart(part: JsonObject): string {
  const { type, text, uri, name, resource, mimeType, data } = part;
  if (type === "text") return String(text ?? "");
  if (type === "resource" && isObject(resource)) {
    const { text: held, uri: at } = resource;
    return typeof held === "string" ? held : `[resource ${word(at)} ${word(resource["mimeType"])}]`;
  }
  if (type === "resource_link") return `[resource ${word(name)} ${word(uri)}]`;
  const size = typeof data === "string" ? ` of ${Math.floor((data.length * 3) / 4)} bytes` : "";
  return `[${word(type)} ${word(mimeType)}${size}]`;
}

const word = (value: Json | undefined) => (typeof value === "string" ? value.slice(0, 500) : "");
