/** Uploads in parts against a running gateway, by OpenAI's own client and by hand. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import { createUploads, uploadLimits } from "../src/resources/uploads/uploads.ts";
import { createFileBlobStore } from "../src/storage/file/blob-store.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

let it: TestGateway;
let client: OpenAI;
beforeAll(async () => {
  const yaml = "model_list: []\nrouteiq_settings: {files: {max_file_bytes: 100000}}\n";
  it = await startTestGateway({ yaml });
  client = new OpenAI({ apiKey: "k", baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(() => it.gateway.close());

const begin = (bytes: number) =>
  client.uploads.create({
    bytes,
    filename: "a.txt",
    mime_type: "text/plain",
    purpose: "user_data",
  });
const part = async (upload: string, text: string) =>
  (await client.uploads.parts.create(upload, { data: await toFile(Buffer.from(text), "blob") })).id;
const blobs = () =>
  existsSync(join(it.dataDir, "files"))
    ? readdirSync(join(it.dataDir, "files"), { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isFile(),
      ).length
    : 0;
const refusalOf = (work: PromiseLike<unknown>): Promise<string> =>
  Promise.resolve(work).then(
    () => "done",
    (error: unknown) => String((error as Error).message),
  );

test("parts become one file, in the order that is named; the parts are gone", async () => {
  const upload = await begin(11);
  expect(upload).toMatchObject({ object: "upload", status: "pending", bytes: 11 });
  expect(upload.expires_at - upload.created_at).toBe(3_600);
  const last = await part(upload.id, "world");
  const first = await part(upload.id, "hello ");
  const md5 = createHash("md5").update("hello world").digest("hex");
  const done = await client.uploads.complete(upload.id, { part_ids: [first, last], md5 });
  expect(done).toMatchObject({
    status: "completed",
    file: { object: "file", filename: "a.txt", bytes: 11, purpose: "user_data" },
  });
  const content = await client.files.content(done.file?.id ?? "");
  expect(await content.text()).toBe("hello world");
  expect(blobs()).toBe(1);
});

test("OpenAI's documents: what is wrong is said, and can be mended", async () => {
  const upload = await begin(6);
  const id = await part(upload.id, "abcdef");
  const complete = (part_ids: string[], md5?: string) =>
    refusalOf(client.uploads.complete(upload.id, { part_ids, ...(md5 ? { md5 } : {}) }));
  expect(await complete([id, id])).toContain("twice");
  expect(await complete(["part_none"])).toContain("no part of this upload");
  expect(await complete([])).toContain("part_ids");
  expect(await complete([id], "0".repeat(32))).toContain("is not that of the parts");
  const more = await part(upload.id, "g");
  expect(await complete([id, more])).toContain("7 bytes");
  expect(await complete([id])).toBe("done");
  expect(await complete([id])).toContain("is completed");
  expect(await refusalOf(part(upload.id, "late"))).toContain("is completed");
});

test("a cancelled one leaves nothing", async () => {
  const before = blobs();
  const upload = await begin(3);
  await part(upload.id, "abc");
  expect(await client.uploads.cancel(upload.id)).toMatchObject({ status: "cancelled" });
  expect(blobs()).toBe(before);
  expect(await refusalOf(client.uploads.cancel(upload.id))).toContain("is cancelled");
});

describe("what is refused", () => {
  const cases = [
    ["too large", { bytes: 100_001 }, "bytes"],
    ["no size", { bytes: undefined }, "bytes"],
    ["no name", { filename: "" }, "filename"],
    ["another purpose", { purpose: "batch_output" }, "purpose"],
  ] as const;
  test.each(cases)("%s", async (_, over, param) => {
    const body = {
      bytes: 1,
      filename: "a",
      mime_type: "text/plain",
      purpose: "user_data",
      ...over,
    };
    const answer = await fetch(`${it.gateway.url}/v1/uploads`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const { error } = (await answer.json()) as { error: { param: string } };
    expect([answer.status, error.param]).toEqual([400, param]);
  });
});

test("what is not completed in an hour ends, and its parts are removed", async () => {
  const { records } = it.gateway;
  const upload = await begin(3);
  const id = await part(upload.id, "abc");
  const before = blobs();
  const now = Date.now();
  const later = {
    now: () => now + uploadLimits.lifeMs + 5_000,
    monotonicUs: () => 0,
    after: () => () => undefined,
  };
  const { files } = await it.gateway.memory();
  const uploads = createUploads({
    records,
    files,
    blobs: createFileBlobStore(join(it.dataDir, "files")),
    clock: later,
    limits: () => it.gateway.services().config.routeiq.files,
  });
  const caller = { id: "anonymous", tenant: "default", admin: true };
  expect(await refusalOf(uploads.complete(upload.id, { part_ids: [id] }, caller))).toContain(
    "is expired",
  );
  expect(await uploads.sweep()).toBeGreaterThan(0);
  expect(blobs()).toBe(before - 1);
});
