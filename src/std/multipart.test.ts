/** Forms in chunks of any size give the same parts; broken ones are told. */
import { describe, expect, test } from "bun:test";
import { boundaryOf, FormInvalid, parseForm } from "./multipart.ts";

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

/** Fields as [name, value], files as [name, length, text]. */
async function read(text: string | Uint8Array, boundary: string, size: number) {
  const parts: unknown[][] = [];
  const bytes = typeof text === "string" ? new TextEncoder().encode(text) : text;
  for await (const event of parseForm(inChunks(bytes, size), boundary)) {
    if (event.kind === "field") parts.push([event.name, Buffer.from(event.value).toString()]);
    if (event.kind === "file") parts.push([event.name, ""]);
    const last = parts.at(-1);
    if (event.kind === "piece" && last) {
      last[1] = String(last[1]) + Buffer.from(event.bytes).toString("latin1");
    }
    if (event.kind === "end") parts.push(["end"]);
  }
  return parts;
}

const b = "XX";
const field = (name: string, value: string) =>
  `--${b}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`;
const file = (name: string, content: string) =>
  `--${b}\r\nContent-Disposition: form-data; name="${name}"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\n${content}\r\n`;
const close = `--${b}--\r\n`;
const tricky = "\r\n--X\r\n\r\n--XY--\r\n\r\n-";
const form = `${field("model", "whisper")}${file("file", tricky)}${field("empty", "")}${close}`;
const expected = [["model", "whisper"], ["file", tricky], ["empty", ""], ["end"]];

test.each([1, 2, 3, 5, 7, 16, 64, 100_000])("in chunks of %d bytes", async (size) => {
  expect(await read(form, b, size)).toEqual(expected);
});

test("as the platform writes them", async () => {
  const data = new FormData();
  data.set("prompt", 'a "quoted" täxt');
  data.set("image", new File([new Uint8Array(100_000).fill(13)], "c.png"));
  const response = new Response(data);
  const boundary = boundaryOf(response.headers.get("content-type") ?? "") ?? "";
  const parts = await read(new Uint8Array(await response.arrayBuffer()), boundary, 4_096);
  expect(parts[0]).toEqual(["prompt", 'a "quoted" täxt']);
  expect(String(parts[1]?.[1]).length).toBe(100_000);
});

describe("what is broken", () => {
  const cases: readonly [string, string][] = [
    ["no boundary at all", "x".repeat(3_000)],
    ["nothing", ""],
    ["cut in a field", form.slice(0, 60)],
    ["cut in a file", form.slice(0, form.length - 80)],
    ["no last boundary", `${field("a", "b")}`],
    ["something after a boundary", `--${b}zz\r\n\r\n\r\n${close}`],
    ["a part without a name", `--${b}\r\nContent-Disposition: form-data\r\n\r\nx\r\n${close}`],
    ["a part without a header", `--${b}\r\n\r\nx\r\n${close}`],
    [
      "two names",
      `--${b}\r\nContent-Disposition: form-data; name="a"; name="model"\r\n\r\nx\r\n${close}`,
    ],
    [
      "two dispositions",
      `--${b}\r\nContent-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n${close}`,
    ],
    ["a header without end", `--${b}\r\n${"a: b\r\n".repeat(3_000)}`],
    ["a field too long", `${field("a", "x".repeat(1_100_000))}${close}`],
    ["too many parts", `${field("a", "b").repeat(300)}${close}`],
  ];
  test.each(cases)("%s", async (_name, text) => {
    expect(read(text, b, 1_000)).rejects.toBeInstanceOf(FormInvalid);
  });
});

describe("boundaryOf", () => {
  test.each([
    ["multipart/form-data; boundary=abc", "abc"],
    ['multipart/form-data; charset=utf-8; boundary="a b"', "a b"],
    ["Multipart/Form-Data;boundary=abc; x=y", "abc"],
    ["application/json", undefined],
    ["multipart/mixed; boundary=abc", undefined],
  ] as const)("%s", (type, boundary) => expect(boundaryOf(type)).toBe(boundary as string));
  test.each([
    "multipart/form-data",
    "multipart/form-data; boundary=",
    `multipart/form-data; boundary=${"a".repeat(71)}`,
  ])("%s is refused", (type) => expect(() => boundaryOf(type)).toThrow(FormInvalid));
});
