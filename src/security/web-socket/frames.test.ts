/** Frames by RFC 6455, whatever the borders of the pieces they come in. */
import { describe, expect, test } from "bun:test";
import {
  createFrameReader,
  decodeClose,
  encodeClose,
  encodeFrame,
  FrameRefused,
  isCloseCode,
  opcodes,
} from "./frames.ts";

/** A server's frame: not masked. */
function served(first: number, payload: Uint8Array | string): Buffer {
  const bytes = Buffer.from(payload as string);
  const size = bytes.length;
  const head =
    size < 126
      ? Buffer.from([first, size])
      : size < 65_536
        ? Buffer.from([first, 126, size >> 8, size & 255])
        : Buffer.from([
            first,
            127,
            0,
            0,
            0,
            0,
            size >>> 24,
            (size >> 16) & 255,
            (size >> 8) & 255,
            size & 255,
          ]);
  return Buffer.concat([head, bytes]);
}

const read = (bytes: Uint8Array, limit = 1_000_000) => createFrameReader(limit).push(bytes);
const texts = (bytes: Uint8Array) =>
  read(bytes).map(({ opcode, payload }) => `${opcode} ${Buffer.from(payload)}`);

test.each([0, 1, 125, 126, 65_535, 65_536, 200_000])("a message of %d bytes", (size) => {
  const payload = Buffer.alloc(size, "x");
  const [frame] = read(served(0x82, payload));
  expect(frame?.opcode).toBe(2);
  expect(Buffer.from(frame?.payload ?? []).equals(payload)).toBe(true);
  // What we write a server unmasks to the same.
  const sent = encodeFrame(opcodes.binary, payload);
  const start = sent.length - size;
  const mask = sent.subarray(start - 4, start);
  expect(sent[1] && sent[1] & 0x80).toBe(0x80);
  const plain = sent.subarray(start).map((byte, i) => byte ^ (mask[i & 3] as number));
  expect(Buffer.from(plain).equals(payload)).toBe(true);
});

test("pieces of a message with a ping between them, byte by byte", () => {
  const bytes = Buffer.concat([
    served(0x01, "one "),
    served(0x89, "ping"),
    served(0x00, "twö"),
    served(0x80, "!"),
    served(0x82, "next"),
  ]);
  expect(texts(bytes)).toEqual(["9 ping", "1 one twö!", "2 next"]);
  const reader = createFrameReader(100);
  const frames = [...bytes].flatMap((byte) => reader.push(Uint8Array.of(byte)));
  expect(frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual([
    "ping",
    "one twö!",
    "next",
  ]);
});

const refusals: readonly (readonly [string, Buffer, number])[] = [
  ["a masked frame", Buffer.from([0x81, 0x80, 0, 0, 0, 0]), 1002],
  ["a reserved bit", Buffer.from([0xc1, 0]), 1002],
  ["an unknown kind", Buffer.from([0x83, 0]), 1002],
  ["a ping in pieces", Buffer.from([0x09, 0]), 1002],
  ["a long ping", served(0x89, "x".repeat(126)), 1002],
  ["a piece of nothing", served(0x80, "x"), 1002],
  ["a message within a message", Buffer.concat([served(0x01, "a"), served(0x81, "b")]), 1002],
  ["text that is not UTF-8", served(0x81, Uint8Array.of(0xff)), 1007],
  ["a message too large", served(0x82, "x".repeat(101)), 1009],
  [
    "pieces too large together",
    Buffer.concat([served(0x02, "x".repeat(60)), served(0x80, "x".repeat(60))]),
    1009,
  ],
  [
    "a size beyond all numbers",
    Buffer.from([0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]),
    1009,
  ],
];
test.each(refusals)("%s is refused", (_name, bytes, code) => {
  let refused: unknown;
  try {
    read(bytes, 100);
  } catch (thrown) {
    refused = thrown;
  }
  expect(refused).toBeInstanceOf(FrameRefused);
  expect((refused as FrameRefused).code as number).toBe(code);
});

describe("closing", () => {
  test("code and reason", () => {
    expect(decodeClose(encodeClose(4001, "why"))).toEqual({ code: 4001, reason: "why" });
    expect(decodeClose(new Uint8Array(0))).toEqual({ code: 1005, reason: "" });
  });
  test("a long reason is cut between characters", () => {
    const { reason } = decodeClose(encodeClose(1000, "ä".repeat(100)));
    expect(reason).toBe("ä".repeat(61));
  });
  test.each([0, 999, 1004, 1005, 1006, 1015, 2999, 5000])("%d is no code", (code) => {
    expect(isCloseCode(code)).toBe(false);
  });
});
