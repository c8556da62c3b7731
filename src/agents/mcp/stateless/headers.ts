/**
 * What revision 2026-07-28 says twice, in the body and in headers: names, and the arguments that a
 * tool's schema marks with `x-mcp-header`.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
 */
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";

/** What no header can hold is sent as base64. */
export function encoded(value: string): string {
  const isPlain =
    /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?.*\?=$/.test(value);
  return isPlain ? value : `=?base64?${Buffer.from(value, "utf8").toString("base64")}?=`;
}

/** Undefined where it says that it is base64, and is none. */
export function decoded(value: string): string | undefined {
  const [, text] = /^=\?base64\?(.*)\?=$/.exec(value) ?? [];
  if (text === undefined) return value;
  if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return undefined;
  return Buffer.from(text, "base64").toString("utf8");
}

export interface ParamHeader {
  /** Of `properties`, from the root of the arguments. */
  readonly path: readonly string[];
  /** The header's name after `Mcp-Param-`. */
  readonly field: string;
}

const limits = { depth: 64, nodes: 10_000 } as const;
const mark = "x-mcp-header";

/** Undefined where a mark breaks the revision's rules: then the whole definition is to be left out. */
export function paramHeadersOf(schema: Json | undefined): readonly ParamHeader[] | undefined {
  const found: ParamHeader[] = [];
  const seen = new Set<string>();
  let nodes = 0;
  /** `path` is undefined where a mark may not stand. */
  const walk = (
    value: Json | undefined,
    path: readonly string[] | undefined,
    depth: number,
  ): boolean => {
    if (++nodes > limits.nodes || depth > limits.depth) return true; // what is deeper is nobody's header
    if (Array.isArray(value)) return value.every((item) => walk(item, undefined, depth + 1));
    if (!isObject(value)) return true;
    if (Object.hasOwn(value, mark)) {
      if (!path || path.length === 0 || !isMark(value, seen)) return false;
      found.push({ path, field: String(value[mark]) });
    }
    return Object.entries(value).every(([key, of]) => {
      if (key !== "properties" || !isObject(of)) return walk(of, undefined, depth + 1);
      return Object.entries(of).every(([name, property]) =>
        walk(property, path && [...path, name], depth + 1),
      );
    });
  };
  return walk(schema, [], 0) ? found : undefined;
}

/** A token of RFC 9110, one of its kind, on an argument that is a plain value. */
function isMark(property: JsonObject, seen: Set<string>): boolean {
  const { [mark]: field, type } = property;
  if (typeof field !== "string" || !/^[\w!#$%&'*+.^`|~-]{1,128}$/.test(field)) return false;
  if (!["string", "integer", "boolean"].includes(String(type))) return false;
  if (seen.has(field.toLowerCase())) return false;
  seen.add(field.toLowerCase());
  return true;
}

/** Missing, `null`, and what is no plain value are not sent. */
export function paramAt(args: Json | undefined, path: readonly string[]): string | undefined {
  let value: Json | undefined = args;
  for (const name of path)
    value = isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
  return value === undefined || value === null || typeof value === "object"
    ? undefined
    : String(value);
}
