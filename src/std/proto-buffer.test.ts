/** What is written is what a reader reads, at every length that changes how many bytes a length takes. */
import { expect, test } from "bun:test";
import { createProtoBuffer } from "./proto-buffer.ts";
import { readFields } from "./protobuf.ts";

test.each([0, 1, 42, 43, 127, 128, 5_461, 16_383, 16_384, 70_000, 2_097_151, 2_097_152])(
  "a text and a message of %d bytes",
  (length) => {
    const out = createProtoBuffer(16);
    const text = "é".repeat(length >> 1) + "a".repeat(length & 1);
    const mark = out.begin(1);
    out.text(2, text);
    out.end(mark);
    out.text(3, "after");
    const [outer, after] = [...readFields(out.take())];
    const [inner] = [...readFields(outer?.value as Uint8Array)];
    expect(new TextDecoder().decode(inner?.value as Uint8Array) === text).toBe(true);
    expect(new TextDecoder().decode(after?.value as Uint8Array)).toBe("after");
  },
);

test.each([0, 1, 127, 128, 300, 2 ** 31, 2 ** 32, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER, -1, -300])(
  "the number %d",
  (value) => {
    const out = createProtoBuffer(1);
    out.int(7, value);
    const [field] = [...readFields(out.take())];
    expect(BigInt.asIntN(64, field?.value as bigint)).toBe(BigInt(value));
  },
);
