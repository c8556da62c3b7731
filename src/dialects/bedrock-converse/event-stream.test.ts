/** AWS's binary framing: whatever the chunk borders, and whatever is broken. */
import { describe, expect, test } from "bun:test";
import { eventStream as encode, eventMessage } from "../../../test/support/aws-server.ts";
import { eventStream } from "./event-stream.ts";

const events = [
  ["messageStart", { role: "assistant" }],
  ["contentBlockDelta", { contentBlockIndex: 0, delta: { text: "wörld €".repeat(500) } }],
  ["exception/throttlingException", { message: "slow" }],
] as const;
const bytes = encode(events);

async function read(all: Uint8Array, size: number) {
  const parser = await eventStream.createParser();
  const frames = [];
  for (let at = 0; at < all.length; at += size)
    frames.push(...parser.push(all.subarray(at, at + size)));
  return [...frames, ...parser.end()];
}

describe("messages", () => {
  test.each([1, 3, 4, 5, 16, 1000, 1 << 20])("in chunks of %d bytes", async (size) => {
    const frames = await read(bytes, size);
    expect(frames.map(({ event, data }) => [event, JSON.parse(data)])).toEqual(
      events.map((each) => [...each]),
    );
    expect(Buffer.concat(frames.map(({ raw }) => raw)).equals(bytes)).toBe(true);
  });

  test("half a message is none", async () => {
    expect(await read(bytes.subarray(0, bytes.length - 1), 100)).toHaveLength(2);
  });

  test("an error without a body", async () => {
    const headers = {
      ":message-type": "error",
      ":error-code": "Internal",
      ":error-message": "oops",
    };
    const [frame] = await read(eventMessage(headers, ""), 100);
    expect(frame).toMatchObject({ event: "exception/Internal", data: '{"message":"oops"}' });
  });

  const damages: readonly (readonly [string, (copy: Buffer) => void])[] = [
    ["a flipped bit in a body", (copy) => copy.writeUInt8((copy[100] ?? 0) ^ 1, 100)],
    ["a flipped bit in a prelude", (copy) => copy.writeUInt8((copy[6] ?? 0) ^ 1, 6)],
    ["a length beyond all limits", (copy) => copy.writeUInt32BE(0xffffffff, 0)],
    ["a length below the least", (copy) => copy.writeUInt32BE(3, 0)],
    ["text", (copy) => copy.write("<html><head><title>Bad gateway")],
  ];
  test.each(damages)("%s is told", async (_name, damage) => {
    const copy = Buffer.from(bytes);
    damage(copy);
    const error = await read(copy, 50).catch((thrown) => thrown);
    expect(error).toMatchObject({ code: "upstream_invalid" });
  });
});
