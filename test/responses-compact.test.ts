/** Conversations made short and counted, by OpenAI's own client: native, and carried by the gateway. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import OpenAI from "openai";
import { isObject, type JsonObject } from "../src/domain/json.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { readOpenApi } from "./support/openapi.ts";

const yaml = `
model_list:
  - model_name: llama
    litellm_params: {model: groq/llama-3, api_key: gsk}
  - model_name: gpt
    litellm_params: {model: openai/gpt-5-mini, api_key: sk-1}
    model_info: {id: gpt-1}
  - model_name: azure
    litellm_params: {model: azure/my-gpt, api_key: az, api_base: "https://r.openai.azure.com", api_version: 2025-04-01-preview}
router_settings: {num_retries: 0}
`;
const data = process.env["ROUTEIQ_TEST_DATA"] ?? "../shared/data";
const spec = await readOpenApi(join(data, "specs/openai.openapi.json.gz"));

let gateway: TestGateway;
let client: OpenAI;
const seen: { readonly url: URL; readonly body: JsonObject }[] = [];
const answers: JsonObject[] = [];

beforeAll(async () => {
  gateway = await startTestGateway({
    yaml,
    outbound: {
      async fetch({ url, body }) {
        seen.push({ url: new URL(url), body: JSON.parse(String(body ?? "{}")) });
        return Response.json(answers.shift() ?? { error: { message: "no answer" } });
      },
    },
  });
  client = new OpenAI({ apiKey: "k", baseURL: `${gateway.gateway.url}/v1`, maxRetries: 0 });
});
afterAll(() => gateway.gateway.close());

const chat = (content: string): JsonObject => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "llama-3",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }],
  usage: { prompt_tokens: 50, completion_tokens: 9, total_tokens: 59 },
});
const compaction: JsonObject = {
  id: "resp_up",
  object: "response.compaction",
  created_at: 1,
  output: [{ id: "cmp_1", type: "compaction", encrypted_content: "opaque" }],
  usage: {
    input_tokens: 1000,
    input_tokens_details: { cached_tokens: 400, cache_write_tokens: 0 },
    output_tokens: 100,
    output_tokens_details: { reasoning_tokens: 30 },
    total_tokens: 1100,
  },
};
const valid = (name: string, value: unknown) => {
  if (spec) expect(spec.problems(name, value)).toEqual([]);
};

test.each([
  ["gpt", "https://api.openai.com/v1/responses/compact", "gpt-5-mini"],
  [
    "azure",
    "https://r.openai.azure.com/openai/responses/compact?api-version=2025-04-01-preview",
    "my-gpt",
  ],
])("%s: OpenAI's own compacts itself", async (model, url, name) => {
  answers.push(compaction);
  const { data, response } = await client.responses
    .compact({ model, input: [{ role: "user", content: "long" }] })
    .withResponse();
  expect(data as unknown).toEqual(compaction);
  expect(seen.at(-1)?.url.href).toBe(url);
  expect(seen.at(-1)?.body).toEqual({ model: name, input: [{ role: "user", content: "long" }] });
  const id = response.headers.get("x-routeiq-call-id");
  const receipt = await fetch(`${gateway.gateway.url}/v1/routing/decisions/${id}`);
  expect(await receipt.json()).toMatchObject({
    operation: "compaction",
    usage: { inputTokens: 1000, cachedInputTokens: 400, outputTokens: 100, reasoningTokens: 30 },
  });
});

test("any other model sums up, and the sum goes on in every model's conversation", async () => {
  answers.push(chat("They chose blue."));
  const made = await client.responses.compact({
    model: "llama",
    instructions: "Be kind.",
    input: [
      { role: "user", content: "Blue or red?" },
      { role: "assistant", content: "Blue." },
    ],
  });
  valid("CompactResource", made);
  expect(made.object).toBe("response.compaction");
  expect(made.usage).toMatchObject({ input_tokens: 50, output_tokens: 9 });
  const asked = seen.at(-1)?.body["messages"] as JsonObject[];
  expect(asked.map(({ role }) => role)).toEqual(["system", "user", "assistant", "user"]);
  expect(String(asked.at(-1)?.["content"])).toContain("summary");

  answers.push(chat("Blue it is."));
  const input = [...made.output, { role: "user" as const, content: "Which?" }];
  const next = await client.responses.create({ model: "llama", input: input as never });
  expect(next.output_text).toBe("Blue it is.");
  const told = seen.at(-1)?.body["messages"] as JsonObject[];
  expect(told.map(({ role }) => role)).toEqual(["user", "user"]);
  expect(String(told[0]?.["content"])).toContain("They chose blue.");

  // OpenAI cannot read the item; it can read the words.
  answers.push({
    ...compaction,
    id: "resp_2",
    object: "response",
    status: "completed",
    output: [],
  });
  await client.responses.create({ model: "gpt", input: input as never });
  const sent = seen.at(-1)?.body["input"];
  const first: unknown = Array.isArray(sent) ? sent[0] : undefined;
  expect(isObject(first) && first["role"]).toBe("user");
  expect(String(isObject(first) && first["content"])).toContain("They chose blue.");
});

test("what was kept here is compacted by the response's id", async () => {
  answers.push(chat("one"), chat("Short."));
  const { id } = await client.responses.create({ model: "llama", input: "first words" });
  const made = await client.responses.compact({ model: "llama", previous_response_id: id });
  expect(made.output).toHaveLength(1);
  const asked = seen.at(-1)?.body["messages"] as JsonObject[];
  expect(asked[0]).toMatchObject({ role: "user", content: "first words" });
});

test("nothing to compact, an item that was changed, nobody's model", async () => {
  const status = (work: PromiseLike<unknown>) =>
    work.then(
      () => 200,
      (error) => error.status,
    );
  expect(await status(client.responses.compact({ model: "llama" }))).toBe(400);
  expect(await status(client.responses.compact({ model: "nope" as "gpt-5", input: "a" }))).toBe(
    400,
  );
  const item = { type: "compaction", encrypted_content: "riq1.%%%" };
  const input = [item, { role: "user", content: "a" }] as never;
  expect(await status(client.responses.create({ model: "llama", input }))).toBe(400);
});

test("tokens are counted by who can, and estimated otherwise", async () => {
  answers.push({ object: "response.input_tokens", input_tokens: 11 });
  const counted = await client.responses.inputTokens
    .count({ model: "gpt", input: "hi" })
    .withResponse();
  expect(counted.data as unknown).toEqual({ object: "response.input_tokens", input_tokens: 11 });
  expect(counted.response.headers.get("x-routeiq-token-count")).toBe("counted");
  expect(seen.at(-1)?.url.pathname).toBe("/v1/responses/input_tokens");
  expect(seen.at(-1)?.body).toEqual({ model: "gpt-5-mini", input: "hi" });
  const before = seen.length;
  const { data, response } = await client.responses.inputTokens
    .count({ model: "llama", input: "some words to count" })
    .withResponse();
  valid("TokenCountsResource", data);
  expect(data.input_tokens).toBeGreaterThan(2);
  expect(response.headers.get("x-routeiq-token-count")).toBe("estimated");
  expect(seen.length).toBe(before);
  const refused = await client.responses.inputTokens.count({ input: "a" }).catch((error) => error);
  expect(refused.status).toBe(400);
});
