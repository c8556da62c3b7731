/** Lines of JSON, however the bytes arrive. */
import { describe, expect, test } from "bun:test";
import { createNdjsonParser } from "./ndjson.ts";
import { SseFrameTooLarge } from "./sse.ts";

const cases: readonly (readonly [text: string, lines: readonly string[]])[] = [
  ['{"a":1}\n{"b":"€"}\n', ['{"a":1}', '{"b":"€"}']],
  ['{"a":1}\r\n\r\n\n{"b":2}', ['{"a":1}', '{"b":2}']],
  ['{"a":1}\n{"half":', ['{"a":1}']],
  ["", []],
  ["\n \n", []],
];

describe("lines", () => {
  test.each(cases)("%j", (text, lines) => {
    const bytes = Buffer.from(text);
    for (const size of [1, 2, 3, 1000]) {
      const parser = createNdjsonParser();
      const found: string[] = [];
      for (let at = 0; at < bytes.length; at += size) {
        found.push(...parser.push(bytes.subarray(at, at + size)).map(({ data }) => data));
      }
      found.push(...parser.end().map(({ data }) => data));
      expect(found).toEqual([...lines]);
    }
  });

  test("an endless one is not held", () => {
    const parser = createNdjsonParser(10);
    expect(() => parser.push(Buffer.alloc(11, 32))).toThrow(SseFrameTooLarge);
    const slow = createNdjsonParser(10);
    slow.push(Buffer.alloc(8, 32));
    expect(() => slow.push(Buffer.alloc(8, 32))).toThrow(SseFrameTooLarge);
  });
});
