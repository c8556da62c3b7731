/** A response's input as items with ids: as they are stored, listed, and handed to a model again. */
import { listOf, toItemId } from "../../dialects/openai-responses/wire.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

/** The input of a request as the API lists it. What is no item is left to the dialect to refuse. */
export function toItems(input: Json | undefined, responseId: string): JsonObject[] {
  const sent: readonly Json[] =
    typeof input === "string" ? [{ role: "user", content: input }] : listOf(input);
  return sent.filter(isObject).map((item, i) => toItem(item, responseId, i));
}

type IdKind = Parameters<typeof toItemId>[0];

const kinds: ReadonlySet<string> = new Set([
  ...["message", "reasoning", "function_call", "custom_tool_call"],
  ...["function_call_output", "custom_tool_call_output"],
  ...["mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response"],
  ...["file_search_call"],
]);

function toItem(item: JsonObject, responseId: string, index: number): JsonObject {
  const type = typeof item["type"] === "string" ? item["type"] : "message";
  const kind = (kinds.has(type) ? type : "message") as IdKind;
  const id =
    typeof item["id"] === "string" ? item["id"] : toItemId(kind, responseId, index, "input");
  const status = withoutStatus.has(type) ? {} : { status: item["status"] ?? "completed" };
  if (type !== "message") return { ...item, type, id, ...status };
  return { ...item, type, id, ...status, content: toParts(item["content"], item["role"]) };
}

const withoutStatus: ReadonlySet<string> = new Set([
  ...["reasoning", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response"],
]);

function toParts(content: Json | undefined, role: Json | undefined): readonly Json[] {
  if (typeof content !== "string") return listOf(content).map(withDetail);
  if (role !== "assistant") return [{ type: "input_text", text: content }];
  return [{ type: "output_text", text: content, annotations: [], logprobs: [] }];
}

const withDetail = (part: Json): Json =>
  isObject(part) && part["type"] === "input_image" ? { detail: "auto", ...part } : part;

/** An item for a model to read: without what only the list of items says. */
export function toModel(item: JsonObject): JsonObject {
  const { id, status: _status, ...rest } = item;
  // OpenAI wants the id of reasoning back, and an unknown one of anything else it refuses. What asks
  // for approval is answered by its id.
  const named = rest["type"] === "reasoning" || rest["type"] === "mcp_approval_request";
  return named && id !== undefined ? { id, ...rest } : rest;
}

/** The id in an item that stands for another, as `{"type":"item_reference","id"}` or `{"id"}`. */
export function referenceOf(item: Json): string | undefined {
  if (!isObject(item) || typeof item["id"] !== "string") return undefined;
  const { type } = item;
  if (type === "item_reference") return item["id"];
  const bare = type === undefined || type === null;
  return bare && item["role"] === undefined ? item["id"] : undefined;
}
