/**
 * Gemini's own schemas (OpenAPI 3.0's, with upper-case types) as JSON Schema.
 * Source: https://ai.google.dev/api/caching#Schema
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { field } from "./wire.ts";

/** Counts travel as text in protobuf's JSON (int64). */
const counts = ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"];
/** Carried as they are, in JSON Schema's spelling. */
const kept = ["title", "description", "format", "pattern", "default", "minimum", "maximum", "enum"];
const read = new Set([
  ...counts,
  ...kept,
  ...[
    "type",
    "nullable",
    "properties",
    "items",
    "anyOf",
    "required",
    "propertyOrdering",
    "example",
  ],
]);

export function toJsonSchema(schema: JsonObject): JsonObject {
  const out: Record<string, Json | undefined> = {};
  const type = toType(schema["type"]);
  const nullable = schema["nullable"] === true;
  if (type !== undefined) out["type"] = nullable ? [type, "null"] : type;
  for (const name of kept) copy(schema, name, out);
  for (const name of counts) {
    const value = field(schema, name);
    const count = typeof value === "string" ? Number(value) : value;
    if (typeof count === "number" && Number.isFinite(count)) out[name] = count;
  }
  if (Array.isArray(schema["required"])) out["required"] = schema["required"];
  if (isObject(schema["properties"])) out["properties"] = mapSchemas(schema["properties"]);
  if (isObject(schema["items"])) out["items"] = toJsonSchema(schema["items"]);
  const anyOf = field(schema, "anyOf");
  if (Array.isArray(anyOf)) {
    const forms = anyOf.map((each: Json) => (isObject(each) ? toJsonSchema(each) : each));
    out["anyOf"] = nullable && type === undefined ? [...forms, { type: "null" }] : forms;
  }
  if (nullable && Array.isArray(out["enum"])) out["enum"] = [...out["enum"], null];
  if (schema["example"] !== undefined) out["examples"] = [schema["example"]];
  // What it does not know, JSON Schema's own words say, which callers send in this place as well.
  for (const [name, value] of Object.entries(schema)) {
    if (!(read.has(name) || read.has(toCamel(name)))) out[name] = value;
  }
  return out;
}

const toCamel = (name: string) =>
  name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

function toType(type: Json | undefined): Json | undefined {
  if (type === "TYPE_UNSPECIFIED") return undefined;
  return typeof type === "string" ? type.toLowerCase() : type;
}

function copy(from: JsonObject, name: string, out: Record<string, Json | undefined>): void {
  const value = from[name];
  if (value !== undefined && value !== null) out[name] = value;
}

function mapSchemas(schemas: JsonObject): JsonObject {
  const pairs = Object.entries(schemas);
  return Object.fromEntries(
    pairs.map(([name, each]) => [name, isObject(each) ? toJsonSchema(each) : each]),
  );
}
