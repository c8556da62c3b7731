/**
 * A value of the file, read by a section's schema: strings that mean booleans or numbers become
 * such (as LiteLLM does for values out of the environment), defaults are filled in, and everything
 * that does not fit is reported with its line.
 */
import { Kind, type Static, type TObject, type TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { excerpt } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { isSecretName } from "../security/redact.ts";
import { findNearest } from "../std/nearest.ts";
import type { Report } from "./report.ts";
import { type Spot, showPath } from "./yaml.ts";

export interface DecodeOptions {
  /** Keys that LiteLLM knows and RouteIQ does not use yet: a milder warning. */
  readonly litellm?: ReadonlySet<string>;
  /** Unknown keys are kept, and only slips of the hand are told; what keeping one means, in words. */
  readonly keepUnknown?: string;
  /** Unknown keys that are surely meant. */
  readonly usual?: ReadonlySet<string>;
}

/** Reports what does not fit and leaves it out; whether that refuses the file is the report's errors. */
export function decodeSection<S extends TObject>(
  schema: S,
  value: Json | undefined,
  spot: Spot,
  report: Report,
  options: DecodeOptions = {},
): Static<S> {
  return decodeObject(schema, value ?? {}, { spot, report, options }) as Static<S>;
}

interface Walk {
  readonly spot: Spot;
  readonly report: Report;
  readonly options: DecodeOptions;
}

const within = (walk: Walk, step: string | number): Walk => ({
  ...walk,
  spot: { ...walk.spot, path: [...walk.spot.path, step] },
});

function decodeObject(schema: TObject, value: Json, walk: Walk): JsonObject {
  const decoded: Record<string, Json | undefined> = {};
  if (!isObject(value)) {
    walk.report.refuse(
      walk.spot,
      `must be a map of keys, not ${show(value, walk)}`,
      "Indent the keys below it.",
    );
  } else {
    for (const [key, inner] of Object.entries(value)) {
      const property = Object.hasOwn(schema.properties, key) ? schema.properties[key] : undefined;
      if (!property) tellUnknown(key, schema, within(walk, key));
      if (!property && walk.options.keepUnknown && inner !== undefined) decoded[key] = inner;
      // An empty value (`timeout:`) is null in YAML and means: not set.
      if (property && inner !== null)
        decoded[key] = decodeValue(property, inner as Json, within(walk, key));
    }
  }
  for (const [key, property] of Object.entries(schema.properties)) {
    if (decoded[key] !== undefined) continue;
    if (schema.required?.includes(key) && property.default === undefined && isObject(value)) {
      tellMissing(key, property, value, walk);
    }
    delete decoded[key];
    if (property[Kind] === "Object" && property.default !== undefined) {
      decoded[key] = decodeObject(property as TObject, {}, within(walk, key));
    } else if (property.default !== undefined)
      decoded[key] = structuredClone(property.default) as Json;
  }
  return decoded;
}

function decodeValue(schema: TSchema, value: Json, walk: Walk): Json | undefined {
  if (schema[Kind] === "Object" && isObject(value))
    return decodeObject(schema as TObject, value, walk);
  const inner = recordValue(schema);
  if (inner && isObject(value)) {
    const entries = Object.entries(value).map(([key, item]) => [
      key,
      decodeValue(inner, item ?? emptyOf(inner), within(walk, key)),
    ]);
    return Object.fromEntries(entries.filter(([, item]) => item !== undefined)) as JsonObject;
  }
  const coerced = coerce(schema, value);
  if (Value.Check(schema, coerced)) return coerced;
  const name = String(walk.spot.path.at(-1) ?? "");
  walk.report.refuse(
    walk.spot,
    `${name} must be ${expectation(schema)}, not ${show(value, walk)}`,
    schema.description ?? "See docs/configuration.md.",
  );
  return undefined;
}

/** A value that does not fit has been told already, where it stands. */
function tellMissing(key: string, schema: TSchema, value: JsonObject, walk: Walk): void {
  if (value[key] !== undefined && value[key] !== null) return;
  const remedy = schema.description ?? `It must be ${expectation(schema)}.`;
  walk.report.refuse(walk.spot, `${key} is missing`, remedy);
}

/** The value schema of a map whose values are maps themselves, or one of several forms: told one by one. */
function recordValue(schema: TSchema): TSchema | undefined {
  if (schema[Kind] !== "Record") return undefined;
  const [inner] = Object.values(schema["patternProperties"] as Record<string, TSchema>);
  return inner?.[Kind] === "Object" || inner?.[Kind] === "Union" ? inner : undefined;
}

/** `name:` with nothing behind it: a map that leaves everything as it is. */
const emptyOf = (schema: TSchema): Json => (schema[Kind] === "Object" ? {} : null);

function tellUnknown(key: string, schema: TObject, walk: Walk): void {
  const { report, spot, options } = walk;
  if (options.litellm?.has(key)) {
    report.warn(
      spot,
      `"${key}" is known to LiteLLM, not used by RouteIQ yet`,
      "It has no effect here. Keep it for LiteLLM, or remove it.",
    );
    return;
  }
  if (options.usual?.has(key)) return;
  const near = findNearest(key, Object.keys(schema.properties));
  const section = showPath(spot.path.slice(0, -1));
  if (options.keepUnknown && near) {
    report.warn(
      spot,
      `"${key}" is no key of ${section}, so ${options.keepUnknown}`,
      `If you meant "${near}", rename it; else all is well.`,
    );
  }
  if (options.keepUnknown) return;
  const remedy = near
    ? `Did you mean "${near}"? Else remove it.`
    : "Remove it, or see docs/configuration.md.";
  report.warn(spot, `unknown key "${key}" in ${section}`, remedy);
}

/** Text to booleans and numbers, and numbers to text, where the schema wants them. */
export function coerce(schema: TSchema, value: Json): Json {
  const kind = schema[Kind];
  if (kind === "Union") {
    for (const member of schema["anyOf"] as TSchema[]) {
      const coerced = coerce(member, value);
      if (Value.Check(member, coerced)) return coerced;
    }
    return value;
  }
  if (kind === "Array" && Array.isArray(value)) {
    return value.map((item: Json) => coerce(schema["items"] as TSchema, item));
  }
  if (kind === "Record" && isObject(value)) {
    const [inner] = Object.values(schema["patternProperties"] as Record<string, TSchema>);
    if (!inner) return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, item]) => [key, coerce(inner, (item ?? null) as Json)]),
    );
  }
  if (kind === "Boolean" && typeof value === "string" && /^(true|false)$/i.test(value.trim())) {
    return value.trim().toLowerCase() === "true";
  }
  const numeric = kind === "Number" || kind === "Integer";
  if (
    numeric &&
    typeof value === "string" &&
    /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(value.trim())
  ) {
    return Number(value);
  }
  if (kind === "String" && typeof value === "number") return String(value);
  return value;
}

/** What a schema wants, in words. A schema may say it better: `expected`. */
export function expectation(schema: TSchema): string {
  if (typeof schema["expected"] === "string") return schema["expected"];
  switch (schema[Kind]) {
    case "Boolean":
      return "true or false";
    case "Integer":
      return `a whole number${range(schema)}`;
    case "Number":
      return `a number${range(schema)}`;
    case "String":
      return schema["pattern"] === undefined ? "text" : `text of the form ${schema["pattern"]}`;
    case "Literal":
      return JSON.stringify(schema["const"]);
    case "Array":
      return `a list of ${expectation(schema["items"] as TSchema)}`;
    case "Union":
      return (schema["anyOf"] as TSchema[]).map(expectation).join(" or ");
    default:
      return "a map of keys";
  }
}

function range(schema: TSchema): string {
  const least = schema["minimum"] as number | undefined;
  const above = schema["exclusiveMinimum"] as number | undefined;
  const most = schema["maximum"] as number | undefined;
  if (least !== undefined && most !== undefined) return ` from ${least} to ${most}`;
  if (above !== undefined && most !== undefined) return ` above ${above}, at most ${most}`;
  if (above !== undefined) return ` above ${above}`;
  if (least !== undefined) return `, ${least} or more`;
  return most === undefined ? "" : `, at most ${most}`;
}

function show(value: Json, walk: Walk): string {
  if (walk.spot.path.some((step) => typeof step === "string" && isSecretName(step))) return "this";
  if (value === null) return "nothing";
  return excerpt(JSON.stringify(value));
}
