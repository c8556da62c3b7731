/** The fast extractor against its definition, on text of every kind. */
import { describe, expect, test } from "bun:test";
import { PackedFeatures } from "../domain/features.ts";
import { createKernels } from "../kernels/create.ts";
import { createScalarKernels } from "../kernels/scalar.ts";
import { createRandom, nextInt } from "../std/random.ts";
import { createLexicalExtractor, toToolText, toWindow } from "./lexical.ts";
import { shapeNames, toShape } from "./shape.ts";
import { createTextExtractor } from "./text-features.ts";

const size = 3;
const fast = createTextExtractor(createKernels, size);
fast.embedding.set([1, -2, 0.5]);
const lexical = createLexicalExtractor();

function check(text: string, tools = 0, toolText = ""): void {
  const wanted = lexical(text, toolText);
  const packed = fast.read(text, tools, toolText);
  const got = new PackedFeatures("e", packed, size, shapeNames.length);
  const name = JSON.stringify(text.slice(0, 100));
  expect([...got.embedding]).toEqual([1, -2, 0.5]);
  expect([...got.lexicalBuckets], name).toEqual([...wanted.buckets]);
  expect([...got.lexicalCounts], name).toEqual([...wanted.counts]);
  const shape = toShape(text, toWindow(text), tools, toolText.length);
  expect([...got.shape], name).toEqual([...shape]);
}

const texts = [
  "",
  " ",
  "a",
  "?",
  "What is 12 + 34?",
  "A. first\n(b) second\n  C) third\nJ: last\nK. none\n(",
  "A",
  "(a",
  "def f(x):\n\treturn x ** 2  # comment\r\n",
  "snake_case CamelCase __init__ x1y2 007",
  "naïve café, then ASCII",
  "漢字 and ASCII",
  "x".repeat(10_000),
  "word ".repeat(3000),
  `${"a b c ".repeat(250)}${"tail? ".repeat(600)}`,
  "\u0000\u0001\u0002 control\u007f",
  "\ud800 lone surrogate",
  ...["what", "Who", "WHOM", "whose", "When", "where", "why", "how", "which", "is", "are", "can"],
  ...["does", "do", " (what's", "whatever", "_what", "what_", "what1", "it is", "whosewhat"],
  `${" ".repeat(76)}what`,
  `${" ".repeat(77)}what`,
];
test.each(texts.map((text) => [text.slice(0, 30), text] as const))("%j", (_name, text) => {
  check(text);
});

const tool = (name: string, description: string, parameters: unknown = {}) => ({
  name,
  description,
  parameters,
});
describe("tools", () => {
  const cases: [string, Parameters<typeof toToolText>[0]][] = [
    ["one", [tool("get_weatherForCity", "Weather in a city, e.g. Rome", { city: "string" })]],
    ["HTTP names", [tool("HTTPServer2_start", "X"), tool("parseJSON", "Parse JSON text")]],
    ["no words", [tool("", ""), tool("___", "...")]],
    ["not ASCII", [tool("übersetzen", "Übersetzt Text")]],
    [
      "more than is read",
      Array.from({ length: 60 }, (_, i) => tool(`tool_${i}`, "words ".repeat(30))),
    ],
  ];
  test.each(cases)("%s", (_name, tools) => check("Call them.", tools.length, toToolText(tools)));
});

test("random text", () => {
  const random = createRandom(11);
  const alphabet = [..." \n\t..,?()[]{}=+-_AaBbZz09:;#eé漢\u0001\u0002"];
  for (let round = 0; round < 4000; round++) {
    const from = round % 4 === 0 ? alphabet.length : alphabet.length - 4;
    const make = (length: number) =>
      Array.from({ length: nextInt(random, length) }, () => alphabet[nextInt(random, from)]).join(
        "",
      );
    check(make(round % 50 === 0 ? 4000 : 80), 2, round % 3 === 0 ? make(120) : "");
  }
});

test("without SIMD the definition serves", () => {
  const scalar = createTextExtractor(createScalarKernels, size);
  scalar.embedding.set(fast.embedding);
  expect(scalar.read("What is 12 + 34?", 0, "")).toEqual(fast.read("What is 12 + 34?", 0, ""));
});
