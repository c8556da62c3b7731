/**
 * Gemini's generateContent as far as we read it, and its words. Source:
 * https://ai.google.dev/api/generate-content, and the types of @google/genai 2.32 (Apache-2.0).
 * Schemas are open: a field or a kind of part that Google adds tomorrow must break nothing.
 */
import { type Static, type TSchema, Type } from "@sinclair/typebox";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));
const object = () => Type.Object({});

export const Part = Type.Object({
  text: optional(Type.String()),
  thought: optional(Type.Boolean()),
  thoughtSignature: optional(Type.String()),
  functionCall: optional(
    Type.Object({
      id: optional(Type.String()),
      name: optional(Type.String()),
      args: optional(object()),
    }),
  ),
  inlineData: optional(
    Type.Object({ mimeType: optional(Type.String()), data: optional(Type.String()) }),
  ),
});
export type Part = Static<typeof Part>;

export const UsageMetadata = Type.Object({
  promptTokenCount: optional(Type.Number()),
  candidatesTokenCount: optional(Type.Number()),
  thoughtsTokenCount: optional(Type.Number()),
  toolUsePromptTokenCount: optional(Type.Number()),
  cachedContentTokenCount: optional(Type.Number()),
  totalTokenCount: optional(Type.Number()),
});
export type UsageMetadata = Static<typeof UsageMetadata>;

export const Candidate = Type.Object({
  index: optional(Type.Number()),
  // A candidate that was stopped before its first word has no content, or content without parts.
  content: optional(Type.Object({ parts: optional(Type.Array(Part)) })),
  finishReason: optional(Type.String()),
  logprobsResult: optional(object()),
});
export type Candidate = Static<typeof Candidate>;

export const GenerateContentResponse = Type.Object({
  candidates: optional(Type.Array(Candidate)),
  promptFeedback: optional(Type.Object({ blockReason: optional(Type.String()) })),
  usageMetadata: optional(UsageMetadata),
  modelVersion: optional(Type.String()),
  responseId: optional(Type.String()),
});
export type GenerateContentResponse = Static<typeof GenerateContentResponse>;

/** `finishReason` to OpenAI's `finish_reason`. */
const finishReasons: Readonly<Record<string, string>> = {
  STOP: "stop",
  MAX_TOKENS: "length",
  SAFETY: "content_filter",
  RECITATION: "content_filter",
  LANGUAGE: "content_filter",
  BLOCKLIST: "content_filter",
  PROHIBITED_CONTENT: "content_filter",
  SPII: "content_filter",
  IMAGE_SAFETY: "content_filter",
  IMAGE_PROHIBITED_CONTENT: "content_filter",
  IMAGE_RECITATION: "content_filter",
};

/** Gemini says STOP after calls, too. A reason newer than this file must not break a call. */
export function toFinishReason(reason: string, hasCalls: boolean): string {
  const word = Object.hasOwn(finishReasons, reason) ? finishReasons[reason] : "stop";
  return word === "stop" && hasCalls ? "tool_calls" : (word ?? "stop");
}

const ours: Readonly<Record<string, string>> = {
  length: "MAX_TOKENS",
  content_filter: "SAFETY",
};

export const fromFinishReason = (reason: string) =>
  Object.hasOwn(ours, reason) ? (ours[reason] ?? "STOP") : "STOP";

/** Whether OpenAI's word loses something, so that the original must travel beside it. */
export const isLossy = (reason: string) =>
  fromFinishReason(toFinishReason(reason, false)) !== reason;

/** Protobuf's JSON takes both spellings of a field, and Google's examples use both. */
export function field(holder: JsonObject, name: string): Json | undefined {
  const value = holder[name];
  return value === undefined ? holder[toSnake(name)] : value;
}

export const toSnake = (name: string) =>
  name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

export const objectOr = (value: unknown): JsonObject => (isObject(value) ? value : {});
