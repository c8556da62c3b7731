/** `merge_reasoning_content_in_choices` through the pipeline: from every dialect, whole and streamed. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../src/domain/json.ts";
import { handle } from "../src/pipeline/handle.ts";
import { isWhole } from "../src/pipeline/reply.ts";
import type { Outbound } from "../src/security/outbound.ts";
import { arrivalOf, configOf, createTestServices } from "./support/services.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const row = (name: string, model: string, merges: boolean) => ({
  model_name: name,
  litellm_params: {
    model,
    api_base: "http://up.test/v1",
    api_key: "k",
    ...(merges ? { merge_reasoning_content_in_choices: true } : {}),
  },
});
const yaml = JSON.stringify({
  model_list: [
    row("openai", "openai/thinker", true),
    row("anthropic", "anthropic/claude-sonnet-4-5", true),
    row("plain", "openai/thinker", false),
  ],
});

const sse = (events: readonly (readonly [string, object | string])[]) =>
  new Response(
    events
      .map(([name, data]) => {
        const text = typeof data === "string" ? data : JSON.stringify(data);
        return `${name === "" ? "" : `event: ${name}\n`}data: ${text}\n\n`;
      })
      .join(""),
    { headers: { "content-type": "text/event-stream" } },
  );

/** What the provider says: whole, or a stream of deltas with what ends them. */
interface Script {
  readonly whole?: JsonObject;
  readonly deltas?: readonly JsonObject[];
  readonly finish?: string;
}

function openaiAnswer({ whole, deltas = [], finish = "stop" }: Script): Response {
  const base = { id: "c", created: 7, model: "thinker" };
  if (whole) {
    const choices = [{ index: 0, message: whole, finish_reason: finish }];
    const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 };
    return Response.json({ ...base, object: "chat.completion", choices, usage });
  }
  const chunk = (delta: JsonObject, reason: string | null) => ({
    ...base,
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: reason }],
  });
  return sse([
    ...deltas.map((delta) => ["", chunk(delta, null)] as const),
    ["", chunk({}, finish)],
    ["", "[DONE]"],
  ]);
}

const thought = { type: "thinking", thinking: "Hm, ok.", signature: "c2ln" };

function anthropicAnswer(streams: boolean): Response {
  const message = { id: "m", type: "message", role: "assistant", model: "claude-sonnet-4-5" };
  const usage = { input_tokens: 1, output_tokens: 2 };
  if (!streams) {
    const content = [thought, { type: "text", text: "Four." }];
    return Response.json({ ...message, content, stop_reason: "end_turn", usage });
  }
  const at = (index: number, more: object) => ({ index, ...more });
  const events: readonly JsonObject[] = [
    { type: "message_start", message: { ...message, content: [], usage } },
    at(0, { type: "content_block_start", content_block: { type: "thinking", thinking: "" } }),
    at(0, { type: "content_block_delta", delta: { type: "thinking_delta", thinking: "Hm, " } }),
    at(0, { type: "content_block_delta", delta: { type: "thinking_delta", thinking: "ok." } }),
    at(0, { type: "content_block_delta", delta: { type: "signature_delta", signature: "c2ln" } }),
    at(0, { type: "content_block_stop" }),
    at(1, { type: "content_block_start", content_block: { type: "text", text: "" } }),
    at(1, { type: "content_block_delta", delta: { type: "text_delta", text: "Four." } }),
    at(1, { type: "content_block_stop" }),
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage },
    { type: "message_stop" },
  ];
  return sse(events.map((event) => [String(event["type"]), event] as const));
}

async function ask(model: string, more: JsonObject, script: Script = {}, dialect?: "anthropic") {
  const outbound: Outbound = {
    fetch: ({ url }) =>
      Promise.resolve(
        url.endsWith("/messages") ? anthropicAnswer(more["stream"] === true) : openaiAnswer(script),
      ),
  };
  const clock = createVirtualClock();
  const services = createTestServices(await configOf(yaml), { clock, outbound });
  const messages = [{ role: "user", content: "2+2?" }];
  const arrival = arrivalOf({ model, messages, ...more }, clock, dialect ? { dialect } : {});
  const { body } = await handle(arrival, services);
  if (isWhole(body)) return typeof body === "string" ? body : new TextDecoder().decode(body);
  let text = "";
  for (let bytes = await body.next(); bytes; bytes = await body.next()) {
    text += new TextDecoder().decode(bytes);
  }
  return text;
}

async function whole(model: string, script: Script, more: JsonObject = {}): Promise<JsonObject> {
  const reply = JSON.parse(await ask(model, more, script)) as {
    choices: { message: JsonObject }[];
  };
  return reply.choices[0]?.message ?? {};
}

async function deltas(model: string, script: Script): Promise<JsonObject[]> {
  const text = await ask(model, { stream: true }, script);
  expect(text).toEndWith("data: [DONE]\n\n");
  return text
    .split("\n\n")
    .filter((event) => event.startsWith("data: {"))
    .flatMap(
      (event) => (JSON.parse(event.slice(6)) as { choices: { delta: JsonObject }[] }).choices,
    )
    .map(({ delta }) => delta);
}

const contentOf = (all: readonly JsonObject[]) =>
  all.map(({ content }) => (typeof content === "string" ? content : "")).join("");

describe("whole", () => {
  test.each([
    [{ reasoning_content: "Hm.", content: "Four." }, "<think>Hm.</think>Four."],
    [{ reasoning: "Hm.", content: "Four." }, "<think>Hm.</think>Four."],
    [{ reasoning_content: "Hm.", content: null }, "<think>Hm.</think>"],
    [{ reasoning_content: "", content: "Four." }, "Four."],
    [{ content: "Four." }, "Four."],
  ])("%j", async (message, content) => {
    const told = await whole("openai", { whole: { role: "assistant", ...message } });
    expect(told["content"]).toBe(content);
    expect(told["reasoning_content"] ?? "").toBe("");
    expect(told).not.toHaveProperty("reasoning");
  });

  test("from Claude, whose thinking blocks stay for the next turn", async () => {
    const told = await whole("anthropic", {});
    expect(told).toMatchObject({
      content: "<think>Hm, ok.</think>Four.",
      thinking_blocks: [thought],
    });
    expect(told).not.toHaveProperty("reasoning_content");
  });

  test("not where the row does not say so", async () => {
    const message = { role: "assistant", reasoning_content: "Hm.", content: "Four." };
    expect(await whole("plain", { whole: message })).toEqual(message);
  });

  test("not in an answer by schema, which would be no JSON any more", async () => {
    const message = { role: "assistant", reasoning_content: "Hm.", content: "{}" };
    const told = await whole(
      "openai",
      { whole: message },
      { response_format: { type: "json_object" } },
    );
    expect(told["content"]).toBe("{}");
  });
});

describe("streamed", () => {
  const cases: readonly (readonly [string, Script, string])[] = [
    [
      "thoughts, then the answer",
      {
        deltas: [
          { role: "assistant", content: "" },
          { reasoning_content: "Hm, " },
          { reasoning_content: "ok." },
          { content: "Fo" },
          { content: "ur." },
        ],
      },
      "<think>Hm, ok.</think>Four.",
    ],
    [
      "in the words of vLLM, both in one event",
      { deltas: [{ reasoning: "Hm." }, { reasoning: "!", content: "Four." }] },
      "<think>Hm.!</think>Four.",
    ],
    [
      "thoughts before a tool is called",
      {
        deltas: [
          { reasoning_content: "Hm." },
          {
            tool_calls: [
              { index: 0, id: "t", type: "function", function: { name: "f", arguments: "{}" } },
            ],
          },
        ],
        finish: "tool_calls",
      },
      "<think>Hm.</think>",
    ],
    [
      "thoughts and nothing else: closed all the same",
      { deltas: [{ reasoning_content: "Hm." }], finish: "length" },
      "<think>Hm.</think>",
    ],
    ["no thought", { deltas: [{ content: "Four." }] }, "Four."],
  ];
  test.each(cases)("%s", async (_, script, content) => {
    const told = await deltas("openai", script);
    expect(contentOf(told)).toBe(content);
    expect(told.filter((delta) => "reasoning_content" in delta || "reasoning" in delta)).toEqual(
      [],
    );
    const calls = (all: readonly JsonObject[]) => all.flatMap((delta) => delta["tool_calls"] ?? []);
    expect(calls(told)).toEqual(calls(script.deltas ?? []));
  });

  test("from Claude", async () => {
    const told = await deltas("anthropic", {});
    expect(contentOf(told)).toBe("<think>Hm, ok.</think>Four.");
  });

  test("Anthropic's own clients get thinking blocks, as ever", async () => {
    const text = await ask("anthropic", { stream: true, max_tokens: 9 }, {}, "anthropic");
    expect(text).toContain('"thinking_delta"');
    expect(text).not.toContain("<think>");
  });
});
