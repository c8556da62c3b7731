/** `general_settings.max_response_size_mb`: whole answers of every kind are refused above it, streams are not. */
import { describe, expect, test } from "bun:test";
import type { JsonObject } from "../src/domain/json.ts";
import { CallFailed, handle } from "../src/pipeline/handle.ts";
import { isWhole } from "../src/pipeline/reply.ts";
import { arrivalOf, configOf, createTestServices } from "./support/services.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const long = "x".repeat(3000);
const facts = { id: "c", created: 1, model: "m" };
const chat = {
  ...facts,
  object: "chat.completion",
  choices: [{ index: 0, message: { role: "assistant", content: long }, finish_reason: "stop" }],
};
const chunk = {
  ...facts,
  object: "chat.completion.chunk",
  choices: [{ index: 0, delta: { content: long }, finish_reason: "stop" }],
};
const list = { object: "list", model: "m", data: [{ index: 0, embedding: [1], note: long }] };
const moderation = { id: "modr-1", model: "m", results: [{ flagged: false, note: long }] };

function answer(url: string, streams: boolean): Response {
  if (url.endsWith("/embeddings")) return Response.json(list);
  if (url.endsWith("/moderations")) return Response.json(moderation);
  if (!streams) return Response.json(chat);
  return new Response(`data: ${JSON.stringify(chunk)}\n\ndata: [DONE]\n\n`, {
    headers: { "content-type": "text/event-stream" },
  });
}

async function ask(
  limit: string,
  operation: "chat" | "embedding" | "moderation",
  more: JsonObject,
) {
  const yaml = `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_base: "http://up.test/v1", api_key: k}}]
general_settings: {${limit}}
litellm_settings: {num_retries: 0}
`;
  const clock = createVirtualClock();
  const services = createTestServices(await configOf(yaml), {
    clock,
    outbound: { fetch: ({ url }) => Promise.resolve(answer(url, more["stream"] === true)) },
  });
  try {
    const { body } = await handle(
      arrivalOf({ model: "m", ...more }, clock, { operation }),
      services,
    );
    if (!isWhole(body)) while (await body.next());
    return "answered";
  } catch (thrown) {
    if (!(thrown instanceof CallFailed)) throw thrown;
    return `${thrown.error.status} ${thrown.error.message}`;
  }
}

const hi = { messages: [{ role: "user", content: "hi" }] };
const small = "max_response_size_mb: 0.002"; // 2,097 bytes
const refused = "502 The provider's answer is larger than the limit of 2097 bytes.";

describe("a whole answer", () => {
  test.each([
    ["chat", hi],
    ["embedding", { input: "hi" }],
    ["moderation", { input: "hi" }],
  ] as const)("%s", async (operation, body) => {
    expect(await ask(small, operation, body)).toBe(refused);
    expect(await ask("max_response_size_mb: 1", operation, body)).toBe("answered");
    expect(await ask("max_response_size_mb: 1024", operation, body)).toBe("answered");
    expect(await ask("", operation, body)).toBe("answered");
  });
});

test("a stream has no such limit", async () => {
  expect(await ask(small, "chat", { ...hi, stream: true })).toBe("answered");
});
