/**
 * Chat has no items for what hosted tools did: their calls and results stand beside a message, in
 * LiteLLM's place. A caller who sends such a message back gets them read by the model again.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { asData } from "./as-data.ts";
import { sourceOf, type Toolbox } from "./toolbox.ts";

/** Beside a message of chat: `provider_specific_fields`. */
export const besideMessage = "provider_specific_fields";

export function restoreMessages(messages: Json | undefined, toolbox: Toolbox): readonly Json[] {
  if (!Array.isArray(messages)) return [];
  return messages.flatMap((message, i) =>
    isObject(message) ? restore(message, i, toolbox) : [message],
  );
}

function restore(message: JsonObject, index: number, toolbox: Toolbox): readonly Json[] {
  const { [besideMessage]: beside, ...rest } = message;
  if (message["role"] !== "assistant" || !isObject(beside)) return [message];
  const calls = listOf(beside["mcp_tool_calls"]);
  const results = listOf(beside["mcp_call_results"]);
  const past = calls.flatMap((call, i): readonly Json[] => {
    const called = isObject(call["function"]) ? call["function"] : {};
    const name = String(called["name"]);
    const offered = toolbox.offered.find((each) => each.tool.name === name);
    const result = results.find((each) => each["tool_call_id"] === call["id"]);
    if (!offered || !result) return [];
    const id = `call_past_${index}_${i}`;
    const { arguments: args = "{}" } = called;
    return [
      {
        role: "assistant",
        content: null,
        tool_calls: [
          { id, type: "function", function: { name: offered.name, arguments: String(args) } },
        ],
      },
      {
        role: "tool",
        tool_call_id: id,
        content: asData(String(result["result"] ?? ""), sourceOf(offered)),
      },
    ];
  });
  return [...past, rest];
}

const listOf = (value: Json | undefined) => (Array.isArray(value) ? value.filter(isObject) : []);
