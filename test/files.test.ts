/** The Files API against a running gateway, by OpenAI's own client and by hand. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import type { JsonObject } from "../src/domain/json.ts";
import { createFiles } from "../src/resources/files/files.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { createFileBlobStore } from "../src/storage/file/blob-store.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { missingS3Server, startS3Server } from "./support/s3-server.ts";

const yaml = `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
routeiq_settings: {files: {max_file_bytes: 300000, max_files: 20, max_total_bytes: 800000}}
`;

let it: TestGateway;
let client: OpenAI;
let base: string;
beforeAll(async () => {
  it = await startTestGateway({ yaml });
  base = `${it.gateway.url}/v1`;
  client = new OpenAI({ apiKey: "k", baseURL: base, maxRetries: 0 });
});
afterAll(() => it.gateway.close());

const blobs = () =>
  existsSync(join(it.dataDir, "files"))
    ? readdirSync(join(it.dataDir, "files"), { recursive: true, withFileTypes: true }).filter(
        (entry) => entry.isFile(),
      ).length
    : 0;

/** The client's promises are none of the language's own. */
const failureOf = (work: PromiseLike<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  );

test("OpenAI's client uploads, lists, reads and deletes", async () => {
  const text = "line one\nline two ✓\n";
  const made = await client.files.create({
    file: await toFile(Buffer.from(text), "dir/notes é.txt"),
    purpose: "assistants",
    expires_after: { anchor: "created_at", seconds: 3600 },
  });
  expect(made).toMatchObject({
    object: "file",
    bytes: Buffer.byteLength(text),
    filename: "notes é.txt",
    purpose: "assistants",
    status: "processed",
  });
  expect(made.expires_at).toBe(made.created_at + 3600);
  expect(await client.files.retrieve(made.id)).toEqual(made);
  const other = await client.files.create({
    file: await toFile(Buffer.from("{}"), "b.jsonl"),
    purpose: "batch",
  });
  expect((await client.files.list()).data.map(({ id }) => id)).toEqual([other.id, made.id]);
  const batches = await client.files.list({ purpose: "batch" });
  expect(batches.data.map(({ id }) => id)).toEqual([other.id]);
  const pages: string[] = [];
  for await (const file of client.files.list({ limit: 1, order: "asc" })) pages.push(file.id);
  expect(pages).toEqual([made.id, other.id]);

  const content = await client.files.content(made.id);
  expect(await content.text()).toBe(text);
  expect(content.headers.get("x-content-type-options")).toBe("nosniff");
  const part = await fetch(`${base}/files/${made.id}/content`, { headers: { range: "bytes=5-7" } });
  expect([part.status, await part.text()]).toEqual([206, text.slice(5, 8)]);
  expect(part.headers.get("content-range")).toBe(`bytes 5-7/${Buffer.byteLength(text)}`);

  expect(await client.files.delete(made.id)).toEqual({
    id: made.id,
    object: "file",
    deleted: true,
  });
  await client.files.delete(other.id);
  expect(await failureOf(client.files.retrieve(made.id))).toMatchObject({ status: 404 });
  expect(blobs()).toBe(0);
});

describe("what is refused leaves nothing behind", () => {
  const form = (parts: readonly (readonly [string, string | Blob, string?])[]) => {
    const body = new FormData();
    for (const [name, value, filename] of parts) {
      if (typeof value === "string") body.append(name, value);
      else body.append(name, value, filename);
    }
    return body;
  };
  const file = new Blob(["content"]);
  const cases: readonly (readonly [string, FormData | string, number, string])[] = [
    [
      "a purpose of our own",
      form([
        ["purpose", "batch_output"],
        ["file", file, "a"],
      ]),
      400,
      "purpose",
    ],
    [
      "one that comes last",
      form([
        ["file", file, "a"],
        ["purpose", "nonsense"],
      ]),
      400,
      "purpose",
    ],
    ["no purpose", form([["file", file, "a"]]), 400, "purpose"],
    ["no file", form([["purpose", "batch"]]), 400, "file"],
    [
      "two files",
      form([
        ["purpose", "batch"],
        ["file", file, "a"],
        ["file", file, "b"],
      ]),
      400,
      "file",
    ],
    [
      "an end too soon",
      form([
        ["purpose", "batch"],
        ["expires_after[seconds]", "5"],
        ["file", file, "a"],
      ]),
      400,
      "expires_after",
    ],
    [
      "too large",
      form([
        ["purpose", "batch"],
        ["file", new Blob(["x".repeat(400_000)]), "a"],
      ]),
      413,
      "",
    ],
    ["no form", "{}", 415, ""],
  ];
  test.each(cases)("%s", async (_name, body, status, param) => {
    const answer = await fetch(`${base}/files`, { method: "POST", body });
    const { error } = (await answer.json()) as { error: { param: string | null; type: string } };
    expect([answer.status, error.param ?? ""]).toEqual([status, param]);
    expect((await client.files.list()).data).toEqual([]);
    expect(blobs()).toBe(0);
  });
});

test("a caller's room has an end, and deleting makes room", async () => {
  const upload = async (bytes: number) =>
    client.files.create({ file: await toFile(Buffer.alloc(bytes), "a"), purpose: "user_data" });
  const first = await upload(300_000);
  const second = await upload(300_000);
  expect(await failureOf(upload(300_000))).toMatchObject({ status: 413 });
  const third = await upload(200_000);
  expect(await failureOf(upload(1))).toMatchObject({ status: 400 });
  await client.files.delete(first.id);
  const last = await upload(300_000);
  for (const { id } of [second, third, last]) await client.files.delete(id);
});

test("an upload that breaks off is forgotten", async () => {
  const boundary = "b";
  const head = `--${boundary}\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n`;
  const stop = new AbortController();
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(head + "x".repeat(1000)));
      setTimeout(() => stop.abort(), 20);
    },
  });
  const headers = { "content-type": `multipart/form-data; boundary=${boundary}` };
  const init = { method: "POST", body, headers, signal: stop.signal, duplex: "half" };
  expect(await failureOf(fetch(`${base}/files`, init as RequestInit))).toBeDefined();
  for (let i = 0; i < 100 && blobs() > 0; i++) await Bun.sleep(10);
  expect((await client.files.list()).data).toEqual([]);
});

test("what has expired is gone, and swept with its content", async () => {
  const made = await client.files.create({
    file: await toFile(Buffer.from("soon gone"), "a"),
    purpose: "vision",
    expires_after: { anchor: "created_at", seconds: 3600 },
  });
  const later = { ...it.gateway.services().clock, now: () => (made.created_at + 3601) * 1000 };
  const files = createFiles({
    records: it.gateway.records,
    blobs: createFileBlobStore(join(it.dataDir, "files")),
    clock: later,
    limits: () => it.gateway.services().config.routeiq.files,
  });
  const caller = { id: "anyone", tenant: "default", admin: true };
  expect(await failureOf(files.get(made.id, caller))).toMatchObject({ code: "not_found" });
  expect(await files.sweep()).toBe(1);
  expect(blobs()).toBe(0);
});

describe.skipIf(missingS3Server !== undefined)("on S3", () => {
  test("a file is uploaded, read in part and removed; nothing of it is in the data folder", async () => {
    const server = await startS3Server();
    const on = await startTestGateway({
      yaml: `model_list: []\nrouteiq_settings: {files: {to: "s3://${server.bucket}/kept"}}\n`,
      env: server.env,
      outbound: createOutbound(),
    });
    const files = `${on.gateway.url}/v1/files`;
    const form = new FormData();
    form.set("purpose", "user_data");
    form.set("file", new File(["0123456789"], "digits.txt"));
    const made = (await (await fetch(files, { method: "POST", body: form })).json()) as JsonObject;
    expect(made).toMatchObject({ bytes: 10, filename: "digits.txt" });
    const part = await fetch(`${files}/${made["id"]}/content`, { headers: { range: "bytes=2-4" } });
    expect([part.status, part.headers.get("content-range"), await part.text()]).toEqual([
      206,
      "bytes 2-4/10",
      "234",
    ]);
    expect(existsSync(join(on.dataDir, "files"))).toBe(false);
    await fetch(`${files}/${made["id"]}`, { method: "DELETE" });
    expect((await fetch(`${files}/${made["id"]}/content`)).status).toBe(404);
    await on.gateway.close();
    await server.stop();
  });
});
