/** Perturbations repeat themselves, change the text, and leave its meaning's words in place. */
import { describe, expect, test } from "bun:test";
import { perturb, perturbations } from "./perturb.ts";
import { languages, phrases } from "./phrases.ts";

const text = "What is the capital of the largest country that borders the Pacific, for example?";

describe.each(perturbations)("%s", (kind) => {
  test("is the same each time, and another text than before", () => {
    expect(perturb(kind, text, 1)).toBe(perturb(kind, text, 1));
    const changed = Array.from({ length: 8 }, (_, seed) => perturb(kind, text, seed));
    expect(changed.some((one) => one !== text)).toBe(true);
  });
  test.each(["", "a", "日本語のテキスト", "😀 ok", "x".repeat(100_000)])(
    "takes any text",
    (given) => {
      expect(typeof perturb(kind, given, 3)).toBe("string");
    },
  );
});

test("a paraphrase has another opening, and typos touch few words", () => {
  expect(perturb("paraphrase", text, 2)).toMatch(/know what is|tell me what is/);
  const before = text.split(" ");
  const after = perturb("typos", text, 5).split(" ");
  expect(after.length).toBe(before.length);
  expect(after.filter((word, at) => word !== before[at]).length).toBeLessThanOrEqual(5);
});

test("every phrase is there in every language", () => {
  for (const group of phrases) expect(group.length).toBe(languages.length);
});
