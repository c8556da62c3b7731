/** Whether an answer has the form that its request asks for: JSON by a schema, or calls of its tools. */
import type { ChatChoice, ChatRequest } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { findMismatch } from "../../std/json-schema.ts";
import { textOf } from "./conversation.ts";

export type FormCheck =
  | { readonly what: string; readonly valid: true }
  /** `why` names places and types, nothing of the answer's content. */
  | { readonly what: string; readonly valid: false; readonly why: string };

/** Undefined where the request says nothing that could be checked. */
export function checkAnswer(
  { tools, response_format: format }: ChatRequest,
  choice: ChatChoice | undefined,
): FormCheck | undefined {
  const calls = choice?.message.tool_calls;
  if (tools && calls && calls.length > 0) return checkCalls(calls, tools);
  if (!isObject(format)) return undefined;
  const kind = format["type"];
  if (kind !== "json_schema" && kind !== "json_object") return undefined;
  return check(
    "JSON",
    textOf(choice?.message.content),
    kind === "json_object" ? {} : schemaOf(format),
  );
}

function schemaOf(format: JsonObject): Json {
  const holder = isObject(format["json_schema"]) ? format["json_schema"] : format;
  return holder["schema"] ?? {};
}

function checkCalls(
  calls: NonNullable<ChatChoice["message"]["tool_calls"]>,
  tools: NonNullable<ChatRequest["tools"]>,
): FormCheck {
  const what = "tool call";
  for (const { function: called } of calls) {
    const tool = tools.find(({ function: known }) => known?.name === called?.name)?.function;
    if (!tool) return { what, valid: false, why: "it calls a tool that there is not" };
    const checked = check(what, called.arguments || "{}", tool.parameters ?? {});
    if (!checked.valid) return checked;
  }
  return { what, valid: true };
}

function check(what: string, text: string, schema: Json): FormCheck {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { what, valid: false, why: "it is not JSON" };
  }
  const why = findMismatch(value, schema);
  return why === undefined ? { what, valid: true } : { what, valid: false, why };
}
