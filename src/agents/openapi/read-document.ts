/**
 * An OpenAPI document (3.0, 3.1, and Swagger 2.0) as the operations it describes.
 * Source: https://spec.openapis.org/oas/v3.1.1.html, https://swagger.io/specification/v2/
 */
import { isObject, type JsonObject } from "../../domain/json.ts";

export const documentLimits = {
  bytes: 10 * 1024 * 1024,
  /** What is beyond is left out, and told. */
  operations: 1_000,
  /** References that lead to references. */
  hops: 32,
} as const;

export type ParameterPlace = "path" | "query" | "header" | "cookie";

export interface Parameter {
  /** As the API knows it. */
  readonly name: string;
  readonly place: ParameterPlace;
  readonly required: boolean;
  readonly schema: JsonObject;
  readonly description?: string;
  /** Lists and objects: one field for each item, or one for all. */
  readonly explode: boolean;
  readonly style: string;
  /** 3.0's `content`: its value is a text of JSON. */
  readonly isJson: boolean;
}

export interface RequestBody {
  readonly mediaType: string;
  readonly required: boolean;
  readonly schema: JsonObject;
}

/** A credential that the API wants beside `Authorization`. */
export interface KeyPlace {
  readonly place: "header" | "query" | "cookie";
  readonly name: string;
}

export interface Operation {
  /** Unique in the document; letters, digits, `_`, `-`. */
  readonly name: string;
  readonly method: string;
  /** With `{variables}`. */
  readonly path: string;
  readonly title?: string;
  readonly description: string;
  readonly parameters: readonly Parameter[];
  readonly body?: RequestBody;
  readonly deprecated: boolean;
}

export interface OpenapiDocument {
  readonly title: string;
  readonly description?: string;
  /** Where it says that it is served; may be relative to the document's own address. */
  readonly base?: string;
  readonly operations: readonly Operation[];
  readonly leftOut: number;
  /** Where its `apiKey` schemes put the key; the first one counts. */
  readonly keyPlace?: KeyPlace;
  /** What `#/…` references lead into. */
  readonly root: JsonObject;
}

const methods = ["get", "put", "post", "delete", "patch", "head", "options"] as const;

/** @throws Error that says what of it is no such document */
export function readOpenapiDocument(root: unknown): OpenapiDocument {
  if (!isObject(root)) throw new Error("the document is no object");
  const version = String(root["openapi"] ?? root["swagger"] ?? "");
  if (!/^(2\.0|3\.[0-9]+)/.test(version)) {
    throw new Error("it is no OpenAPI document: `openapi: 3.x` or `swagger: 2.0` is missing");
  }
  const paths = isObject(root["paths"]) ? root["paths"] : {};
  const used = new Set<string>();
  const operations: Operation[] = [];
  let leftOut = 0;
  for (const [path, listed] of Object.entries(paths)) {
    const item = follow(root, listed);
    if (!isObject(item) || !path.startsWith("/")) continue;
    for (const method of methods) {
      const operation = follow(root, item[method]);
      if (!isObject(operation)) continue;
      if (operations.length >= documentLimits.operations) leftOut++;
      else operations.push(readOperation({ root, item, operation, method, path, used }));
    }
  }
  if (operations.length === 0) throw new Error("the document has no operations below `paths`");
  const info = isObject(root["info"]) ? root["info"] : {};
  const keyPlace = readKeyPlace(root);
  const base = version.startsWith("2") ? swaggerBase(root) : openapiBase(root);
  return {
    title: String(info["title"] ?? "API"),
    ...(typeof info["description"] === "string" ? { description: info["description"] } : {}),
    ...(base === undefined ? {} : { base }),
    ...(keyPlace === undefined ? {} : { keyPlace }),
    operations,
    leftOut,
    root,
  };
}

interface Found {
  readonly root: JsonObject;
  readonly item: JsonObject;
  readonly operation: JsonObject;
  readonly method: string;
  readonly path: string;
  readonly used: Set<string>;
}

function readOperation({ root, item, operation, method, path, used }: Found): Operation {
  const parameters = new Map<string, Parameter>();
  let body = readBody(root, operation["requestBody"]);
  const form: [string, JsonObject][] = [];
  // The operation's own come after the path's, and win.
  for (const listed of [...listOf(item["parameters"]), ...listOf(operation["parameters"])]) {
    const raw = follow(root, listed);
    if (!isObject(raw) || typeof raw["name"] !== "string") continue;
    if (raw["in"] === "body") body = swaggerBody(raw);
    if (raw["in"] === "formData") form.push([raw["name"], raw]);
    const parameter = readParameter(root, raw);
    if (parameter) parameters.set(`${parameter.place} ${parameter.name}`, parameter);
  }
  if (form.length > 0) body = swaggerForm(form);
  const { summary, description } = operation;
  const words = [summary, description].filter((text) => typeof text === "string");
  return {
    name: nameOf(operation["operationId"], method, path, used),
    method: method.toUpperCase(),
    path,
    ...(typeof summary === "string" ? { title: summary } : {}),
    description: words.join("\n\n") || `${method.toUpperCase()} ${path}`,
    parameters: [...parameters.values()],
    ...(body === undefined ? {} : { body }),
    deprecated: operation["deprecated"] === true,
  };
}

/** Of a tool's name, as clients and models want it. */
const nameChars = 64;

function nameOf(id: unknown, method: string, path: string, used: Set<string>): string {
  const text = typeof id === "string" && id !== "" ? id : `${method} ${path}`;
  const plain = text.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "") || method;
  let name = plain.slice(0, nameChars);
  for (let n = 2; used.has(name); n++) {
    name = `${plain.slice(0, nameChars - String(n).length - 1)}_${n}`;
  }
  used.add(name);
  return name;
}

const places: ReadonlySet<unknown> = new Set(["path", "query", "header", "cookie"]);
/** What 3.x says of header parameters that have these names: they are ignored. */
const ignoredHeaders: ReadonlySet<string> = new Set(["accept", "content-type", "authorization"]);

function readParameter(root: JsonObject, raw: JsonObject): Parameter | undefined {
  const { name, in: place, description } = raw;
  if (typeof name !== "string" || !places.has(place)) return undefined;
  if (place === "header" && ignoredHeaders.has(name.toLowerCase())) return undefined;
  const content = isObject(raw["content"]) ? Object.values(raw["content"])[0] : undefined;
  const inner = isObject(content) ? content["schema"] : raw["schema"];
  const style = String(
    raw["style"] ?? (place === "query" || place === "cookie" ? "form" : "simple"),
  );
  const schema = follow(root, inner);
  const collection = raw["collectionFormat"];
  const explode =
    raw["explode"] ?? (collection === undefined ? style === "form" : collection === "multi");
  return {
    name,
    place: place as ParameterPlace,
    required: raw["required"] === true || place === "path",
    schema: isObject(inner) ? inner : isObject(schema) ? schema : swaggerSchema(raw),
    ...(typeof description === "string" ? { description } : {}),
    style,
    explode: explode === true,
    isJson: content !== undefined,
  };
}

/** JSON before forms before what is sent as it stands. */
function readBody(root: JsonObject, listed: unknown): RequestBody | undefined {
  const raw = follow(root, listed);
  const content = isObject(raw) && isObject(raw["content"]) ? raw["content"] : {};
  const types = Object.keys(content);
  const mediaType =
    types.find(isJsonType) ?? types.find((type) => type.startsWith(formType)) ?? types[0];
  if (mediaType === undefined || !isObject(raw)) return undefined;
  const media = content[mediaType];
  const schema = isObject(media) && isObject(media["schema"]) ? media["schema"] : {};
  return { mediaType, required: raw["required"] === true, schema };
}

export const formType = "application/x-www-form-urlencoded";
export const isJsonType = (type: string) => /^application\/([\w.+-]+\+)?json\b/i.test(type);

function swaggerBody(raw: JsonObject): RequestBody {
  const schema = isObject(raw["schema"]) ? raw["schema"] : {};
  return { mediaType: "application/json", required: raw["required"] === true, schema };
}

function swaggerForm(fields: readonly (readonly [string, JsonObject])[]): RequestBody {
  const required = fields.filter(([, raw]) => raw["required"] === true).map(([name]) => name);
  const properties = Object.fromEntries(fields.map(([name, raw]) => [name, swaggerSchema(raw)]));
  return {
    mediaType: formType,
    required: required.length > 0,
    schema: { type: "object", properties, ...(required.length > 0 ? { required } : {}) },
  };
}

const schemaWords = ["type", "format", "items", "enum", "default", "minimum", "maximum", "pattern"];

/** Swagger 2.0 writes a parameter's schema beside its name. */
function swaggerSchema(raw: JsonObject): JsonObject {
  const kept = schemaWords.filter((word) => raw[word] !== undefined);
  return Object.fromEntries(kept.map((word) => [word, raw[word]]));
}

function openapiBase({ servers }: JsonObject): string | undefined {
  const [first] = listOf(servers);
  if (!isObject(first) || typeof first["url"] !== "string") return undefined;
  const variables = isObject(first["variables"]) ? first["variables"] : {};
  return first["url"].replace(/\{([^{}]+)\}/g, (whole, name: string) => {
    const variable = variables[name];
    return isObject(variable) ? String(variable["default"] ?? "") : whole;
  });
}

function swaggerBase({ host, basePath, schemes }: JsonObject): string | undefined {
  if (typeof host !== "string") return typeof basePath === "string" ? basePath : undefined;
  const offered = listOf(schemes);
  const scheme = offered.length === 0 || offered.includes("https") ? "https" : String(offered[0]);
  return `${scheme}://${host}${typeof basePath === "string" ? basePath : ""}`;
}

function readKeyPlace(root: JsonObject): KeyPlace | undefined {
  const components = isObject(root["components"]) ? root["components"] : {};
  const schemes = components["securitySchemes"] ?? root["securityDefinitions"];
  for (const listed of Object.values(isObject(schemes) ? schemes : {})) {
    const scheme = follow(root, listed);
    if (!isObject(scheme) || scheme["type"] !== "apiKey") continue;
    const { in: place, name } = scheme;
    if (typeof name !== "string") continue;
    if (place === "header" || place === "query" || place === "cookie") return { place, name };
  }
  return undefined;
}

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** What a `$ref` leads to, inside the document alone; undefined where that is nothing. */
export function follow(root: JsonObject, value: unknown): unknown {
  let at = value;
  for (let hops = 0; isObject(at) && typeof at["$ref"] === "string"; hops++) {
    if (hops >= documentLimits.hops) return undefined;
    at = lookUp(root, at["$ref"]);
  }
  return at;
}

export function lookUp(root: JsonObject, reference: string): unknown {
  if (!reference.startsWith("#/")) return undefined;
  let at: unknown = root;
  for (const step of reference.slice(2).split("/")) {
    const key = decodeStep(step);
    at =
      isObject(at) && Object.hasOwn(at, key)
        ? at[key]
        : Array.isArray(at)
          ? at[Number(key)]
          : undefined;
  }
  return at;
}

function decodeStep(step: string): string {
  try {
    return decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
  } catch {
    return step;
  }
}
