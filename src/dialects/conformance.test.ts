/** What every dialect must do, whatever it is. A new one is tested by being registered. */
import { describe, expect, test } from "bun:test";
import type { ChatChunk } from "../domain/chat.ts";
import { errorTable, GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { createSseParser, type SseFrame } from "../std/sse.ts";
import type { Dialect, DialectName, ProviderDialect, ProviderDialectName } from "./dialect.ts";
import { dialects, providerDialects } from "./registry.ts";

const request = { model: "m", messages: [{ role: "user", content: "hi" }], max_tokens: 10 };
/** What a caller of a dialect sends, and the parameters that are tried with every wrong type. */
const messagesCaller = {
  body: request as JsonObject,
  keys: [
    ...["model", "messages", "tools", "tool_choice", "stop", "stop_sequences", "system"],
    ...["max_tokens", "temperature", "stream", "response_format", "metadata"],
  ],
};
const callers: Readonly<Record<DialectName, typeof messagesCaller>> = {
  "openai-chat": messagesCaller,
  anthropic: messagesCaller,
  "openai-responses": {
    body: { model: "m", input: "hi" },
    keys: [
      ...["model", "input", "instructions", "tools", "tool_choice", "text", "reasoning"],
      ...["max_output_tokens", "temperature", "stream", "metadata"],
    ],
  },
  gemini: {
    body: { model: "m", contents: [{ role: "user", parts: [{ text: "hi" }] }] },
    keys: ["model", "contents", "tools", "toolConfig", "systemInstruction", "generationConfig"],
  },
};

async function* each<T>(items: readonly T[]): AsyncGenerator<T> {
  yield* items;
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

function framesOf(text: string): SseFrame[] {
  const parser = createSseParser();
  return [...parser.push(new TextEncoder().encode(text)), ...parser.end()];
}

function chunk(delta: ChatChunk["choices"][0]["delta"], more: object = {}): ChatChunk {
  return {
    id: "id-1",
    object: "chat.completion.chunk",
    created: 7,
    model: "m",
    choices: [{ index: 0, delta, finish_reason: null, ...more }],
  };
}

const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
const call = (index: number, more: object) => chunk({ tool_calls: [{ index, ...more }] });
const chunks: readonly ChatChunk[] = [
  chunk({ role: "assistant", content: "" }),
  chunk({ reasoning_content: "hm " }),
  chunk({ reasoning_content: "so" }),
  chunk({ content: "Hello" }),
  chunk({ content: " world" }),
  call(0, { id: "a", type: "function", function: { name: "f", arguments: "" } }),
  call(1, { id: "b", type: "function", function: { name: "g", arguments: "" } }),
  call(0, { function: { arguments: '{"x":' } }),
  call(1, { function: { arguments: "{}" } }),
  call(0, { function: { arguments: "1}" } }),
  chunk({}, { finish_reason: "tool_calls" }),
  { ...chunk({}), choices: [], usage },
];

/** What a client that adds deltas up ends with. */
function addUp(all: readonly ChatChunk[]) {
  const calls: { name: string; arguments: string }[] = [];
  let content = "";
  let reasoning = "";
  let finish: string | undefined;
  let total = 0;
  for (const { choices, usage: counted } of all) {
    if (counted) total = counted.total_tokens;
    for (const { delta, finish_reason: reason } of choices) {
      content += delta.content ?? "";
      reasoning += delta.reasoning_content ?? "";
      if (reason) finish = reason;
      for (const { index, function: called } of delta.tool_calls ?? []) {
        calls[index] ??= { name: "", arguments: "" };
        const entry = calls[index];
        entry.name += called?.name ?? "";
        entry.arguments += called?.arguments ?? "";
      }
    }
  }
  return { content, reasoning, finish, total, calls };
}

const statuses = [
  [400, "invalid", "upstream_rejected"],
  [401, "bad key", "upstream_auth"],
  [402, "pay", "upstream_auth"],
  [403, "no", "upstream_auth"],
  [404, "where", "upstream_not_found"],
  [408, "late", "upstream_timeout"],
  [409, "again", "upstream_conflict"],
  [413, "large", "upstream_rejected"],
  [422, "odd", "upstream_rejected"],
  [429, "slow", "rate_limited"],
  [500, "oops", "upstream_failed"],
  [502, "<html><title>Bad gateway</title></html>", "upstream_failed"],
  [503, "", "upstream_failed"],
  [504, "late", "upstream_timeout"],
  [529, "Overloaded", "upstream_failed"],
  [302, "elsewhere", "upstream_invalid"],
] as const;

function checkError(dialect: ProviderDialect, status: number, body: string, code: string): void {
  const error = dialect.decodeError(status, body, new Headers());
  expect<string>(error.code).toBe(code);
  expect(error.message).not.toBeEmpty();
  expect(error.message).not.toContain("<");
  if (code === "upstream_rejected") expect(error.status).toBe(status);
}

/** Those that callers do not speak: what is written by nobody here is read from test/fixtures. */
describe.each(Object.values(providerDialects).map((dialect) => [dialect.name, dialect] as const))(
  "%s",
  (_name, dialect: ProviderDialect) => {
    test("is registered under its name", () => {
      expect<ProviderDialect>(providerDialects[dialect.name as ProviderDialectName]).toBe(dialect);
    });

    test.each(statuses)("status %d is told apart", (status, body, code) => {
      checkError(dialect, status, body, code);
    });

    test("an answer of another dialect is none", () => {
      for (const body of [{}, { choices: [] }, { message: null }, { output: [] }]) {
        expect(dialect.isReply?.(body)).toBe(false);
        expect(() => dialect.decodeReply(body)).toThrow(GatewayError);
      }
    });

    test("a stream that ends before it has begun is cut", async () => {
      const reading = collect(dialect.decodeStream(each([])));
      expect(await reading.catch((thrown) => thrown)).toMatchObject({ code: "stream_truncated" });
    });
  },
);

describe.each(Object.values(dialects).map((dialect) => [dialect.name, dialect] as const))(
  "%s",
  (_name, dialect: Dialect) => {
    const streamed = () =>
      collect(
        dialect.encodeStream(each(chunks), {
          ...(request as ReturnType<Dialect["decodeRequest"]>),
          stream_options: { include_usage: true },
        }),
      ).then((parts) => parts.join(""));

    test("is registered under its name", () => {
      expect<Dialect>(dialects[dialect.name as DialectName]).toBe(dialect);
    });

    test("reads the stream that it writes", async () => {
      const read = await collect(dialect.decodeStream(each(framesOf(await streamed()))));
      expect(addUp(read)).toEqual({
        content: "Hello world",
        reasoning: "hm so",
        finish: "tool_calls",
        total: 12,
        calls: [
          { name: "f", arguments: '{"x":1}' },
          { name: "g", arguments: "{}" },
        ],
      });
    });

    test("tells the facts of the stream that it writes", async () => {
      const watch = dialect.createStreamWatch();
      const facts = framesOf(await streamed()).map((frame) => watch.see(frame));
      expect(facts.some(({ token }) => token)).toBe(true);
      // A terminator is the last frame, where the dialect has one: Gemini's streams merely end.
      expect(facts.slice(0, -1).filter(({ done }) => done)).toEqual([]);
      expect(facts.at(-1)?.done).toBe(dialect.name !== "gemini");
      expect(facts.filter(({ error }) => error)).toEqual([]);
      expect(watch.end()).toEqual({
        complete: true,
        finishReason: "tool_calls",
        usage: { inputTokens: 5, outputTokens: 7 },
      });
    });

    test("a stream cut anywhere before its end is truncated, not finished", async () => {
      const frames = framesOf(await streamed());
      const finish = frames.findIndex(({ data }) =>
        /"tool_use"|"tool_calls"|"finishReason"|"response.completed"/.test(data),
      );
      expect(finish).toBeGreaterThan(0);
      for (let cut = 0; cut < frames.length - 3; cut++) {
        const reading = collect(dialect.decodeStream(each(frames.slice(0, cut))));
        expect(
          await reading.then(
            () => "finished",
            (error) => error.code,
          ),
        ).toBe("stream_truncated");
      }
    });

    test("an in-band error that it writes, it reads as one", async () => {
      const error = new GatewayError("rate_limited", "slow down");
      const frames = framesOf(dialect.encodeStreamError(error));
      const reading = collect(dialect.decodeStream(each(frames)));
      expect(await reading.catch((thrown) => thrown)).toMatchObject({ code: "rate_limited" });
      const watch = dialect.createStreamWatch();
      expect(frames.map((frame) => watch.see(frame).error?.code)).toEqual(["rate_limited"]);
    });

    test("comments and pings are no events", () => {
      const watch = dialect.createStreamWatch();
      const frames = framesOf(": OPENROUTER PROCESSING\n\n\n");
      expect(frames.map((frame) => watch.see(frame).event)).toEqual([false, false]);
    });

    test("every error of ours has a form", () => {
      for (const code of Object.keys(errorTable) as (keyof typeof errorTable)[]) {
        const body = dialect.encodeError(new GatewayError(code, "what, where, how"));
        expect(isObject(body["error"]) && body["error"]["message"]).toBe("what, where, how");
      }
    });

    test.each(statuses)("status %d is told apart", (status, body, code) => {
      checkError(dialect, status, body, code);
    });

    test("wrong types are refused with the parameter's path, never by a crash", () => {
      const wrong = [1, "x", true, [], {}, [1], [{}], null, { type: 1 }, [{ type: 1 }], [[]]];
      const { body, keys } = callers[dialect.name as DialectName];
      for (const key of keys) {
        for (const value of wrong) attempt({ ...body, [key]: value }, key);
      }
      for (const part of ["text", "inlineData", "fileData", "functionCall", "functionResponse"]) {
        for (const value of wrong) {
          const contents = [{ role: "model", parts: [{ [part]: value }] }];
          if ("contents" in body) attempt({ ...body, contents }, "contents");
        }
      }
      if (!("messages" in body)) return;
      for (const role of ["user", "assistant", "tool", "system", 7]) {
        for (const content of wrong)
          attempt({ ...request, messages: [{ role, content }] }, "messages");
        for (const tool_calls of wrong) {
          attempt({ ...request, messages: [{ role, content: "x", tool_calls }] }, "messages");
        }
      }

      function attempt(body: object, key: string): void {
        try {
          const decoded = dialect.decodeRequest(body as Parameters<Dialect["decodeRequest"]>[0]);
          for (const other of [...Object.values(dialects), ...Object.values(providerDialects)])
            other.encodeRequest(decoded, "claude-sonnet-4-5");
        } catch (thrown) {
          if (!(thrown instanceof GatewayError))
            throw new Error(JSON.stringify(body), { cause: thrown });
          expect(thrown.status).toBe(400);
          expect(thrown.param ?? "").toStartWith(key);
        }
      }
    });
  },
);
