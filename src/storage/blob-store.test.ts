/** Contents in a folder and on S3 (a real server): whole or not at all, in parts, and never outside of it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { missingS3Server, type S3Server, startS3Server } from "../../test/support/s3-server.ts";
import { sha256Hex } from "../security/hashing.ts";
import { createOutbound } from "../security/outbound.ts";
import { systemClock } from "../std/clock.ts";
import type { ByteRange } from "./blob-store.ts";
import { createFileBlobStore } from "./file/blob-store.ts";
import { createS3BlobStore, s3BlobLimits } from "./s3/blob-store.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function world() {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-blobs-"));
  folders.push(folder);
  const left = () =>
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => name);
  return { store: createFileBlobStore(folder), left };
}

async function* parts(...texts: readonly string[]) {
  for (const text of texts) yield new TextEncoder().encode(text);
}

async function textOf(content: AsyncIterable<Uint8Array> | undefined): Promise<string> {
  const all: Uint8Array[] = [];
  for await (const part of content ?? []) all.push(part);
  return Buffer.concat(all).toString();
}

const limit = { maxBytes: 1000 };

test("written in parts, read whole or in part, replaced, removed", async () => {
  const { store, left } = world();
  const facts = await store.put("file-1", parts("hello ", "world"), limit);
  expect(facts).toEqual({ sizeBytes: 11, sha256: sha256Hex("hello world") });
  const read = async (range?: ByteRange) => textOf((await store.open("file-1", range))?.content);
  expect(await read()).toBe("hello world");
  expect(await read({ start: 6 })).toBe("world");
  expect(await read({ start: 3, end: 7 })).toBe("lo w");
  expect(await read({ start: 9, end: 99 })).toBe("ld");
  await store.put("file-1", parts("anew"), limit);
  expect(await read()).toBe("anew");
  expect(left()).toEqual(["file-1"]);
  expect([await store.remove("file-1"), await store.remove("file-1")]).toEqual([true, false]);
  expect(await store.open("file-1")).toBeUndefined();
});

test("what is left before it is read lets go of its file", async () => {
  const { store } = world();
  await store.put("a", parts("x"), limit);
  const open = () => readdirSync("/proc/self/fd").length;
  const before = process.platform === "linux" ? open() : 0;
  for (let i = 0; i < 20; i++) {
    const blob = await store.open("a");
    await blob?.content[Symbol.asyncIterator]().return?.();
  }
  if (process.platform === "linux") expect(open()).toBeLessThan(before + 10);
});

test("over its limit, or broken off: nothing is left", async () => {
  const { store, left } = world();
  expect(store.put("a", parts("x".repeat(600), "x".repeat(600)), limit)).rejects.toMatchObject({
    code: "body_too_large",
  });
  async function* broken() {
    yield new Uint8Array(10);
    throw new Error("the caller hung up");
  }
  expect(store.put("b", broken(), limit)).rejects.toThrow("hung up");
  await store.put("c", parts("c"), limit);
  expect(left()).toEqual(["c"]);
});

test.each(["../a", "a/../../b", "", "/etc/passwd", ".hidden", "a\0b"])("no key: %j", async (id) => {
  const { store } = world();
  expect(async () => store.put(id, parts("x"), limit)).toThrow();
});

describe.skipIf(missingS3Server !== undefined)("on S3", () => {
  let server: S3Server;
  beforeAll(async () => {
    server = await startS3Server();
  });
  afterAll(() => server.stop());

  const openStore = (bucket = server.bucket) =>
    createS3BlobStore({
      url: `s3://${bucket}/files`,
      endpoint: server.endpoint,
      credentials: { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" },
      region: "us-east-1",
      outbound: createOutbound(),
      clock: systemClock,
    });

  /** Bytes that are nowhere the same, so that a part in the wrong place shows. */
  const bytes = (size: number) =>
    new Uint8Array(
      Uint32Array.from({ length: Math.ceil(size / 4) }, (_, i) => i * 7).buffer,
      0,
      size,
    );
  async function* inPieces(content: Uint8Array, size: number) {
    for (let at = 0; at < content.length; at += size) yield content.subarray(at, at + size);
  }
  const { partBytes } = s3BlobLimits;
  const much = { maxBytes: partBytes * 4 };

  const sizes = [0, 70_000, partBytes, partBytes + 12_345];
  test.each(sizes)("%d bytes are written and read", async (size) => {
    const store = openStore();
    const content = bytes(size);
    const facts = await store.put("file-1", inPieces(content, 100_000), much);
    expect(facts).toEqual({ sizeBytes: size, sha256: sha256Hex(content) });
    const blob = await store.open("file-1");
    const read: Uint8Array[] = [];
    for await (const part of blob?.content ?? []) read.push(part);
    expect([blob?.sizeBytes, sha256Hex(Buffer.concat(read))]).toEqual([size, sha256Hex(content)]);
    expect([await store.remove("file-1"), await store.remove("file-1")]).toEqual([true, false]);
    expect(await store.open("file-1")).toBeUndefined();
    store.close();
  });

  test("ranges, and one past the end", async () => {
    const store = openStore();
    await store.put("r", parts("hello ", "world"), limit);
    const read = async (range: ByteRange) => {
      const blob = await store.open("r", range);
      return [blob?.sizeBytes, await textOf(blob?.content)] as const;
    };
    expect(await read({ start: 6 })).toEqual([11, "world"]);
    expect(await read({ start: 3, end: 7 })).toEqual([11, "lo w"]);
    expect(await read({ start: 50 })).toEqual([11, ""]);
    store.close();
  });

  test("over its limit, or broken off: nothing is there, whole or in parts", async () => {
    const store = openStore();
    const large = inPieces(bytes(partBytes * 2), 100_000);
    await expect(store.put("big", large, { maxBytes: partBytes + 5 })).rejects.toMatchObject({
      code: "body_too_large",
    });
    async function* broken() {
      yield bytes(partBytes + 10);
      throw new Error("the caller hung up");
    }
    await expect(store.put("cut", broken(), much)).rejects.toThrow("hung up");
    expect([await store.open("big"), await store.open("cut")]).toEqual([undefined, undefined]);
    store.close();
  });

  test("a bucket that is not there is named", async () => {
    const store = openStore("nowhere");
    await expect(store.put("a", parts("x"), limit)).rejects.toMatchObject({
      code: "storage_failed",
      message: expect.stringContaining("the bucket does not exist"),
    });
    store.close();
  });
});
