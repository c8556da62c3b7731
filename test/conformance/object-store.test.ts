/** What every object store must do, whatever holds the bytes: a folder, S3, memory. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Outbound } from "../../src/security/outbound.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createFileObjectStore } from "../../src/storage/file/object-store.ts";
import type { ObjectStore } from "../../src/storage/object-store.ts";
import { parseS3Url } from "../../src/storage/s3/client.ts";
import { createS3ObjectStore } from "../../src/storage/s3/object-store.ts";
import { storeOf, text } from "../support/artifact-repository.ts";
import { missingS3Server, type S3Server, startS3Server } from "../support/s3-server.ts";

const folder = await mkdtemp(join(tmpdir(), "routeiq-store-"));
let s3: S3Server | undefined;
const plainOutbound: Outbound = {
  fetch: ({ url, trust: _trust, connectTimeoutMs: _connect, ...init }) =>
    fetch(url, { ...init, redirect: "manual" } as RequestInit),
};

beforeAll(async () => {
  if (missingS3Server) return;
  s3 = await startS3Server();
  process.env["AWS_ACCESS_KEY_ID"] = s3.env["AWS_ACCESS_KEY_ID"];
  process.env["AWS_SECRET_ACCESS_KEY"] = s3.env["AWS_SECRET_ACCESS_KEY"];
});
afterAll(async () => {
  await s3?.stop();
  await rm(folder, { recursive: true, force: true });
});

const s3Store = (prefix: string): ObjectStore =>
  createS3ObjectStore({
    url: `s3://models/${prefix}`,
    endpoint: s3?.endpoint ?? "http://127.0.0.1:1",
    outbound: plainOutbound,
    clock: systemClock,
  });

const stores = [
  { name: "memory", skip: undefined, open: (_: string) => storeOf(new Map()) },
  {
    name: "file",
    skip: undefined,
    open: (prefix: string) => createFileObjectStore(join(folder, prefix)),
  },
  { name: "s3", skip: missingS3Server, open: s3Store },
];

for (const { name, skip, open } of stores) {
  describe.skipIf(skip !== undefined)(`${name}${skip ? ` (${skip})` : ""}`, () => {
    const max = { maxBytes: 1000 };

    test("gives back what was put, and nothing where nothing is", async () => {
      const store = open("a");
      expect(await store.get("x/y.json", max)).toBeUndefined();
      expect(await store.put("x/y.json", text("hello"))).toBe(true);
      const held = await store.get("x/y.json", max);
      expect(held).toMatchObject({ bytes: text("hello") });
      await store.put("x/y.json", text("other"));
      expect(await store.get("x/y.json", max)).toMatchObject({ bytes: text("other") });
      await store.put("empty", new Uint8Array());
      expect(await store.get("empty", max)).toMatchObject({ bytes: new Uint8Array() });
      store.close();
    });

    test("answers a conditional read by the tag", async () => {
      const store = open("b");
      await store.put("k", text("1"));
      const held = await store.get("k", max);
      if (!held || held === "not-modified") throw new Error("it was put");
      expect(await store.get("k", { ...max, ifNoneMatch: held.etag })).toBe("not-modified");
      await store.put("k", text("2"));
      expect(await store.get("k", { ...max, ifNoneMatch: held.etag })).toMatchObject({
        bytes: text("2"),
      });
      store.close();
    });

    test("stops reading one byte past the limit", async () => {
      const store = open("c");
      await store.put("k", new Uint8Array(500_000).fill(7));
      const held = await store.get("k", { maxBytes: 99 });
      expect(held).toMatchObject({ bytes: new Uint8Array(100).fill(7) });
      const whole = await store.get("k", { maxBytes: 500_000 });
      expect(whole !== "not-modified" && whole?.bytes.length).toBe(500_000);
      store.close();
    });

    test("writes under a condition", async () => {
      const store = open("d");
      expect(await store.put("k", text("1"), { ifAbsent: true })).toBe(true);
      expect(await store.put("k", text("2"), { ifAbsent: true })).toBe(false);
      const held = await store.get("k", max);
      if (!held || held === "not-modified") throw new Error("it was put");
      expect(held.bytes).toEqual(text("1"));
      expect(await store.put("k", text("3"), { ifMatch: '"other"' })).toBe(false);
      expect(await store.put("k", text("3"), { ifMatch: held.etag })).toBe(true);
      expect(await store.put("k", text("4"), { ifMatch: held.etag })).toBe(false);
      expect(await store.get("k", max)).toMatchObject({ bytes: text("3") });
      store.close();
    });

    test("lists by prefix, sorted", async () => {
      const store = open("e");
      for (const key of ["releases/2.json", "releases/10.json", "root/1.root.json"]) {
        await store.put(key, text(key));
      }
      expect(await store.list("releases/")).toEqual(["releases/10.json", "releases/2.json"]);
      expect(await store.list("")).toHaveLength(3);
      expect(await open("never").list("")).toEqual([]);
      store.close();
    });

    test("stops when told to", async () => {
      const store = open("f");
      await store.put("k", text("1"));
      if (name === "memory") return;
      const signal = AbortSignal.abort(new Error("enough"));
      await expect(store.get("k", { ...max, signal })).rejects.toThrow();
      store.close();
    });

    test.each(["../x", "/etc/passwd", "a/../../x", "a//b", "", ".hidden", "a\\..\\b", "a\u0000b"])(
      "refuses the key %j",
      async (key) => {
        if (name === "memory") return;
        const store = open("g");
        await expect(store.get(key, max)).rejects.toThrow("is no object key");
        await expect(store.put(key, text("x"))).rejects.toThrow("is no object key");
        store.close();
      },
    );
  });
}

describe("a folder", () => {
  test("keeps no temporary file, whether a write succeeds or fails", async () => {
    const base = join(folder, "temp");
    const store = createFileObjectStore(base);
    await store.put("k", text("1"));
    await store.put("k", text("2"), { ifAbsent: true });
    await mkdir(join(base, "taken"));
    await expect(store.put("taken", text("x"))).rejects.toThrow("cannot write");
    expect((await readdir(base)).sort()).toEqual(["k", "taken"]);
  });

  test("does not hang on what is not a file", async () => {
    const base = join(folder, "odd");
    await mkdir(join(base, "k"), { recursive: true });
    await symlink("/dev/zero", join(base, "zero"));
    Bun.spawnSync(["mkfifo", join(base, "pipe")]);
    const store = createFileObjectStore(base);
    for (const key of ["k", "zero", "pipe"]) {
      await expect(store.get(key, { maxBytes: 10 })).rejects.toThrow("not a regular file");
    }
  });

  test("a lock that another holds is waited for by nobody", async () => {
    const store = createFileObjectStore(join(folder, "lock"));
    await store.put("k", text("1"));
    const held = await store.get("k", { maxBytes: 10 });
    if (!held || held === "not-modified") throw new Error("it was put");
    await writeFile(join(folder, "lock", "k.lock"), "");
    await expect(store.put("k", text("2"), { ifMatch: held.etag })).rejects.toThrow("another");
  });
});

describe("s3 addresses", () => {
  test("are read", () => {
    expect(parseS3Url("s3://models")).toEqual({ bucket: "models", prefix: "" });
    expect(parseS3Url("s3://my-models/a/b/")).toEqual({ bucket: "my-models", prefix: "a/b" });
    for (const bad of ["s3://", "s3:models", "http://x", "s3://UPPER/x", "s3://a"]) {
      expect(() => parseS3Url(bad)).toThrow("not of the form");
    }
  });

  test("plain http leaves this machine only when allowed", () => {
    const open = (endpoint: string, allowHttp = false) =>
      createS3ObjectStore({
        url: "s3://models/x",
        endpoint,
        allowHttp,
        outbound: plainOutbound,
        clock: systemClock,
      });
    expect(() => open("http://minio:9000")).toThrow("ROUTEIQ_ALLOW_HTTP_STORE");
    expect(() => open("ftp://localhost")).toThrow("not https");
    open("http://minio:9000", true).close();
    open("http://localhost:9000").close();
    open("https://s3.example.com").close();
  });

  test("a bucket that is not there is an error, not an empty one", async () => {
    if (missingS3Server) return;
    const store = createS3ObjectStore({
      url: "s3://nowhere/x",
      endpoint: s3?.endpoint ?? "",
      outbound: plainOutbound,
      clock: systemClock,
    });
    await expect(store.get("k", { maxBytes: 10 })).rejects.toThrow("bucket does not exist");
    store.close();
  });

  test("waits for no answer longer than its limit", async () => {
    const due: { ms: number; call: () => void }[] = [];
    const store = createS3ObjectStore({
      url: "s3://models/x",
      endpoint: "http://127.0.0.1:1",
      outbound: {
        fetch: ({ signal }) =>
          new Promise((_, reject) => {
            signal?.addEventListener("abort", () => reject(signal.reason));
            // Whatever is due, is due now.
            for (const { call } of due.splice(0)) call();
          }),
      },
      clock: {
        ...systemClock,
        after(ms, call) {
          due.push({ ms, call });
          return () => undefined;
        },
      },
    });
    await expect(store.get("k", { maxBytes: 10 })).rejects.toThrow("no answer began within 8000");
    store.close();
  });
});
