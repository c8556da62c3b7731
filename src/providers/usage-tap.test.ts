/** Usage read off answers that pass by, in every dialect and however they are cut. */
import { describe, expect, test } from "bun:test";
import { createUsageTap, tapLimitBytes } from "./usage-tap.ts";

const json = "application/json";
const events = "text/event-stream";
const sse = (...list: object[]) => list.map((each) => `data: ${JSON.stringify(each)}\n\n`).join("");
const openai = { usage: { prompt_tokens: 10, completion_tokens: 5 }, model: "gpt-x" };

function tapped(type: string, text: string, size = 7) {
  const tap = createUsageTap(type);
  const bytes = new TextEncoder().encode(text);
  for (let at = 0; at < bytes.length; at += size) tap.see(bytes.slice(at, at + size));
  return tap.end();
}

const cases: readonly [string, string, string, object][] = [
  [
    "OpenAI's chat",
    json,
    JSON.stringify(openai),
    { usage: { inputTokens: 10, outputTokens: 5 }, model: "gpt-x" },
  ],
  [
    "its stream",
    events,
    `${sse({ choices: [{ delta: { content: '"usage' } }], model: "gpt-x" }, { ...openai, choices: [] })}data: [DONE]\n\n`,
    { usage: { inputTokens: 10, outputTokens: 5 }, model: "gpt-x" },
  ],
  [
    "Responses",
    events,
    sse({
      type: "response.completed",
      response: {
        model: "gpt-y",
        usage: {
          input_tokens: 9,
          output_tokens: 8,
          input_tokens_details: { cached_tokens: 4 },
          output_tokens_details: { reasoning_tokens: 3 },
        },
      },
    }),
    {
      usage: { inputTokens: 9, outputTokens: 8, cachedInputTokens: 4, reasoningTokens: 3 },
      model: "gpt-y",
    },
  ],
  [
    "Anthropic's stream: the input at its begin, the output at its end",
    events,
    sse(
      {
        type: "message_start",
        message: {
          model: "claude",
          usage: { input_tokens: 7, cache_read_input_tokens: 2, output_tokens: 1 },
        },
      },
      { type: "message_delta", delta: {}, usage: { output_tokens: 30 } },
    ),
    { usage: { inputTokens: 9, outputTokens: 30, cachedInputTokens: 2 }, model: "claude" },
  ],
  [
    "Gemini's stream without events: one list",
    json,
    JSON.stringify([
      { modelVersion: "gemini-x", usageMetadata: { promptTokenCount: 5 } },
      {
        modelVersion: "gemini-x",
        usageMetadata: { promptTokenCount: 5, candidatesTokenCount: 2, thoughtsTokenCount: 3 },
      },
    ]),
    { usage: { inputTokens: 5, outputTokens: 5, reasoningTokens: 3 }, model: "gemini-x" },
  ],
  ["no usage", json, '{"object":"list","data":[]}', {}],
  ["no JSON, though it says so", json, "<html>", {}],
  ["sound", "audio/mpeg", '{"usage":1}', {}],
];
test.each(cases)("%s", (_name, type, text, expected) => {
  expect(tapped(type, text)).toEqual(expected);
  expect(tapped(type, text, 100_000)).toEqual(expected);
});

describe("what is too large", () => {
  test("JSON is let go, not held", () => {
    const tap = createUsageTap(json);
    const piece = new Uint8Array(tapLimitBytes / 2 + 1);
    for (let i = 0; i < 4; i++) tap.see(piece);
    expect(tap.end()).toEqual({});
  });
});
