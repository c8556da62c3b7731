/** An operation of an OpenAPI document as a tool: its name, what it says of itself, its input's schema. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { lookUp, type OpenapiDocument, type Operation, type Parameter } from "./read-document.ts";

export const toolLimits = {
  descriptionChars: 2_000,
  /** Of an input schema; over it, the body is told in words alone. */
  schemaChars: 65_536,
  depth: 64,
} as const;

/** The argument that is sent as the request's body. */
export const bodyArgument = "body";

export function toTool(operation: Operation, document: OpenapiDocument): JsonObject {
  const { method, path, title, deprecated } = operation;
  const place = `${method} ${path}`;
  const said = operation.description === place ? "" : operation.description;
  const words = deprecated ? `Deprecated. ${said}`.trim() : said;
  const reads = method === "GET" || method === "HEAD" || method === "OPTIONS";
  return {
    name: operation.name,
    ...(title === undefined ? {} : { title: title.slice(0, titleChars) }),
    description: `${words.slice(0, toolLimits.descriptionChars)}\n\n${place}`.trim(),
    inputSchema: toInputSchema(operation, document),
    annotations: {
      readOnlyHint: reads,
      destructiveHint: method === "DELETE" || method === "PUT" || method === "PATCH",
      idempotentHint: reads || method === "PUT" || method === "DELETE",
      openWorldHint: true,
    },
  };
}

const titleChars = 200;

function toInputSchema(operation: Operation, document: OpenapiDocument): JsonObject {
  const whole = buildSchema(operation, document, true);
  if (JSON.stringify(whole).length <= toolLimits.schemaChars) return whole;
  return buildSchema(operation, document, false);
}

function buildSchema(
  { parameters, body }: Operation,
  document: OpenapiDocument,
  inFull: boolean,
): JsonObject {
  const walk: Walk = { root: document.root, named: new Map(), definitions: {} };
  const properties: Record<string, Json> = {};
  const required: string[] = [];
  for (const parameter of parameters) {
    const name = argumentOf(parameter, parameters);
    const { description } = parameter;
    const schema = inFull ? convert(parameter.schema, walk, 0) : {};
    properties[name] = {
      ...(isObject(schema) ? schema : {}),
      ...(description === undefined
        ? {}
        : { description: description.slice(0, toolLimits.descriptionChars) }),
    };
    if (parameter.required) required.push(name);
  }
  if (body) {
    const about = `The request's body, sent as ${body.mediaType}.`;
    const schema = inFull ? convert(body.schema, walk, 0) : {};
    const untyped = body.mediaType.startsWith("text/") ? { type: "string" } : {};
    const typed = isObject(schema) && Object.keys(schema).length > 0 ? schema : untyped;
    properties[bodyArgument] = { description: about, ...typed };
    if (body.required) required.push(bodyArgument);
  }
  return {
    type: "object",
    properties,
    ...(required.length > 0 ? { required } : {}),
    ...(Object.keys(walk.definitions).length > 0 ? { $defs: walk.definitions } : {}),
  };
}

/** Two parameters of one name, in two places, are told apart by the place. */
export function argumentOf(parameter: Parameter, all: readonly Parameter[]): string {
  const { name, place } = parameter;
  const twins =
    name === bodyArgument || all.some((other) => other !== parameter && other.name === name);
  return twins ? `${place}_${name}` : name;
}

interface Walk {
  readonly root: JsonObject;
  /** Reference → its name below `$defs`. */
  readonly named: Map<string, string>;
  readonly definitions: Record<string, Json>;
}

/** Words that mean nothing to who fills it in. */
const dropped: ReadonlySet<string> = new Set(["xml", "externalDocs", "discriminator", "nullable"]);

/** Words below which the keys are names and not words. */
const namedSchemas: ReadonlySet<string> = new Set([
  "properties",
  "patternProperties",
  "dependentSchemas",
]);

/** References become `#/$defs/…`, once each, so that a schema may lead back to itself. */
function convert(schema: Json | undefined, walk: Walk, depth: number): Json {
  if (depth > toolLimits.depth) return {};
  if (Array.isArray(schema)) return schema.map((item) => convert(item, walk, depth + 1));
  if (!isObject(schema)) return schema ?? {};
  const { $ref } = schema;
  if (typeof $ref === "string") return toReference($ref, walk, depth);
  const kept: Record<string, Json> = {};
  for (const [word, value] of Object.entries(schema)) {
    if (dropped.has(word) || word.startsWith("x-")) continue;
    if (namedSchemas.has(word) && isObject(value)) {
      const inner = Object.entries(value);
      kept[word] = Object.fromEntries(
        inner.map(([name, of]) => [name, convert(asObject(of), walk, depth + 1)]),
      );
      continue;
    }
    // An example, or a value to compare with, is data and no schema.
    const isData =
      word === "example" || word === "examples" || word === "enum" || word === "default";
    const of = word === "items" ? asObject(value) : value;
    kept[word] = isData ? (value ?? null) : convert(of, walk, depth + 1);
  }
  const { type } = kept;
  if (schema["nullable"] === true && typeof type === "string") kept["type"] = [type, "null"];
  return kept;
}

/** `true` and `false` are schemas since 3.1, but clients there are that take objects alone. */
function asObject(schema: Json | undefined): Json {
  if (schema === true) return {};
  return schema === false ? { not: {} } : (schema ?? {});
}

function toReference(reference: string, walk: Walk, depth: number): Json {
  const known = walk.named.get(reference);
  if (known !== undefined) return { $ref: `#/$defs/${known}` };
  const target = lookUp(walk.root, reference);
  if (!isObject(target)) return {}; // elsewhere, or nowhere: anything is let through
  const last = reference.slice(reference.lastIndexOf("/") + 1).replace(/[^A-Za-z0-9_-]/g, "_");
  let name = last || "schema";
  for (let n = 2; Object.hasOwn(walk.definitions, name); n++) name = `${last}_${n}`;
  walk.named.set(reference, name);
  walk.definitions[name] = {}; // holds its place while it is converted
  walk.definitions[name] = convert(target, walk, depth + 1);
  return { $ref: `#/$defs/${name}` };
}
