/** Fine-tuning passed through, by OpenAI's own client, to providers of the test: OpenAI's form and Azure's. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
import type { Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: Headers;
  readonly body: ReturnType<typeof JSON.parse>;
}

const master = "sk-master-0123456789";
let it: TestGateway;
let client: OpenAI;
let seen: Seen[] = [];
let status = "running";
/** Of a job that has ended. */
let more: object = {};
let jobId = "ftjob-1";
const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const url = new URL(request.url);
    const isForm = request.headers.get("content-type")?.startsWith("multipart/");
    const form = isForm ? await request.formData() : undefined;
    const file = form?.get("file");
    const text = form ? "" : await request.text();
    const body = form
      ? { purpose: form.get("purpose"), file: file instanceof Blob ? await file.text() : file }
      : JSON.parse(text || "null");
    const path = url.pathname + url.search;
    seen.push({ method: request.method, path, headers: request.headers, body });
    if (url.pathname.endsWith("/files")) return Response.json({ id: `file-there-${seen.length}` });
    if (url.pathname.endsWith("/events")) {
      return Response.json({ object: "list", data: [{ id: "ftevent-1" }], has_more: false });
    }
    if (body?.model === "bad-model") {
      const error = { message: "no such model", param: "model", type: "invalid_request_error" };
      return Response.json({ error }, { status: 400 });
    }
    if (url.pathname.endsWith("/cancel")) status = "cancelled";
    const training_file = body?.training_file ?? "file-there-1";
    const job = { id: jobId, object: "fine_tuning.job", model: body?.model ?? "x", status };
    return Response.json({ ...job, training_file, ...more });
  },
});

beforeAll(async () => {
  const url = `http://127.0.0.1:${server.port}`;
  it = await startTestGateway({
    yaml: `
model_list:
  - {model_name: small, litellm_params: {model: openai/gpt-4o-mini, api_base: "${url}/of-model/v1", api_key: sk-model}}
finetune_settings:
  - {custom_llm_provider: openai, api_base: "${url}/v1", api_key: os.environ/TUNE_KEY, training_cost_per_token: {gpt-4o-mini-2024-07-18: 0.000003}}
  - {custom_llm_provider: azure, api_base: "${url}", api_key: az-key, api_version: 2025-01-01}
`,
    env: { TUNE_KEY: "sk-tune", LITELLM_MASTER_KEY: master },
    outbound: createOutbound(),
  });
  client = new OpenAI({ apiKey: master, baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await it.gateway.close();
  await server.stop(true);
});
beforeEach(() => {
  seen = [];
  status = "running";
  more = {};
  jobId = "ftjob-1";
});

const upload = async (text = '{"messages": []}\n') =>
  (
    await client.files.create({
      file: await toFile(Buffer.from(text), "t.jsonl"),
      purpose: "fine-tune",
    })
  ).id;

test("the file is brought there once, its id is ours to the caller, the job can be followed", async () => {
  const training_file = await upload();
  const job = await client.fineTuning.jobs.create({
    model: "gpt-4o-mini-2024-07-18",
    training_file,
  });
  expect(job).toMatchObject({ id: "ftjob-1", training_file, status: "running" });
  expect(seen.map(({ method, path }) => `${method} ${path}`)).toEqual([
    "POST /v1/files",
    "POST /v1/fine_tuning/jobs",
  ]);
  expect(seen[0]?.body).toEqual({ purpose: "fine-tune", file: '{"messages": []}\n' });
  expect(seen[1]?.body).toEqual({
    model: "gpt-4o-mini-2024-07-18",
    training_file: "file-there-1",
  });
  expect(seen[1]?.headers.get("authorization")).toBe("Bearer sk-tune");
  await client.fineTuning.jobs.create({ model: "gpt-4o-mini-2024-07-18", training_file });
  expect(seen.filter(({ path }) => path === "/v1/files")).toHaveLength(1);
  expect(await client.fineTuning.jobs.retrieve("ftjob-1")).toMatchObject({ training_file });
  const events = await client.fineTuning.jobs.listEvents("ftjob-1", { limit: 3 });
  expect(events.data).toMatchObject([{ id: "ftevent-1" }]);
  expect(seen.at(-1)?.path).toBe("/v1/fine_tuning/jobs/ftjob-1/events?limit=3");
  expect(await client.fineTuning.jobs.cancel("ftjob-1")).toMatchObject({ status: "cancelled" });
  const before = seen.length;
  const { data } = await client.fineTuning.jobs.list();
  expect(data).toMatchObject([{ id: "ftjob-1", status: "cancelled", training_file }]);
  expect(seen).toHaveLength(before); // what has ended is not asked for
});

test("a model of the gateway is tuned by its own deployment; Azure in Azure's form", async () => {
  const training_file = await upload();
  await client.fineTuning.jobs.create({ model: "small", training_file });
  expect(seen.map(({ path }) => path)).toEqual([
    "/of-model/v1/files",
    "/of-model/v1/fine_tuning/jobs",
  ]);
  expect(seen[1]?.body.model).toBe("gpt-4o-mini");
  expect(seen[1]?.headers.get("authorization")).toBe("Bearer sk-model");
  seen = [];
  const body = { model: "gpt-4o", training_file, custom_llm_provider: "azure" };
  await client.fineTuning.jobs.create(body as never);
  expect(seen.map(({ path }) => path)).toEqual([
    "/openai/files?api-version=2025-01-01",
    "/openai/fine_tuning/jobs?api-version=2025-01-01",
  ]);
  expect(seen[1]?.headers.get("api-key")).toBe("az-key");
  expect(seen[1]?.body).not.toHaveProperty("custom_llm_provider");
});

test("a job that has ended is charged once, by the tokens that it trained on", async () => {
  const training_file = await upload();
  jobId = "ftjob-dear";
  const model = "gpt-4o-mini-2024-07-18";
  const begun = await client.fineTuning.jobs.create({ model, training_file });
  expect(begun).not.toHaveProperty("training_cost_usd");
  const receipts: Receipt[] = [];
  const log = it.gateway.services().events as { append: (event: CallEvent) => void };
  const { append } = log;
  log.append = (event) => {
    receipts.push(event.receipt);
    append(event);
  };
  [status, more] = ["succeeded", { model, trained_tokens: 1_000_000 }];
  const looks = Array.from({ length: 4 }, () => client.fineTuning.jobs.retrieve(jobId));
  for (const job of await Promise.all(looks)) {
    expect(job).toMatchObject({ status: "succeeded", training_cost_usd: 3 });
  }
  log.append = append;
  const ends = receipts.filter(({ requestId }) => requestId === jobId);
  expect(ends).toMatchObject([
    { caller: "master", operation: "fine_tuning", requestedModel: model, costMicroUsd: 3_000_000 },
  ]);
});

test("a training whose price nobody knows says so", async () => {
  const training_file = await upload();
  jobId = "ftjob-unpriced";
  await client.fineTuning.jobs.create({ model: "gpt-4.1", training_file });
  [status, more] = ["succeeded", { model: "own-model", trained_tokens: 10 }];
  const { data } = await client.fineTuning.jobs.list();
  expect(data.find(({ id }) => id === jobId)).toMatchObject({ training_cost_usd: null });
  const told = it.log.find((line) => line.includes("ftjob-unpriced"));
  expect(told).toContain("training_cost_per_token");
});

test("what is wrong is said: the file, the provider, the provider's own no", async () => {
  const refusal = async (body: object) => {
    const made = client.fineTuning.jobs.create(body as never);
    const thrown = await Promise.resolve(made).catch((error: unknown) => error);
    const { status: code, message } = thrown as { status: number; message: string };
    return `${code} ${message}`;
  };
  const training_file = await upload();
  expect(await refusal({ model: "gpt-4o", training_file: "file-none" })).toContain("file-none");
  const elsewhere = { model: "gpt-4o", training_file, custom_llm_provider: "acme" };
  expect(await refusal(elsewhere)).toMatch(/^400.*finetune_settings/);
  expect(await refusal({ model: "bad-model", training_file })).toMatch(/^400 .*no such model/);
  expect(await refusal({ training_file })).toContain("'model' is missing");
  await expect(Promise.resolve(client.fineTuning.jobs.retrieve("ftjob-none"))).rejects.toThrow(
    /404/,
  );
});
