/** OpenAI's and Anthropic's own clients through a running gateway to Bedrock: real HTTP on both sides. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { APIError } from "openai";
import { createOutbound } from "../src/security/outbound.ts";
import {
  type AwsServer,
  awsError,
  awsKeys,
  startAwsServer,
  streamOf,
} from "./support/aws-server.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";

let upstream: AwsServer;
let running: TestGateway;
let base: string;
const key = "sk-test-master-key";

beforeAll(async () => {
  upstream = startAwsServer();
  const own = { aws_access_key_id: awsKeys.id, aws_secret_access_key: awsKeys.secret };
  const there = { aws_bedrock_runtime_endpoint: upstream.url, aws_region_name: "us-east-1" };
  const rows = {
    claude: {
      model: "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
      use_in_pass_through: true,
      ...own,
      ...there,
    },
    nova: {
      model: "bedrock/converse/eu-west-1/amazon.nova-pro-v1:0",
      ...own,
      api_base: upstream.url,
    },
    keyed: { model: "bedrock/amazon.nova-lite-v1:0", api_key: awsKeys.bearer, ...there },
    profile: {
      model: "bedrock/anthropic.claude-sonnet-4-5",
      model_id: "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc",
      ...own,
      aws_bedrock_runtime_endpoint: upstream.url,
    },
    titan: { model: "bedrock/amazon.titan-embed-text-v2:0", ...own, ...there },
    embed: { model: "bedrock/cohere.embed-v4:0", ...own, ...there },
    "nova-embed": {
      model: "bedrock/amazon.nova-2-multimodal-embeddings-v1:0",
      api_key: awsKeys.bearer,
      ...there,
    },
    wrong: { model: "bedrock/amazon.nova-pro-v1:0", ...own, aws_secret_access_key: "x", ...there },
  };
  running = await startTestGateway({
    yaml: JSON.stringify({
      model_list: Object.entries(rows).map(([model_name, litellm_params]) => ({
        model_name,
        litellm_params,
      })),
      general_settings: { master_key: key },
      litellm_settings: { num_retries: 0 },
    }),
    outbound: createOutbound(),
  });
  base = running.gateway.url;
});

afterAll(async () => {
  await running.gateway.close();
  await upstream.close();
});

const openai = () => new OpenAI({ apiKey: key, baseURL: `${base}/v1`, maxRetries: 0 });
const anthropic = () => new Anthropic({ apiKey: key, baseURL: base, maxRetries: 0 });
const last = () => upstream.seen.at(-1) as AwsServer["seen"][0];
const ask = (model: string) => ({ model, messages: [{ role: "user" as const, content: "Hello" }] });
const named = (name: string) => ({
  type: "function" as const,
  function: { name, parameters: { type: "object", properties: {} } },
});

describe("OpenAI's client", () => {
  test.each([
    ["claude", "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse", "us-east-1"],
    ["nova", "/model/amazon.nova-pro-v1%3A0/converse", "eu-west-1"],
    ["keyed", "/model/amazon.nova-lite-v1%3A0/converse", undefined],
    [
      "profile",
      "/model/arn%3Aaws%3Abedrock%3Aus-east-1%3A1%3Aapplication-inference-profile%2Fabc/converse",
      "us-east-1",
    ],
  ])("%s, whole", async (model, path, region) => {
    const reply = await openai().chat.completions.create({ ...ask(model), max_tokens: 50 });
    expect(reply.choices[0]?.message.content).toBe("Bonjour, Paris.");
    expect(reply.choices[0]?.finish_reason).toBe("stop");
    expect(reply.id).toStartWith("chatcmpl-");
    expect(reply.usage).toMatchObject({
      prompt_tokens: 25,
      completion_tokens: 7,
      prompt_tokens_details: { cached_tokens: 20 },
    });
    expect(last().path).toBe(path);
    expect(last().body).toEqual({
      messages: [{ role: "user", content: [{ text: "Hello" }] }],
      inferenceConfig: { maxTokens: 50 },
    });
    const given = last().headers.get("authorization");
    if (region) expect(given).toContain(`/${region}/bedrock/aws4_request`);
    else expect(given).toBe(`Bearer ${awsKeys.bearer}`);
  });

  test("tools, streamed, and their results in the next turn", async () => {
    const tools = [named("get_weather"), named("get_time")];
    const stream = openai().chat.completions.stream({
      ...ask("claude"),
      tools,
      stream_options: { include_usage: true },
    });
    const reply = await stream.finalChatCompletion();
    const { message, finish_reason: finish } = reply.choices[0] ?? {};
    expect(finish).toBe("tool_calls");
    expect(
      message?.tool_calls?.map((call) => call.type === "function" && call.function.arguments),
    ).toEqual(['{"city":"Paris"}', "{}"]);
    expect(reply.usage?.total_tokens).toBe(32);
    expect(last().path).toEndWith("/converse-stream");
    const results = (message?.tool_calls ?? []).map(({ id }) => ({
      role: "tool" as const,
      tool_call_id: id,
      content: "fine",
    }));
    const said = { role: "assistant" as const, content: null, tool_calls: message?.tool_calls };
    await openai().chat.completions.create({
      model: "claude",
      messages: [...ask("claude").messages, said as never, ...results],
      tools,
    });
    expect(last().body["messages"]).toEqual([
      { role: "user", content: [{ text: "Hello" }] },
      {
        role: "assistant",
        content: [
          { toolUse: { toolUseId: "tooluse_1", name: "get_weather", input: { city: "Paris" } } },
          { toolUse: { toolUseId: "tooluse_2", name: "get_time", input: {} } },
        ],
      },
      {
        role: "user",
        content: ["tooluse_1", "tooluse_2"].map((toolUseId) => ({
          toolResult: { toolUseId, content: [{ text: "fine" }] },
        })),
      },
    ]);
  });
});

describe("Anthropic's client", () => {
  test("streams thinking with its signature, which the next turn carries", async () => {
    const tools = [{ name: "get_weather", input_schema: { type: "object" as const } }];
    const thinking = { type: "enabled" as const, budget_tokens: 1024 };
    const first = { ...ask("claude"), max_tokens: 2000, tools, thinking };
    const reply = await anthropic().messages.stream(first).finalMessage();
    expect(reply.stop_reason).toBe("tool_use");
    expect(reply.content[0]).toMatchObject({
      type: "thinking",
      thinking: "Hm.",
      signature: "c2ln",
    });
    expect(reply.usage).toMatchObject({ input_tokens: 5, cache_read_input_tokens: 20 });
    expect(last().body["additionalModelRequestFields"]).toEqual({ thinking });
    await anthropic().messages.create({
      ...first,
      messages: [...first.messages, { role: "assistant", content: reply.content }],
    });
    expect((last().body["messages"] as { content: unknown[] }[])[1]?.content[0]).toEqual({
      reasoningContent: { reasoningText: { text: "Hm.", signature: "c2ln" } },
    });
  });
});

test("beta features that Bedrock knows go into the body", async () => {
  const asking = { ...ask("claude"), max_tokens: 50 };
  const beta = "context-1m-2025-08-07, claude-code-20250219,interleaved-thinking-2025-05-14";
  await anthropic().messages.create(asking, { headers: { "anthropic-beta": beta } });
  expect(last().body["additionalModelRequestFields"]).toEqual({
    anthropic_beta: ["context-1m-2025-08-07", "interleaved-thinking-2025-05-14"],
  });
});

test("tokens are counted by AWS for Claude, in the caller's words", async () => {
  const asking = { ...ask("claude"), system: "Be brief." };
  expect(await anthropic().messages.countTokens(asking)).toEqual({ input_tokens: 42 });
  expect(last()).toMatchObject({
    path: "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens",
    body: {
      input: {
        converse: {
          messages: [{ role: "user", content: [{ text: "Hello" }] }],
          system: [{ text: "Be brief." }],
        },
      },
    },
  });
  const other = await anthropic().messages.countTokens(ask("nova")); // nobody counts there
  expect(other).toMatchObject({ estimated: true });
  upstream.answerNext(() => awsError(400, "ValidationException", "not supported in this region"));
  expect(await anthropic().messages.countTokens(asking)).toMatchObject({ estimated: true });
});

test("the way through to Bedrock's own API, signed", async () => {
  const path = "/model/amazon.nova-micro-v1%3A0/converse";
  const response = await fetch(`${base}/bedrock${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ messages: [{ role: "user", content: [{ text: "hi" }] }] }),
  });
  expect(((await response.json()) as { stopReason: string }).stopReason).toBe("end_turn");
  expect(last()).toMatchObject({
    path,
    body: { messages: [{ role: "user", content: [{ text: "hi" }] }] },
  });
  expect(last().headers.get("authorization")).toContain("/bedrock/aws4_request");
});

describe("embeddings", () => {
  const embed = (model: string, input: string[]) =>
    openai().embeddings.create({ model, input, dimensions: 256, encoding_format: "float" });

  test("Titan takes one text at a time", async () => {
    const before = upstream.seen.length;
    const reply = await embed("titan", ["1", "2", "3"]);
    expect(reply.data.map(({ embedding }) => embedding[0])).toEqual([1, 2, 3]);
    expect(reply.usage).toEqual({ prompt_tokens: 9, total_tokens: 9 });
    const parts = upstream.seen.slice(before);
    expect(parts.map(({ body }) => body)).toContainEqual({ inputText: "2", dimensions: 256 });
    expect(parts[0]?.path).toBe("/model/amazon.titan-embed-text-v2%3A0/invoke");
  });

  test("Cohere takes many, and is counted in a header", async () => {
    const reply = await openai().embeddings.create({ model: "embed", input: ["1", "2"] });
    expect(reply.data.map(({ embedding }) => [...embedding])).toEqual([
      [1, 0.5],
      [2, 0.5],
    ]);
    expect(reply.usage.prompt_tokens).toBe(4);
    expect(last().body).toEqual({
      texts: ["1", "2"],
      input_type: "search_document",
      embedding_types: ["float"],
    });
  });

  test("Nova wraps the text", async () => {
    const reply = await embed("nova-embed", ["1"]);
    expect(reply.data[0]?.embedding).toEqual([1, 0.5]);
    expect(last().body).toEqual({
      taskType: "SINGLE_EMBEDDING",
      singleEmbeddingParams: {
        embeddingPurpose: "GENERIC_INDEX",
        embeddingDimension: 256,
        text: { truncationMode: "END", value: "1" },
      },
    });
  });
});

describe("failures", () => {
  test.each([
    [400, "ValidationException", "Input is too long for requested model.", 400],
    [400, "ValidationException", "Malformed input request", 400],
    [429, "ThrottlingException", "Too many tokens, please wait before trying again.", 429],
    [403, "AccessDeniedException", "You don't have access to the model", 502],
    [424, "ModelErrorException", "The model failed", 500],
    [503, "ServiceUnavailableException", "Try later", 503],
  ])("%d %s %s", async (status, word, message, ours) => {
    upstream.answerNext(() => awsError(status, word, message));
    const error = await openai()
      .chat.completions.create(ask("keyed"))
      .catch((thrown: unknown) => thrown as APIError);
    expect(error).toBeInstanceOf(APIError);
    expect((error as APIError).status).toBe(ours);
    expect((error as APIError).message).toContain(message);
  });

  test("a wrong secret is the gateway's, not the caller's", async () => {
    const error = await openai()
      .chat.completions.create(ask("wrong"))
      .catch((thrown: unknown) => thrown as APIError);
    expect((error as APIError).status).toBe(502);
  });

  test.each([
    [[["messageStart", { role: "assistant" }]] as const, "ended"],
    [
      [
        ["messageStart", { role: "assistant" }],
        ["contentBlockDelta", { contentBlockIndex: 0, delta: { text: "Bon" } }],
        ["exception/throttlingException", { message: "slow down" }],
      ] as const,
      "slow down",
    ],
  ])("within a stream %#", async (events, why) => {
    upstream.answerNext(() => streamOf(events));
    const reading = openai().chat.completions.stream(ask("keyed")).finalChatCompletion();
    expect(String(await reading.catch((thrown) => thrown))).toContain(why);
  });
});
