/** The embedder that ships: its contract, and that it knows what belongs together. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createScalarKernels } from "../kernels/scalar.ts";
import { createStaticEmbedder } from "./static.ts";

const embedder = createStaticEmbedder();
const cosine = (a: string, b: string) => {
  const [x, y] = [embedder.embed(a), embedder.embed(b)];
  return x.reduce((sum, value, i) => sum + value * (y[i] as number), 0);
};

test("is named after what it is made of", () => {
  expect(embedder.id).toBe(`static-minilm@${embedder.sha256.slice(0, 16)}`);
  expect(embedder.dimensions % 16).toBe(0);
});

test("models/README.md describes this very table", () => {
  const readme = readFileSync(join(import.meta.dir, "../../models/README.md"), "utf8");
  expect(readme).toContain(embedder.sha256);
});

test.each(["hello", "What is the capital of France?", "日本語", "x".repeat(100_000), "?"])(
  "%s has unit length",
  (text) => {
    const vector = embedder.embed(text);
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
  },
);

test.each(["", "   \n", "\u0000", "\u200b"])("%j says nothing, and is zero", (text) => {
  expect(embedder.embed(text).every((value) => value === 0)).toBe(true);
});

test("text beyond maxChars is cut", () => {
  const text = "word ".repeat(2000);
  expect(embedder.embed(text)).toEqual(embedder.embed(text.slice(0, embedder.maxChars)));
});

test("a vector is the caller's own", () => {
  const first = embedder.embed("first");
  const held = first.slice();
  embedder.embed("second");
  expect(first).toEqual(held);
  const out = new Float32Array(embedder.dimensions);
  embedder.embedInto("first", out);
  expect([...out]).toEqual([...first]);
});

test("the scalar kernels give the same bits", () => {
  const scalar = createStaticEmbedder(undefined, createScalarKernels);
  for (const text of ["hello world", "naïve café", "def f(x):\n  return x ** 2"]) {
    expect(scalar.embed(text)).toEqual(embedder.embed(text));
  }
});

describe("what belongs together is nearer", () => {
  const triples = [
    ["I forgot my password", "how do I reset my login?", "the weather in Paris"],
    ["Write a Python function that sorts a list", "quicksort implementation", "poem about the sea"],
    ["solve the equation 3x + 5 = 20", "what is x if 2x = 8?", "best pizza in Naples"],
    ["Who was the first president?", "history of American presidents", "fix my CSS layout"],
  ] as const;
  test.each(triples)("%s", (text, near, far) => {
    expect(cosine(text, near)).toBeGreaterThan(cosine(text, far) + 0.05);
  });
});
