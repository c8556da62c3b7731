/**
 * OpenAI's Responses API as far as we read it, and how its ids are made here.
 * Source: https://platform.openai.com/docs/api-reference/responses
 */
import { type TSchema, Type } from "@sinclair/typebox";
import type { Json, JsonObject } from "../../domain/json.ts";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

export const WireResponse = Type.Object({
  id: Type.String(),
  status: optional(Type.String()),
  output: Type.Array(Type.Object({ type: Type.String() })),
});

export const ItemAdded = Type.Object({
  output_index: Type.Number(),
  item: Type.Object({ type: Type.String() }),
});

export const TextDelta = Type.Object({ delta: Type.String() });

export const ArgumentsDelta = Type.Object({ output_index: Type.Number(), delta: Type.String() });

/** Events after which nothing follows. */
export const lastEvents: ReadonlySet<string> = new Set([
  "response.completed",
  "response.incomplete",
  "response.failed",
]);

/** Prefixes of ids, by what they name. */
export const idPrefixes = {
  message: "msg",
  reasoning: "rs",
  function_call: "fc",
  custom_tool_call: "ctc",
  function_call_output: "fco",
  custom_tool_call_output: "ctco",
  mcp_list_tools: "mcpl",
  mcp_call: "mcp",
  mcp_approval_request: "mcpr",
  mcp_approval_response: "mcpa",
  file_search_call: "fs",
} as const;

/** A call's id (a UUID) as the id of the response that answers it. */
export const toResponseId = (callId: string) => `resp_${callId.replaceAll("-", "")}`;

/** The id of an item: which response it belongs to can be read off it. `i`: of its input. */
export function toItemId(
  type: keyof typeof idPrefixes,
  responseId: string,
  index: number,
  side: "input" | "output",
): string {
  const stem = responseId.replace(/^resp_/, "");
  return `${idPrefixes[type]}_${stem}${side === "input" ? "i" : "o"}${index}`;
}

/** The response that an item id of ours was made for; none for an id of OpenAI's. */
export function responseIdOf(itemId: string): string | undefined {
  const match = /^(?:msg|rs|fc|ctc|fco|ctco|mcp|mcpl|mcpr|mcpa|fs)_([0-9a-f]{32})[io]\d+$/.exec(
    itemId,
  );
  return match ? `resp_${match[1]}` : undefined;
}

export const listOf = (value: Json | undefined): readonly Json[] =>
  Array.isArray(value) ? value : [];

export const textOf = (value: Json | undefined): string => (typeof value === "string" ? value : "");

/** The pairs of an object whose value is there. */
export function present(object: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(object).filter(([, value]) => value !== undefined && value !== null),
  );
}
