/** Which slips of the hand are understood, and which words are too far. */
import { expect, test } from "bun:test";
import { findNearest, rankNearest } from "./nearest.ts";

const known = ["num_retries", "timeout", "stream_timeout", "fallbacks", "version"];

const cases: readonly [string, string | undefined][] = [
  ["num_retrys", "num_retries"],
  ["numRetries", "num_retries"],
  ["timeuot", "timeout"],
  ["fallback", "fallbacks"],
  ["vers", "version"],
  ["xyz", undefined],
  ["t", undefined],
  ["", undefined],
];
test.each(cases)("%s → %s", (name, expected) => {
  expect(findNearest(name, known)).toBe(expected as string);
});

test("ranking keeps all, nearest first", () => {
  expect(rankNearest("timout", known, 9)).toHaveLength(known.length);
  expect(rankNearest("timout", known, 1)).toEqual(["timeout"]);
});
