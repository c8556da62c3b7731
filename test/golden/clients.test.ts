/**
 * The makers' own clients read what our dialects write, and their requests are read by us: every
 * caller against every provider's recorded stream, in one process, without a network.
 */
import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import { generateText, jsonSchema, streamText, type ToolSet, tool } from "ai";
import OpenAI from "openai";
import type {
  Dialect,
  DialectName,
  ProviderDialect,
  ProviderDialectName,
} from "../../src/dialects/dialect.ts";
import { dialects } from "../../src/dialects/registry.ts";
import { GatewayError } from "../../src/domain/errors.ts";
import type { JsonObject } from "../../src/domain/json.ts";
import type { SseFrame } from "../../src/std/sse.ts";
import { bytesOf, dialectOf, framesIn, type StreamWire } from "../support/fixtures.ts";

const fixtures = join(import.meta.dir, "..", "fixtures");

async function wireOf(name: string): Promise<JsonObject | StreamWire> {
  return (await Bun.file(join(fixtures, `${name}.json`)).json()).wire;
}

const models: Readonly<Record<DialectName | ProviderDialectName, string>> = {
  "bedrock-converse": "anthropic.claude-sonnet-4-5-20250929-v1:0",
  cohere: "command-a-reasoning-08-2025",
  ollama: "gpt-oss:20b",
  "openai-responses": "gpt-5-mini",
  anthropic: "claude-sonnet-4-5",
  gemini: "gemini-3-pro-preview",
  "openai-chat": "gpt-5-mini",
};

/** A gateway in a function: the caller's request is decoded, the provider's answer is a fixture. */
function gateway(fixture: string, caller: Dialect, seen: JsonObject[] = []): typeof fetch {
  const upstream = dialectOf(fixture);
  const answer = async (_url: unknown, init?: RequestInit): Promise<Response> => {
    const request = caller.decodeRequest(JSON.parse(String(init?.body)));
    const model = models[upstream.name as DialectName];
    seen.push(upstream.encodeRequest(request, model, { dropParams: true }));
    const wire = await wireOf(fixture);
    if (!Array.isArray(wire)) {
      return Response.json(caller.encodeReply(upstream.decodeReply(wire as JsonObject)));
    }
    const text = await encode(wire as StreamWire, upstream, caller, request);
    return new Response(text, { headers: { "content-type": "text/event-stream" } });
  };
  return answer as typeof fetch;
}

async function encode(
  wire: StreamWire,
  upstream: ProviderDialect,
  caller: Dialect,
  request: ReturnType<Dialect["decodeRequest"]>,
): Promise<string> {
  const all = await framesIn(bytesOf(wire), upstream, 1 << 20);
  async function* frames(): AsyncGenerator<SseFrame> {
    yield* all;
  }
  let text = "";
  try {
    for await (const part of caller.encodeStream(upstream.decodeStream(frames()), request))
      text += part;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError)) throw thrown;
    text += caller.encodeStreamError(thrown);
  }
  return text;
}

/** Google's client takes an address only, so that the gateway in a function gets one of its own. */
async function withGoogle(
  fixture: string,
  work: (client: GoogleGenAI) => Promise<void>,
): Promise<void> {
  const answer = gateway(fixture, dialects.gemini);
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const stream = request.url.includes(":streamGenerateContent");
      const body = { ...((await request.json()) as object), model: "auto", stream };
      return answer(request.url, { body: JSON.stringify(body) });
    },
  });
  try {
    const baseUrl = `http://127.0.0.1:${server.port}`;
    await work(new GoogleGenAI({ apiKey: "k", httpOptions: { baseUrl } }));
  } finally {
    await server.stop(true);
  }
}

const openai = (fixture: string, seen?: JsonObject[]) =>
  new OpenAI({
    apiKey: "k",
    maxRetries: 0,
    fetch: gateway(fixture, dialects["openai-chat"], seen),
  });
const anthropic = (fixture: string, seen?: JsonObject[]) =>
  new Anthropic({ apiKey: "k", maxRetries: 0, fetch: gateway(fixture, dialects.anthropic, seen) });
const ask = { model: "auto", messages: [{ role: "user" as const, content: "hi" }] };

interface Outcome {
  readonly text: string;
  readonly calls: readonly (readonly [string, unknown])[];
  readonly reasoning?: string;
  readonly finish: Readonly<Record<Exclude<DialectName, "openai-responses">, string>>;
  readonly tokens: readonly [input: number, output: number];
}
const stopped = { "openai-chat": "stop", anthropic: "end_turn", gemini: "STOP" };
const called = { "openai-chat": "tool_calls", anthropic: "tool_use", gemini: "STOP" };
const outcomes: readonly (readonly [string, Outcome])[] = [
  [
    "anthropic/stream-text",
    { text: "Hello, wörld €", calls: [], finish: stopped, tokens: [125, 15] },
  ],
  [
    "anthropic/stream-tools-parallel",
    {
      text: "Let me look.",
      calls: [
        ["get_weather", { location: "San Francisco, CA" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [472, 89],
    },
  ],
  [
    "anthropic/stream-thinking",
    { text: "12,231", calls: [], reasoning: "First, 27 * 453.", finish: stopped, tokens: [50, 60] },
  ],
  [
    "anthropic/reply-tools",
    {
      text: "Looking.",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [10, 25],
    },
  ],
  [
    "anthropic/reply-text",
    { text: "Hi! My name is Claude.", calls: [], finish: stopped, tokens: [3858, 25] },
  ],
  [
    "openai/stream-text",
    { text: 'Hel"lo", wörld €\n', calls: [], finish: stopped, tokens: [9, 12] },
  ],
  [
    "openai/stream-tools-parallel",
    {
      text: "",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [9, 12],
    },
  ],
  ["openai/reply-text", { text: "Hello!", calls: [], finish: stopped, tokens: [19, 10] }],
  [
    "deepseek/stream-reasoning",
    { text: "Done", calls: [], reasoning: "Let me think.", finish: stopped, tokens: [10, 20] },
  ],
  [
    "gemini/stream-text",
    { text: 'Hel"lo", wörld €\n', calls: [], finish: stopped, tokens: [9, 12] },
  ],
  [
    "gemini/stream-tools-parallel",
    {
      text: "",
      reasoning: "**Weighing**",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [9, 12],
    },
  ],
  [
    "gemini/stream-thinking",
    { text: "Done", calls: [], reasoning: "Let me think.", finish: stopped, tokens: [10, 20] },
  ],
  [
    "gemini/reply-tools",
    {
      text: "",
      reasoning: "**Planning**\n\nTwo calls.",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [10, 25],
    },
  ],
  [
    "bedrock-converse/stream-text",
    { text: 'Hel"lo, wörld €\n', calls: [], finish: stopped, tokens: [9, 12] },
  ],
  [
    "bedrock-converse/stream-tools-parallel",
    {
      text: "Let me look.",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [9, 12],
    },
  ],
  [
    "bedrock-converse/stream-thinking",
    { text: "Done", calls: [], reasoning: "Let me think.", finish: stopped, tokens: [10, 20] },
  ],
  [
    "bedrock-converse/reply-reasoning",
    { text: "Done", calls: [], reasoning: "Let me think.", finish: stopped, tokens: [1110, 20] },
  ],
  [
    "cohere/stream-tools-parallel",
    {
      text: "",
      reasoning: "I will look.",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [9, 12],
    },
  ],
  [
    "cohere/stream-thinking",
    { text: "Done", calls: [], reasoning: "Let me think.", finish: stopped, tokens: [10, 20] },
  ],
  [
    "ollama/stream-tools-parallel",
    {
      text: "Let me look.",
      calls: [
        ["get_weather", { location: "SF" }],
        ["get_time", {}],
      ],
      finish: called,
      tokens: [9, 12],
    },
  ],
  [
    "ollama/stream-thinking",
    { text: "Done", calls: [], reasoning: "Let me think.", finish: stopped, tokens: [10, 20] },
  ],
  ["groq/stream-text", { text: "Hi", calls: [], finish: stopped, tokens: [9, 12] }],
];

describe.each(outcomes)("%s", (fixture, outcome) => {
  const isStream = fixture.includes("/stream-");

  test("read by Google's client", async () => {
    await withGoogle(fixture, async (client) => {
      const ask = { model: "auto", contents: "hi" };
      const replies = isStream
        ? await Array.fromAsync(await client.models.generateContentStream(ask))
        : [await client.models.generateContent(ask)];
      const parts = replies.flatMap((reply) => reply.candidates?.[0]?.content?.parts ?? []);
      const join = (thought: boolean) =>
        parts
          .filter((part) => Boolean(part.thought) === thought)
          .map((part) => part.text ?? "")
          .join("");
      const calls = replies.flatMap((reply) => reply.functionCalls ?? []);
      const last = replies.at(-1);
      expect(join(false)).toBe(outcome.text);
      if (outcome.reasoning) expect(join(true)).toBe(outcome.reasoning);
      expect(calls.map(({ name, args }) => [name, args])).toEqual(outcome.calls as never);
      expect(last?.candidates?.[0]?.finishReason).toBe(outcome.finish.gemini as never);
      const { promptTokenCount = 0, totalTokenCount = 0 } = last?.usageMetadata ?? {};
      const [input, output] = outcome.tokens;
      expect([promptTokenCount, totalTokenCount]).toEqual([input, input + output]);
    });
  });

  test("read by OpenAI's client", async () => {
    const completions = openai(fixture).chat.completions;
    const reply = isStream
      ? await completions
          .stream({ ...ask, stream: true, stream_options: { include_usage: true } })
          .finalChatCompletion()
      : await completions.create(ask);
    const choice = reply.choices[0];
    const calls = (choice?.message.tool_calls ?? []).map((call) =>
      call.type === "function" ? [call.function.name, JSON.parse(call.function.arguments)] : [],
    );
    expect(choice?.message.content ?? "").toBe(outcome.text);
    expect(calls).toEqual(outcome.calls.map((call) => [...call]));
    expect(choice?.finish_reason).toBe(outcome.finish["openai-chat"] as "stop");
    expect([reply.usage?.prompt_tokens, reply.usage?.completion_tokens]).toEqual([
      ...outcome.tokens,
    ]);
  });

  test("read by Anthropic's client", async () => {
    const messages = anthropic(fixture).messages;
    const reply = isStream
      ? await messages.stream({ ...ask, max_tokens: 100 }).finalMessage()
      : await messages.create({ ...ask, max_tokens: 100 });
    const text = reply.content.map((block) => (block.type === "text" ? block.text : "")).join("");
    const calls = reply.content.flatMap((block) =>
      block.type === "tool_use" ? [[block.name, block.input]] : [],
    );
    const reasoning = reply.content
      .map((block) => (block.type === "thinking" ? block.thinking : ""))
      .join("");
    expect([text, calls]).toEqual([outcome.text, outcome.calls.map((call) => [...call])]);
    expect(reasoning).toBe(outcome.reasoning ?? "");
    expect(reply.stop_reason).toBe(outcome.finish.anthropic as "end_turn");
    const { input_tokens, cache_read_input_tokens, cache_creation_input_tokens } = reply.usage;
    const input =
      input_tokens + (cache_read_input_tokens ?? 0) + (cache_creation_input_tokens ?? 0);
    expect([input, reply.usage.output_tokens]).toEqual([...outcome.tokens]);
  });

  test("read by Vercel's, in both dialects", async () => {
    for (const name of ["openai-chat", "anthropic"] as const) {
      const fetch = gateway(fixture, dialects[name]);
      const model =
        name === "anthropic"
          ? createAnthropic({ apiKey: "k", fetch })("auto")
          : createOpenAI({ apiKey: "k", fetch }).chat("auto");
      const inputSchema = jsonSchema({ type: "object" });
      // Their type of a tool does not meet exactOptionalPropertyTypes.
      const tools = Object.fromEntries(
        outcome.calls.map(([called]) => [called, tool({ inputSchema })]),
      ) as unknown as ToolSet;
      const result = isStream
        ? streamText({ model, prompt: "hi", tools, maxRetries: 0 })
        : await generateText({ model, prompt: "hi", tools, maxRetries: 0 });
      expect(await result.text).toBe(outcome.text);
      const calls = (await result.toolCalls).map(({ toolName, input }) => [toolName, input]);
      expect(calls).toEqual(outcome.calls.map((call) => [...call]));
    }
  });
});

describe("errors within a stream reach the client as errors", () => {
  test.each([
    "anthropic/stream-error",
    "anthropic/stream-truncated",
    "openai/stream-error",
    "openrouter/stream-comments-and-error",
    "bedrock-converse/stream-error",
    "bedrock-converse/stream-truncated",
    "cohere/stream-error",
    "ollama/stream-error",
  ])("%s", async (fixture) => {
    const ofOpenai = openai(fixture).chat.completions.stream({ ...ask, stream: true });
    expect(
      await ofOpenai.finalChatCompletion().then(
        () => "whole",
        () => "failed",
      ),
    ).toBe("failed");
    const ofAnthropic = anthropic(fixture).messages.stream({ ...ask, max_tokens: 100 });
    expect(
      await ofAnthropic.finalMessage().then(
        () => "whole",
        () => "failed",
      ),
    ).toBe("failed");
  });
});

test("a conversation with signed thinking goes back as it came", async () => {
  const seen: JsonObject[] = [];
  const client = openai("anthropic/reply-thinking", seen);
  const first = await client.chat.completions.create(ask);
  const message = first.choices[0]?.message;
  if (!message) throw new Error("no message");
  await client.chat.completions.create({
    ...ask,
    messages: [...ask.messages, message, { role: "user", content: "and?" }],
  });
  const sent = seen[1]?.["messages"] as readonly JsonObject[] | undefined;
  expect(sent?.[1]?.["content"]).toEqual([
    { type: "thinking", thinking: "Let me see.", signature: "WaUjzkyp" },
    { type: "redacted_thinking", data: "EmwKAhgB" },
    { type: "text", text: "So." },
  ]);
});
