/** Stores of `vector_store_registry`: searched at a provider of the test, which speaks OpenAI's API, and Azure's form of it. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import OpenAI from "openai";
import { checkConfig } from "../src/config/check/check.ts";
import { loadConfig } from "../src/config/load.ts";
import { knownNames } from "../src/routing/known-names.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { startTalkingModels, type TalkingModels } from "./support/talking-models.ts";

const master = "sk-registry-0123456789";
const keyOne = "sk-key-one-0123456789";
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly key: string | null;
  readonly body: unknown;
}
let seen: Seen[] = [];
let it: TestGateway;
let models: TalkingModels;
let client: OpenAI;

const server = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const url = new URL(request.url);
    const path = url.pathname + url.search;
    const key = request.headers.get("authorization") ?? request.headers.get("api-key");
    const body = request.method === "POST" ? await request.json() : undefined;
    seen.push({ method: request.method, path, key, body });
    if (url.pathname.includes("vs_gone")) {
      return Response.json({ error: { message: "no such store" } }, { status: 404 });
    }
    if (url.pathname.endsWith("/search")) {
      const content = [{ type: "text", text: "The engine has six cylinders." }];
      const row = { file_id: "file-1", filename: "engine.txt", attributes: { a: 1 }, content };
      const data = [
        { ...row, score: 0.9 },
        { ...row, file_id: "file-2", score: 0.2 },
      ];
      return Response.json({ object: "vector_store.search_results.page", data });
    }
    if (url.pathname.endsWith("/files")) {
      return Response.json({ object: "list", data: [{ id: "file-1" }], has_more: false });
    }
    return Response.json({ id: "theirs", object: "vector_store", usage_bytes: 5 });
  },
});
const url = `http://127.0.0.1:${server.port}`;

beforeAll(async () => {
  models = startTalkingModels(({ body }) => {
    const said = body["messages"] as { readonly role: string }[];
    if (said.some(({ role }) => role === "tool")) return "Six.";
    const called = { name: "file_search", arguments: '{"queries":["engine"]}' };
    const calls = [{ id: "c1", index: 0, type: "function", function: called }];
    return { message: { role: "assistant", content: null, tool_calls: calls } };
  });
  it = await startTestGateway({
    yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/local, api_base: "${models.url}", api_key: none}}
credential_list:
  - {credential_name: shared, credential_values: {api_key: os.environ/SHARED_KEY}}
vector_store_registry:
  - vector_store_name: manuals
    litellm_params: {vector_store_id: vs_openai, custom_llm_provider: openai, api_base: "${url}/v1", litellm_credential_name: shared, vector_store_description: What mechanics read}
  - vector_store_name: notes
    litellm_params: {vector_store_id: vs_azure, custom_llm_provider: azure, api_base: "${url}", api_key: az, api_version: "2025-01-01"}
  - litellm_params: {vector_store_id: vs_gone, custom_llm_provider: pg_vector, api_base: "${url}", api_key: pg}
routeiq_settings:
  keys:
    one: {api_key: ${keyOne}, object_permission: {vector_stores: [vs_openai]}}
`,
    env: { LITELLM_MASTER_KEY: master, SHARED_KEY: "sk-shared" },
    outbound: createOutbound(),
  });
  client = new OpenAI({ apiKey: master, baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(async () => {
  await it.gateway.close();
  models.stop();
  await server.stop(true);
});
beforeEach(() => {
  seen = [];
});

test("they are listed, shown and searched under the operator's names, with his keys", async () => {
  const { data } = await client.vectorStores.list();
  expect(data.map(({ id, name }) => `${id} ${name}`)).toEqual([
    "vs_openai manuals",
    "vs_azure notes",
    "vs_gone vs_gone",
  ]);
  expect(JSON.stringify(data)).not.toContain("shared");
  expect(seen).toEqual([]);
  const shown = await client.vectorStores.retrieve("vs_openai");
  expect(shown).toMatchObject({ id: "vs_openai", name: "manuals", usage_bytes: 5 });
  const found = await client.vectorStores.search("vs_openai", {
    query: "engine",
    max_num_results: 3,
    filters: { type: "eq", key: "a", value: 1 },
    ranking_options: { score_threshold: 0.5 },
  });
  expect(found.data).toEqual([
    {
      ...{ file_id: "file-1", filename: "engine.txt", score: 0.9, attributes: { a: 1 } },
      content: [{ type: "text", text: "The engine has six cylinders." }],
    },
  ]);
  expect(seen.at(-1)).toEqual({
    ...{ method: "POST", path: "/v1/vector_stores/vs_openai/search", key: "Bearer sk-shared" },
    body: {
      ...{ query: "engine", max_num_results: 3, filters: { type: "eq", key: "a", value: 1 } },
      ranking_options: { score_threshold: 0.5 },
    },
  });
  await client.vectorStores.search("vs_azure", { query: "engine" });
  expect(seen.at(-1)).toMatchObject({
    ...{ path: "/openai/vector_stores/vs_azure/search?api-version=2025-01-01", key: "az" },
  });
  const files = await client.vectorStores.files.list("vs_openai", { limit: 2 });
  expect(files.data).toMatchObject([{ id: "file-1" }]);
  expect(seen.at(-1)?.path).toBe("/v1/vector_stores/vs_openai/files?limit=2");
});

test("a model of any provider searches them", async () => {
  const response = await client.responses.create({
    model: "m",
    input: "How many cylinders?",
    tools: [{ type: "file_search", vector_store_ids: ["vs_openai"] }],
    include: ["file_search_call.results"],
  });
  expect(response.output_text).toBe("Six.");
  expect(response.output[0]).toMatchObject({
    ...{ type: "file_search_call", status: "completed", queries: ["engine"] },
    results: [{ filename: "engine.txt" }, { file_id: "file-2" }],
  });
  expect(seen.map(({ path }) => path)).toEqual(["/v1/vector_stores/vs_openai/search"]);
});

test("a key's list holds for them, and nobody changes them here", async () => {
  const theirs = new OpenAI({ apiKey: keyOne, baseURL: `${it.gateway.url}/v1`, maxRetries: 0 });
  expect((await theirs.vectorStores.list()).data.map(({ id }) => id)).toEqual(["vs_openai"]);
  await theirs.vectorStores.search("vs_openai", { query: "engine" });
  const refusal = (work: PromiseLike<unknown>) => Promise.resolve(work).catch((error) => error);
  const closed = await refusal(theirs.vectorStores.search("vs_azure", { query: "engine" }));
  expect(closed).toMatchObject({ status: 403, code: "permission_denied" });
  const kept = await refusal(client.vectorStores.delete("vs_openai"));
  expect(kept).toMatchObject({ status: 400 });
  expect(String(kept)).toContain("changed at openai");
  const gone = await refusal(client.vectorStores.search("vs_gone", { query: "engine" }));
  expect(gone).toMatchObject({ status: 404 });
  expect(String(gone)).toContain("no such store");
});

describe("what cannot be served is refused, with the way out", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["vector_store_id: T37, custom_llm_provider: bedrock", /bedrock.*POST \/v1\/vector_stores/],
    ["vector_store_id: x, custom_llm_provider: azure", /no api_base/],
    ["custom_llm_provider: openai", /no vector_store_id/],
    [
      "vector_store_id: x, custom_llm_provider: openai, litellm_credential_name: none",
      /no entry of credential_list/,
    ],
  ];
  test.each(cases)("%s", async (params, why) => {
    const yaml = `vector_store_registry: [{litellm_params: {${params}}}]`;
    const readText = () => Promise.resolve(yaml);
    const loaded = checkConfig(await loadConfig({ cwd: "/", env: {}, readText }), {
      known: knownNames,
    });
    expect(loaded.config).toBeUndefined();
    expect(JSON.stringify(loaded.findings)).toMatch(why);
  });
});
