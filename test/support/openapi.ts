/** Values against the schemas of an OpenAPI document: as much of JSON Schema as those use. */
import { gunzipSync } from "bun";
import { isObject, type Json, type JsonObject } from "../../src/domain/json.ts";

export interface OpenApi {
  /** What is wrong with a value, as `path: problem`; none where it is valid. */
  problems(schemaName: string, value: unknown): readonly string[];
}

export async function readOpenApi(path: string): Promise<OpenApi | undefined> {
  const file = Bun.file(path);
  if (!(await file.exists())) return undefined;
  const text = new TextDecoder().decode(gunzipSync(await file.bytes()));
  const document = JSON.parse(text) as JsonObject;
  return {
    problems: (name, value) =>
      check({ $ref: `#/components/schemas/${name}` }, value as Json, "", document),
  };
}

type Problems = readonly string[];

function check(schema: Json | undefined, value: Json, path: string, root: JsonObject): Problems {
  if (!isObject(schema)) return [];
  const { $ref: ref } = schema;
  if (value === null && schema["nullable"] === true) return [];
  if (typeof ref === "string") return check(find(ref, root), value, path, root);
  return [
    ...checkValue(schema, value, path),
    ...checkChoices(schema, value, path, root),
    ...(isObject(value) ? checkObject(schema, value, path, root) : []),
    ...(Array.isArray(value)
      ? value.flatMap((item: Json, i) => check(schema["items"], item, `${path}[${i}]`, root))
      : []),
  ];
}

function find(ref: string, root: JsonObject): Json | undefined {
  let at: Json | undefined = root;
  for (const key of ref.split("/").slice(1)) at = isObject(at) ? at[key] : undefined;
  if (at === undefined) throw new Error(`the document has no ${ref}`);
  return at;
}

function checkValue({ type, enum: allowed }: JsonObject, value: Json, path: string): Problems {
  const types = typeof type === "string" ? [type] : Array.isArray(type) ? type : [];
  if (types.length > 0 && !types.some((each) => isOf(String(each), value))) {
    return [`${path}: ${JSON.stringify(value)?.slice(0, 80)} is no ${types.join(" or ")}`];
  }
  if (Array.isArray(allowed) && !allowed.includes(value)) {
    return [`${path}: ${JSON.stringify(value)} is none of ${allowed.join(", ")}`];
  }
  return [];
}

function isOf(type: string, value: Json): boolean {
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isInteger(value);
  return typeof value === type;
}

function checkChoices(schema: JsonObject, value: Json, path: string, root: JsonObject): Problems {
  const { allOf, anyOf, oneOf } = schema;
  const all = Array.isArray(allOf)
    ? allOf.flatMap((each: Json) => check(each, value, path, root))
    : [];
  const choices = [anyOf, oneOf].filter(Array.isArray).flatMap((list) => {
    const tries = list.map((each: Json) => check(each, value, path, root));
    if (tries.some((problems) => problems.length === 0)) return [];
    const nearest = tries.toSorted((a, b) => a.length - b.length)[0] ?? [];
    return [`${path}: fits none of ${list.length}`, ...nearest];
  });
  return [...all, ...choices];
}

function checkObject(
  schema: JsonObject,
  value: JsonObject,
  path: string,
  root: JsonObject,
): Problems {
  const { required, properties, additionalProperties: more } = schema;
  const absent = (Array.isArray(required) ? required : []).filter(
    (key) => value[String(key)] === undefined,
  );
  const known = isObject(properties) ? properties : {};
  return [
    ...absent.map((key) => `${path}: ${String(key)} is missing`),
    ...Object.entries(value).flatMap(([key, inner]) => {
      if (inner === undefined) return [];
      const at = `${path}.${key}`;
      if (key in known) return check(known[key], inner, at, root);
      if (more === false) return [`${at}: is not known`];
      return check(more, inner, at, root);
    }),
  ];
}
