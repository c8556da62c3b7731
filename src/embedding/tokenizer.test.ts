/** Our WordPiece against the reference library's ids, and its two implementations against each other. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createKernels } from "../kernels/create.ts";
import type { Kernels } from "../kernels/kernels.ts";
import { createScalarKernels } from "../kernels/scalar.ts";
import { createRandom, nextInt } from "../std/random.ts";
import { createTextWriter, prepareText } from "./prepare-text.ts";
import { readTable } from "./table.ts";
import { countPieces, createTokenizer, findPiece, tokenizerBytes } from "./tokenizer.ts";

const root = join(import.meta.dir, "../..");
const { vocabulary } = readTable(readFileSync(join(root, "models/embedding/minilm.safetensors")));
const pieces = countPieces(vocabulary);
const fixture = JSON.parse(
  readFileSync(join(root, "test/fixtures/tokenizer/minilm.json"), "utf8"),
) as { cases: { text: string; pieces: string[] }[] };

function create(make: (bytes: number) => Kernels, maxChars = 8000, maxTokens = 8000) {
  const options = { vocabulary, pieces, lower: true, maxChars, maxTokens };
  const kernels = make(tokenizerBytes(options));
  const tokenizer = createTokenizer(kernels, options);
  return (text: string) => Array.from(kernels.i32(tokenizer.ids, tokenizer.tokenize(text)));
}
const backends = [
  ["wasm", createKernels],
  ["scalar", createScalarKernels],
] as const;

describe.each(backends)("%s", (_name, make) => {
  const tokenize = create(make);
  const lines = new TextDecoder().decode(vocabulary).trimEnd().split("\n");

  test.each(fixture.cases.map((row) => [row.text.slice(0, 30), row] as const))(
    "%j",
    (_text, row) => {
      expect(tokenize(row.text).map((id) => lines[id])).toEqual(row.pieces);
    },
  );

  test("a text is cut at maxChars, its ids at maxTokens", () => {
    expect(create(make, 5)("hello world").length).toBe(1);
    expect(create(make, 100, 3)("one two three four five").length).toBe(3);
    expect(create(make, 100, 2)("antidisestablishmentarianism").length).toBe(2);
  });
});

test("both implementations agree on random text", () => {
  const [wasm, scalar] = [create(createKernels), create(createScalarKernels)];
  const random = createRandom(7);
  const alphabet = [
    ..." \t\n.,#-_'aAbcdefghiIlmnoprstuvwxyzÉß漢字é\u0301\u200b0123456789😀\u0000\ud800",
  ];
  for (let round = 0; round < 3000; round++) {
    const text = Array.from(
      { length: nextInt(random, 60) },
      () => alphabet[nextInt(random, round % 2 ? alphabet.length : 40)],
    ).join("");
    expect(wasm(text), JSON.stringify(text)).toEqual(scalar(text));
  }
});

describe.each([true, false])("the writer gives what prepareText does (lower: %p)", (lower) => {
  const write = createTextWriter(lower);
  const out = new Uint8Array(5000);
  const check = (text: string) => {
    const length = write(text, out);
    if (length < 0) return false;
    const wanted = new TextEncoder().encode(prepareText(text, lower));
    expect(Buffer.from(out.subarray(0, length)).toString(), JSON.stringify(text)).toBe(
      Buffer.from(wanted).toString(),
    );
    return true;
  };

  test("random text of its characters", () => {
    const random = createRandom(13);
    const blocks = [
      0x00, 0x80, 0x100, 0x180, 0x370, 0x400, 0x4b0, 0x2000, 0x3000, 0x3080, 0x4e00, 0x9f80,
    ];
    let written = 0;
    for (let round = 0; round < 4000; round++) {
      const units = Array.from({ length: nextInt(random, 12) }, () => {
        if (nextInt(random, 12) === 0)
          return String.fromCodePoint(0x1f300 + nextInt(random, 0x800));
        return String.fromCharCode((blocks[nextInt(random, 12)] as number) + nextInt(random, 128));
      });
      if (check(units.join(""))) written++;
    }
    expect(written).toBeGreaterThan(2000);
  });

  test.each(["हिन्दी", "ΟΔΟΣ", "한국어", "\ud800", "\ud83c", "𝕳𝖊"])("%s is left to it", (text) => {
    expect(check(text)).toBe(false);
  });

  test("a text without room for it is left, too", () => {
    expect(write("漢".repeat(50), new Uint8Array(60))).toBe(-1);
  });
});

test("a vocabulary is counted and searched", () => {
  const bytes = new TextEncoder().encode("[PAD]\n[UNK]\na\n##b");
  expect(countPieces(bytes)).toBe(4);
  expect(findPiece(bytes, "##b")).toBe(3);
  expect(findPiece(bytes, "b")).toBeUndefined();
  const options = { lower: true, maxChars: 9, maxTokens: 9 };
  const make = (text: string, count: number) =>
    createTokenizer(createKernels(10_000), {
      vocabulary: new TextEncoder().encode(text),
      pieces: count,
      ...options,
    });
  expect(() => make("a\nb\n", 2)).toThrow("[UNK]");
  expect(() => make("[UNK]\nb\n", 3)).toThrow("3 pieces");
});
