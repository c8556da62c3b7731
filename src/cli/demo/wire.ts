/** What a simulated provider needs of a wire format, and what its two formats share. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { SimulatedAnswer, SimulatedRequest } from "./answer.ts";

export interface AnswerContext {
  readonly id: string;
  readonly createdS: number;
  readonly model: string;
  readonly request: SimulatedRequest;
  readonly body: JsonObject;
}

export interface Wire {
  readonly chatPath: string;
  /** The caller's key; empty where none came. */
  readKey(headers: Headers): string;
  readRequest(body: JsonObject): SimulatedRequest;
  reply(answer: SimulatedAnswer, context: AnswerContext): JsonObject;
  /** The stream's events as SSE text, terminator included. */
  events(answer: SimulatedAnswer, context: AnswerContext): Iterable<string>;
  error(status: number, message: string): JsonObject;
  streamError(message: string): string;
}

/** The key of `authorization: Bearer …`; empty where none came. */
export function readBearer(headers: Headers): string {
  return headers.get("authorization")?.replace(/^Bearer /i, "") ?? "";
}

/** The text of a message's content, be it a string or parts. */
export function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .filter(isObject)
    .map((part) => {
      if (typeof part["text"] === "string") return part["text"];
      return part["type"] === "tool_result" ? contentText(part["content"]) : "";
    })
    .filter((text) => text !== "")
    .join("\n");
}

export function countImages(content: unknown): number {
  if (!Array.isArray(content)) return 0;
  const kinds = ["image_url", "image"];
  return content.filter((part) => isObject(part) && kinds.includes(String(part["type"]))).length;
}

/** A text in the pieces that a stream carries: about a token each, split before spaces. */
export function chunkText(text: string): readonly string[] {
  return text.match(/\s*\S{1,12}|\s+$/g) ?? [];
}
