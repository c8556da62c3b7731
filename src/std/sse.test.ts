/** What the SSE parser must keep to: every border, every line end, every limit. */
import { describe, expect, test } from "bun:test";
import { createRandom, nextInt, type Random } from "./random.ts";
import { createSseParser, encodeSse, parseSse, type SseFrame, SseFrameTooLarge } from "./sse.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const joined = (parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

function parse(chunks: readonly Uint8Array[], limitBytes?: number): SseFrame[] {
  const parser = createSseParser(limitBytes);
  const frames: SseFrame[] = [];
  for (const chunk of chunks) frames.push(...parser.push(chunk));
  return [...frames, ...parser.end()];
}

const plain = (frames: readonly SseFrame[]) =>
  frames.map(({ event, data, raw }) => ({ event, data, raw: Buffer.from(raw).toString("latin1") }));
const told = (frames: readonly SseFrame[]) => frames.map(({ event, data }) => [event, data]);

describe("one stream", () => {
  const cases: readonly (readonly [string, string, readonly (readonly [string, string])[]])[] = [
    [
      "LF",
      "data: a\n\ndata: b\n\n",
      [
        ["", "a"],
        ["", "b"],
      ],
    ],
    [
      "CR LF",
      "event: x\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
      [
        ["x", "a"],
        ["", "b"],
      ],
    ],
    [
      "CR",
      "data: a\r\rdata: b\r\r",
      [
        ["", "a"],
        ["", "b"],
      ],
    ],
    [
      "mixed ends",
      "data: a\r\ndata: b\n\rdata: c\n\n",
      [
        ["", "a\nb"],
        ["", "c"],
      ],
    ],
    ["no space after the colon", "data:a\nevent:e\n\n", [["e", "a"]]],
    ["only one space is eaten", "data:  a\n\n", [["", " a"]]],
    ["several data lines", "data: a\ndata\ndata: b\n\n", [["", "a\n\nb"]]],
    [
      "comments",
      ": OPENROUTER PROCESSING\n\ndata: a\n\n",
      [
        ["", ""],
        ["", "a"],
      ],
    ],
    ["unknown fields", "id: 1\nretry: 5\ndatabase: no\nevents: no\ndata: a\n\n", [["", "a"]]],
    ["byte order mark", "\uFEFFdata: a\n\n", [["", "a"]]],
    [
      "a second mark is text",
      "\uFEFF\uFEFFdata: a\n\ndata: \uFEFFb\n\n",
      [
        ["", ""],
        ["", "\uFEFFb"],
      ],
    ],
    ["colons in the value", 'data: {"a":1}\n\n', [["", '{"a":1}']]],
    ["beyond ASCII", "data: añ€😀\n\n", [["", "añ€😀"]]],
    [
      "no blank line at the end",
      "data: a\n\ndata: [DONE]\n",
      [
        ["", "a"],
        ["", "[DONE]"],
      ],
    ],
    [
      "no blank line, CR",
      "data: a\r\n\r\ndata: z\r",
      [
        ["", "a"],
        ["", "z"],
      ],
    ],
    ["cut within a line", 'data: a\n\ndata: {"b":', [["", "a"]]],
    ["nothing", "", []],
  ];
  test.each(cases)("%s", (_name, text, expected) => {
    const whole = parse([bytesOf(text)]);
    expect(told(whole)).toEqual(expected.map((pair) => [...pair]));
    const byteByByte = [...bytesOf(text)].map((byte) => new Uint8Array([byte]));
    expect(plain(parse(byteByByte))).toEqual(plain(whole));
  });
});

/** Streams of every kind of line and line end, biased to what breaks parsers. */
function randomStream(random: Random): string {
  const pieces = [
    "data: x",
    "data:",
    "event: e",
    ": c",
    "\n",
    "\n",
    "\r\n",
    "\r\n",
    "\r",
    "€",
    "\uFEFF",
    "id: 1",
  ];
  const length = nextInt(random, 40);
  return Array.from({ length }, () => pieces[nextInt(random, pieces.length)]).join("");
}

test("every split of a stream gives the same frames, and their bytes joined are the stream", () => {
  const random = createRandom(1);
  for (let round = 0; round < 2000; round++) {
    const bytes = bytesOf(randomStream(random));
    const whole = parse([bytes]);
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; ) {
      const next = Math.min(bytes.length, at + 1 + nextInt(random, 7));
      chunks.push(bytes.slice(at, next));
      at = next;
    }
    expect(plain(parse(chunks))).toEqual(plain(whole));
    const raw = joined(whole.map((frame) => frame.raw));
    expect(Buffer.from(bytes).subarray(0, raw.length).equals(Buffer.from(raw))).toBe(true);
  }
});

test("a frame is handed out as soon as its blank line is there", () => {
  for (const text of ["data: a\n\n", "data: a\r\r"]) {
    expect(createSseParser().push(bytesOf(text))).toHaveLength(1);
  }
});

test("a frame over the limit is refused, in one piece or in many", () => {
  const frame = bytesOf(`data: ${"x".repeat(100)}\n\n`);
  expect(() => parse([frame], 50)).toThrow(SseFrameTooLarge);
  expect(() =>
    parse(
      [...frame].map((byte) => new Uint8Array([byte])),
      50,
    ),
  ).toThrow(SseFrameTooLarge);
  expect(parse([joined([frame, frame, frame])], 110)).toHaveLength(3);
});

test("frames survive the reuse of the parser's own buffer", () => {
  const parser = createSseParser();
  const first = [...parser.push(bytesOf("data: on")), ...parser.push(bytesOf("e\n\ndata: tw"))];
  parser.push(bytesOf("o\n\ndata: three\n\n"));
  expect(Buffer.from(first[0]?.raw ?? []).toString()).toBe("data: one\n\n");
});

test("parseSse reads a stream of chunks", async () => {
  async function* chunks() {
    yield bytesOf("data: a\n");
    yield bytesOf("\ndata: b\n\n");
  }
  const frames: SseFrame[] = [];
  for await (const frame of parseSse(chunks())) frames.push(frame);
  expect(told(frames)).toEqual([
    ["", "a"],
    ["", "b"],
  ]);
});

test.each(["a", "", "a\nb", "a\r\nb\rc", '{"x":"€"}'])(
  "what encodeSse writes, the parser reads: %j",
  (data) => {
    const [frame] = parse([bytesOf(encodeSse({ event: "e", data }))]);
    expect(frame).toMatchObject({ event: "e", data: data.replace(/\r\n|\r/g, "\n") });
  },
);
