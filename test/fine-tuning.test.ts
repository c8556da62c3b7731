/** Fine-tuning passed through, by OpenAI's own client, to providers of the test: OpenAI's form and Azure's. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import OpenAI, { toFile } from "openai";
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
    const job = { id: "ftjob-1", object: "fine_tuning.job", model: body?.model ?? "x", status };
    return Response.json({ ...job, training_file });
  },
});

beforeAll(async () => {
  const url = `http://127.0.0.1:${server.port}`;
  it = await startTestGateway({
    yaml: `
model_list:
  - {model_name: small, litellm_params: {model: openai/gpt-4o-mini, api_base: "${url}/of-model/v1", api_key: sk-model}}
finetune_settings:
  - {custom_llm_provider: openai, api_base: "${url}/v1", api_key: os.environ/TUNE_KEY}
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
