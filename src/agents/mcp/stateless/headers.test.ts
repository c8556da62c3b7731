/** What stands in headers as well: how it is written, and which marks of a schema are good. */
import { expect, test } from "bun:test";
import type { Json } from "../../../domain/json.ts";
import { decoded, encoded, paramAt, paramHeadersOf } from "./headers.ts";

const values = [
  "us-west1",
  "Hello, 世界",
  " padded ",
  "two\nlines",
  "=?base64?literal?=",
  "=?base64?x",
  "",
];
test.each(values)("%p comes back from a header", (value) => {
  const header = encoded(value);
  expect(header).toMatch(/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/);
  expect(decoded(header)).toBe(value);
});

test.each(["=?base64?SGVsbG8?=", "=?base64?SGVs!!!bG8=?="])("%s is no base64", (header) => {
  expect(decoded(header)).toBeUndefined();
});

const marked = (type: string, field: Json = "Region") => ({ type, "x-mcp-header": field });
const object = (properties: Json) => ({ type: "object", properties });
const schemas: readonly (readonly [string, Json, number | undefined])[] = [
  ["none", object({ a: { type: "string" } }), 0],
  [
    "on an argument, and deeper",
    object({ a: marked("string"), b: object({ c: marked("integer", "Depth") }) }),
    2,
  ],
  ["on a number", object({ a: marked("number") }), undefined],
  ["that is empty", object({ a: marked("string", "") }), undefined],
  ["that no header can be called", object({ a: marked("string", "a b") }), undefined],
  [
    "twice, in another case",
    object({ a: marked("string", "x"), b: marked("string", "X") }),
    undefined,
  ],
  ["in a list's items", object({ a: { type: "array", items: marked("string") } }), undefined],
  ["behind anyOf", { ...object({}), anyOf: [object({ a: marked("string") })] }, undefined],
  ["on the whole", { ...object({}), "x-mcp-header": "All" }, undefined],
];
test.each(schemas)("marks %s", (_, schema, count) => {
  expect(paramHeadersOf(schema)?.length).toBe(count as number);
});

test("an argument is read at its path, where it is a plain value", () => {
  const args = { a: 1, b: { c: true, d: null, e: [] } };
  expect(paramAt(args, ["a"])).toBe("1");
  expect(paramAt(args, ["b", "c"])).toBe("true");
  for (const path of [["b"], ["b", "d"], ["b", "e"], ["x", "y"], ["constructor"]])
    expect(paramAt(args, path)).toBeUndefined();
});
