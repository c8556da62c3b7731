/** Canonical JSON: one byte sequence per value, and everything else refused with its code. */
import { expect, test } from "bun:test";
import type { Json } from "../../domain/json.ts";
import { canonical, parseCanonical } from "./canonical.ts";
import { ArtifactRefusal } from "./refusal.ts";

const bytes = (value: string) => new TextEncoder().encode(value);

function codeOf(input: string | Uint8Array): string {
  try {
    parseCanonical(typeof input === "string" ? bytes(input) : input, "file");
    return "ok";
  } catch (error) {
    return error instanceof ArtifactRefusal ? error.refusal : String(error);
  }
}

const written: readonly (readonly [Json, string])[] = [
  [{ b: 1, a: [true, null, "x"] }, '{"a":[true,null,"x"],"b":1}'],
  // By UTF-16 code unit an astral character (d83d…) comes before U+FB33, by code point after it.
  [{ "\ufb33": 1, "😀": 2, "€": 3, "1": 4, "\r": 5 }, '{"\\r":5,"1":4,"€":3,"😀":2,"\ufb33":1}'],
  [{ z: 'é\u2028\u0007"\\/\ud800' }, '{"z":"é\u2028\\u0007\\"\\\\/\\ud800"}'],
  [9007199254740991, "9007199254740991"],
  [-5, "-5"],
  [JSON.parse('{"__proto__":1,"constructor":2}'), '{"__proto__":1,"constructor":2}'],
];
test.each(written)("%j", (value, expected) => {
  expect(canonical(value)).toBe(expected);
  expect(codeOf(expected)).toBe("ok");
});

const refused = [
  ['{"a":1,"a":1}', "canonical", "a key twice"],
  ['{"b":1,"a":1}', "canonical", "keys out of order"],
  ['{"a": 1}', "canonical", "white space"],
  ["1\n", "canonical", "a newline at the end"],
  ["\ufeff{}", "canonical", "a byte order mark"],
  ['"\\u0041"', "canonical", "an escape that is not needed"],
  ['"\\/"', "canonical", "another such"],
  ['"\\u001F"', "canonical", "upper-case hex"],
  ["1.0", "canonical", "a fraction of nothing"],
  ["-0", "canonical", "minus zero"],
  ["1e2", "canonical", "an exponent"],
  ["0.5", "number", "a fraction"],
  ["9007199254740993", "number", "past the safe integers"],
  ["1e400", "number", "past everything"],
  ["", "canonical", "nothing"],
  ["{", "canonical", "half of it"],
  ["NaN", "canonical", "no JSON"],
  [Uint8Array.of(0x22, 0xff, 0x22), "canonical", "not UTF-8"],
  [Uint8Array.of(0x22, 0xed, 0xa0, 0x80, 0x22), "canonical", "a lone surrogate as bytes"],
  [Uint8Array.of(0x22, 0xc0, 0x80, 0x22), "canonical", "an overlong encoding"],
  ["[".repeat(100_000) + "]".repeat(100_000), "canonical", "nested without end"],
] as const;
test.each(refused)("%p is %s: %s", (input, code) => expect(codeOf(input)).toBe(code));

test("depth is counted outside strings only", () => {
  expect(codeOf(JSON.stringify("[".repeat(1000)))).toBe("ok");
  expect(codeOf(JSON.stringify('\\"'.repeat(10) + "[".repeat(1000)))).toBe("ok");
});
