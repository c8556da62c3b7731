/** The text that routing sees: the same for a bare query, OpenAI's messages and Anthropic's. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../domain/json.ts";
import { estimateInputTokens, queryLimits, toQuery, toRoutingQuery } from "./query-text.ts";

const user = (content: JsonObject[string]) => ({ role: "user", content }) as JsonObject;
const long =
  "Explain in detail how a B-tree splits a node when it is full, and why it stays balanced.";

const cases: readonly [string, JsonObject, string][] = [
  ["one turn is its text, as a data row has it", { messages: [user("hi")] }, "hi"],
  [
    "system prompts are left out",
    { messages: [{ role: "system", content: "be" }, user(long)] },
    long,
  ],
  [
    "parts are joined",
    {
      messages: [
        user([{ type: "text", text: "a" }, { type: "image_url" }, { type: "text", text: "b" }]),
      ],
    },
    "a\nb",
  ],
  [
    "the last user turn",
    { messages: [user("first"), { role: "assistant", content: "ok" }, user(long)] },
    long,
  ],
  [
    "a short turn brings what was said before",
    { messages: [user(long), { role: "assistant", content: "ok" }, user("go on")] },
    `${long}\n\nok\n\ngo on`,
  ],
  [
    "a turn of tool results alone is not the user's",
    { messages: [user(long), user([{ type: "tool_result", content: "42" }])] },
    long,
  ],
  ["an embedding's input", { input: "text" }, "text"],
  ["nothing", { messages: [] }, ""],
  [
    "nonsense",
    { messages: [1, null, { role: "user" }, { role: "user", content: 7 }] as never },
    "",
  ],
];

test.each(cases)("%s", (_name, body, text) => {
  expect(toRoutingQuery(body).text).toBe(text);
});

test("a row and a request with the same words are the same query", () => {
  for (const text of ["hi", long, "é".repeat(10), "x".repeat(queryLimits.turnChars * 3)]) {
    expect(toRoutingQuery({ messages: [user(text)] })).toEqual(toQuery(text));
  }
});

test("a turn beyond the limit keeps its head and its tail", () => {
  const text = `head ${"x".repeat(100_000)} tail`;
  const query = toQuery(text).text;
  expect(query.length).toBe(queryLimits.turnChars + 1);
  expect(query.startsWith("head")).toBe(true);
  expect(query.endsWith("tail")).toBe(true);
});

test("tools of both dialects read alike", () => {
  const parameters = { type: "object" };
  const openai = [{ type: "function", function: { name: "f", description: "d", parameters } }];
  const anthropic = [{ name: "f", description: "d", input_schema: parameters }];
  const messages = [user("hi")];
  expect(toRoutingQuery({ messages, tools: openai }).tools).toEqual([
    { name: "f", description: "d", parameters },
  ]);
  expect(toRoutingQuery({ messages, tools: anthropic })).toEqual(
    toRoutingQuery({ messages, tools: openai }),
  );
});

describe("input tokens", () => {
  test("a quarter of the characters; an image is no text", () => {
    const image = { type: "image_url", image_url: { url: `data:${"x".repeat(1e6)}` } };
    expect(estimateInputTokens({ messages: [user("x".repeat(400))] })).toBe(104);
    expect(estimateInputTokens({ messages: [user([image])] })).toBeLessThan(1000);
  });
});
