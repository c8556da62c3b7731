/** The lexical specification, by example. */
import { expect, test } from "bun:test";
import { createLexicalExtractor, lexicalFields, lexicalLimits, toToolText } from "./lexical.ts";

const extract = createLexicalExtractor();
const inField = (buckets: Uint16Array, field: { start: number; bits: number }) =>
  [...buckets].filter((b) => b >= field.start && b < field.start + 2 ** field.bits).length;
const { words, grams, tools } = lexicalFields;

test.each([
  ["", 0, 0],
  ["!? ...", 0, 0],
  ["a", 1, 0], // one letter: no 4-gram
  ["hello", 1, 4], // " hel" "hell" "ello" "llo "
  ["hello world", 3, 8], // two words and a pair
  ["你好", 3, 0], // each character is a word
])("%j has %d words and pairs, %d grams", (text, wordCount, gramCount) => {
  const { buckets } = extract(text, "");
  expect(inField(buckets, words)).toBe(wordCount);
  expect(inField(buckets, grams)).toBe(gramCount);
});

test.each([
  ["Hello World", "hello, world!"], // case and punctuation do not count
  ["pay 12 euros", "pay 95 euros"], // digits fold
  ["ÄRGER", "ärger"],
])("%j equals %j", (a, b) => {
  expect(extract(a, "")).toEqual(extract(b, ""));
});

test("buckets ascend, counts are kept and stop at 255", () => {
  const { buckets, counts } = extract("word ".repeat(300), "");
  expect([...buckets]).toEqual([...buckets].sort((a, b) => a - b));
  expect(Math.max(...counts)).toBe(255);
  expect(extract("one one two", "").counts).toContain(2);
});

test("one extractor gives the same answer again", () => {
  const first = extract("The quick brown fox", "");
  extract("something else entirely", "");
  expect(extract("The quick brown fox", "")).toEqual(first);
});

test("tools are a field of their own, divided at _ and at capitals", () => {
  const text = toToolText([
    { name: "get_weatherForecast", parameters: { properties: { city: { type: "string" } } } },
  ]);
  // get, weather, forecast, two pairs; city, string
  expect(inField(extract("", text).buckets, tools)).toBe(7);
});

test("hostile input is bounded", () => {
  const cyclic: Record<string, unknown> = { name: "x" };
  cyclic["self"] = cyclic;
  const text = toToolText([
    { name: "n".repeat(1e6), description: "d".repeat(1e6), parameters: cyclic },
  ]);
  expect(text.length).toBeLessThan(lexicalLimits.toolUnits + 200);
  expect(extract("x".repeat(1e6), text).buckets.length).toBeGreaterThan(0);
  expect(extract("İ".repeat(5000), "").buckets.length).toBeGreaterThan(0);
  expect(extract("\ud800\udfff\ud800", "").buckets.length).toBeGreaterThanOrEqual(0);
});
