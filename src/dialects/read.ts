/**
 * Reading a caller's body: every fault is told with the path of the parameter, as OpenAI words it.
 * Only what we read is checked; what we do not know travels on.
 */
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";

export type Kind = "string" | "boolean" | "number" | "integer" | "count" | "object" | "array";

const words: Readonly<Record<Kind, string>> = {
  string: "a string",
  boolean: "a boolean",
  number: "a number",
  integer: "an integer",
  count: "an integer of at least 0",
  object: "an object",
  array: "an array",
};

export function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}

export function missing(param: string): GatewayError {
  return new GatewayError("invalid_request", `Missing required parameter: '${param}'.`, {
    param,
    wireCode: "missing_required_parameter",
  });
}

export function wrongType(param: string, expected: string, value: unknown): GatewayError {
  const message = `Invalid type for '${param}': expected ${expected}, but got ${nameOf(value)}.`;
  return new GatewayError("invalid_request", message, { param, wireCode: "invalid_type" });
}

/** A value outside a closed list. */
export function wrongValue(param: string, value: string, known: readonly string[]): GatewayError {
  const message = `Invalid value for '${param}': '${excerpt(value)}'. Supported values are: ${known.map((word) => `'${word}'`).join(", ")}.`;
  return new GatewayError("invalid_request", message, { param, wireCode: "invalid_value" });
}

export function requireString(value: unknown, param: string): string {
  if (value === undefined) throw missing(param);
  if (typeof value !== "string") throw wrongType(param, words.string, value);
  return value;
}

export function requireObject(value: unknown, param: string): JsonObject {
  if (value === undefined) throw missing(param);
  if (!isObject(value)) throw wrongType(param, words.object, value);
  return value;
}

export function requireArray(value: unknown, param: string): readonly Json[] {
  if (value === undefined) throw missing(param);
  if (!Array.isArray(value)) throw wrongType(param, words.array, value);
  return value;
}

/** Checks a field that may be absent or null. */
export function checkOptional(object: JsonObject, key: string, kind: Kind, path = ""): void {
  const value = object[key];
  if (value === undefined || value === null) return;
  if (!isKind(value, kind)) throw wrongType(path + key, words[kind], value);
}

export function isKind(value: unknown, kind: Kind): boolean {
  if (kind === "array") return Array.isArray(value);
  if (kind === "object") return isObject(value);
  if (kind === "count") return Number.isInteger(value) && Number(value) >= 0;
  if (kind === "integer") return Number.isInteger(value);
  return typeof value === kind;
}

/** The object without some fields, itself where it has none of them. */
export function without(object: JsonObject, keys: ReadonlySet<string>): JsonObject {
  let found = false;
  for (const key in object) if (keys.has(key)) found = true;
  if (!found) return object;
  return Object.fromEntries(Object.entries(object).filter(([key]) => !keys.has(key)));
}

function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "number") return Number.isInteger(value) ? "an integer" : "a number";
  if (typeof value === "object") return "an object";
  return `a ${typeof value}`;
}
