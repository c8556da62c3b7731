/** Marks in a text, however it is cut into pieces. */
import { expect, test } from "bun:test";
import { CitationReader, type CitedPiece } from "./citations.ts";

const cases: readonly (readonly [text: string, words: string, numbers: readonly number[]])[] = [
  ["no marks", "no marks", []],
  ["six【1】.", "six.", [1]],
  ["both【1, 12】", "both", [1, 12]],
  ["OpenAI's【4:0†engines.txt】 form", "OpenAI's form", [4]],
  ["a【b】c", "a【b】c", []],
  ["two【【2】", "two【", [2]],
  [`long【${"9".repeat(60)}】`, `long【${"9".repeat(60)}】`, []],
  ["never closed【3", "never closed【3", []],
];

function read(pieces: readonly string[]): readonly CitedPiece[] {
  const reader = new CitationReader();
  return [...pieces.flatMap((piece) => reader.push(piece)), ...reader.end()];
}

test.each(cases)("%s", (text, words, numbers) => {
  for (const pieces of [[text], [...text], text.match(/.{1,3}/g) ?? []]) {
    const said = read(pieces);
    expect(said.filter((piece) => typeof piece === "string").join("")).toBe(words);
    expect(said.filter((piece) => typeof piece === "number")).toEqual([...numbers]);
  }
});
