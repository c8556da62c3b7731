/** A page of a list, in OpenAI's form. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";

const defaultLimit = 20;
const maxLimit = 100;

/** @throws GatewayError invalid_request naming the parameter */
export function toPage(items: readonly JsonObject[], query: URLSearchParams): JsonObject {
  const limit = readLimit(query.get("limit"));
  const order = query.get("order") ?? "desc";
  if (order !== "asc" && order !== "desc") {
    throw invalid("order", `'order' must be 'asc' or 'desc', not '${excerpt(order)}'.`);
  }
  const ordered = order === "asc" ? items : items.toReversed();
  const from = positionOf(ordered, query.get("after"), "after") + 1;
  const before = query.get("before");
  const to = before === null ? ordered.length : positionOf(ordered, before, "before");
  const window = ordered.slice(from, to);
  const data = window.slice(0, limit);
  return {
    object: "list",
    data,
    first_id: data[0]?.["id"] ?? "",
    last_id: data.at(-1)?.["id"] ?? "",
    has_more: window.length > data.length,
  };
}

function readLimit(text: string | null): number {
  if (text === null) return defaultLimit;
  const limit = Number(text);
  if (Number.isInteger(limit) && limit >= 1 && limit <= maxLimit) return limit;
  throw invalid("limit", `'limit' must be a whole number from 1 to ${maxLimit}.`);
}

function positionOf(items: readonly JsonObject[], id: string | null, param: string): number {
  if (id === null) return -1;
  const at = items.findIndex((item) => item["id"] === id);
  if (at >= 0) return at;
  throw invalid(param, `'${param}' names no item of this response: '${excerpt(id)}'.`);
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}
