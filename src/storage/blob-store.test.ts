/** Contents in a folder: whole or not at all, in parts, and never outside of it. */
import { afterEach, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256Hex } from "../security/hashing.ts";
import type { ByteRange } from "./blob-store.ts";
import { createFileBlobStore } from "./file/blob-store.ts";

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
