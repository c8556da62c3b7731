/** What several answers have used, as one. */
import type { WireUsage } from "../../domain/chat.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

/** Numbers are added, objects of numbers field by field; of the rest the later one stands. */
export function addUsage(sum: WireUsage | undefined, more: WireUsage): WireUsage {
  return (sum ? add(sum, more) : more) as WireUsage;
}

function add(a: JsonObject, b: JsonObject): JsonObject {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return Object.fromEntries([...names].map((name) => [name, addValue(a[name], b[name])]));
}

function addValue(a: Json | undefined, b: Json | undefined): Json | undefined {
  if (typeof a === "number" && typeof b === "number") return a + b;
  if (isObject(a) && isObject(b)) return add(a, b);
  return b ?? a;
}
