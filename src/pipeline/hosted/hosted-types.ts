/** Which of a request's tools the gateway itself runs. */
import type { Json, JsonObject } from "../../domain/json.ts";
import { isObject } from "../../domain/json.ts";

/** `type` in a request's `tools`. */
const hostedTypes: ReadonlySet<unknown> = new Set(["mcp", "skill", "file_search"]);

/** A loop and not `some`: it is run for every call that has tools. */
export function hasHosted(tools: Json | undefined): boolean {
  if (!Array.isArray(tools)) return false;
  for (let i = 0; i < tools.length; i++) {
    const tool: Json | undefined = tools[i];
    if (isObject(tool) && tool["type"] !== "function" && isHosted(tool)) return true;
  }
  return false;
}

/** A body without what the gateway would run, for those who only look at it. */
export function withoutHosted(body: JsonObject): JsonObject {
  const { tools, ...rest } = body;
  if (!Array.isArray(tools) || !hasHosted(tools)) return body;
  const left = tools.filter((tool) => !isHosted(tool));
  return left.length > 0 ? { ...rest, tools: left } : rest;
}

export const isHosted = (tool: Json): tool is JsonObject =>
  isObject(tool) && hostedTypes.has(tool["type"]);
