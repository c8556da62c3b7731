/** The JSON Schema that structured output and tools use: what fits, what does not, what ends. */
import { expect, test } from "bun:test";
import { findMismatch } from "./json-schema.ts";

const person = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1 },
    age: { type: "integer", minimum: 0, exclusiveMaximum: 150 },
    tags: { type: "array", items: { enum: ["a", "b"] }, maxItems: 2, uniqueItems: true },
    boss: { anyOf: [{ $ref: "#" }, { type: "null" }] },
  },
  required: ["name"],
  additionalProperties: false,
};

const cases: readonly [unknown, unknown, string | undefined][] = [
  // value, schema, mismatch
  [{ name: "x" }, person, undefined],
  [{ name: "x", age: 3, tags: ["a"], boss: { name: "y", boss: null } }, person, undefined],
  [[], person, "$ should be object"],
  [{}, person, "$ lacks name"],
  [{ name: "" }, person, "$.name is too short"],
  [{ name: "x", age: 1.5 }, person, "$.age should be integer"],
  [{ name: "x", age: -1 }, person, "$.age is too small"],
  [{ name: "x", age: 150 }, person, "$.age is too large"],
  [{ name: "x", tags: ["c"] }, person, "$.tags[0] is none of the values allowed"],
  [{ name: "x", tags: ["a", "a"] }, person, "$.tags has an item twice"],
  [{ name: "x", boss: 3 }, person, "$.boss fits none of its forms"],
  [{ name: "x", secret: 1 }, person, "$.* is not allowed"],
  [null, { type: ["string", "null"] }, undefined],
  [null, { type: "string", nullable: true }, undefined],
  [5, { oneOf: [{ type: "integer" }, { minimum: 3 }] }, "$ does not fit exactly one of its forms"],
  [5, { not: { type: "integer" } }, "$ is what it must not be"],
  [5, { allOf: [{ minimum: 1 }, { multipleOf: 2 }] }, "$ is no multiple"],
  [
    { a: [1, "x"] },
    { properties: { a: { prefixItems: [{ type: "number" }], items: false } } },
    "$.a[1] is not allowed",
  ],
  ["2026-01-01", { pattern: "^\\d{4}-" }, undefined],
  ["nope", { pattern: "^\\d{4}" }, "$ does not match its pattern"],
  // An expression that could run for ever is not tried.
  ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", { pattern: "^(a+)+$" }, undefined],
  [{ k: 1 }, { const: { k: 1 } }, undefined],
  [{ "x-a": 1 }, { patternProperties: { "^x-": {} }, additionalProperties: false }, undefined],
  [
    { a: 1 },
    { $defs: { "a/b": { type: "string" } }, properties: { a: { $ref: "#/$defs/a~1b" } } },
    "$.a should be string",
  ],
  [1, { $ref: "#/nowhere" }, undefined],
  [1, { format: "newer than this file" }, undefined],
  [1, true, undefined],
];
test.each(cases)("%j by %j", (value, schema, wanted) => {
  expect(findMismatch(value, schema)).toBe(wanted as string);
});

test("a schema that leads to itself, or multiplies, comes to an end", () => {
  expect(findMismatch(1, { $ref: "#" })).toBeUndefined();
  const twice = { anyOf: [{ $ref: "#" }, { $ref: "#" }] };
  const before = performance.now();
  findMismatch(1, twice);
  expect(performance.now() - before).toBeLessThan(2_000);
});
