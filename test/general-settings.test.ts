/** LiteLLM's general settings that change a call: forced models, a key header of one's own, usage on streams. */
import { afterAll, expect, test } from "bun:test";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway } from "./support/gateway.ts";

const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { model, stream } = (await request.json()) as { model: string; stream?: boolean };
    const base = { id: "x", created: 1, model };
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    const message = { role: "assistant", content: model };
    const choice = { index: 0, finish_reason: "stop" };
    if (!stream) {
      const choices = [{ ...choice, message }];
      return Response.json({ ...base, object: "chat.completion", choices, usage });
    }
    const events = [
      { ...base, object: "chat.completion.chunk", choices: [{ ...choice, delta: message }] },
      { ...base, object: "chat.completion.chunk", choices: [], usage },
    ];
    const text = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("");
    return new Response(`${text}data: [DONE]\n\n`, {
      headers: { "content-type": "text/event-stream" },
    });
  },
});
afterAll(() => upstream.stop(true));

const models = ["m", "n"]
  .map(
    (name) =>
      `  - {model_name: ${name}, litellm_params: {model: openai/${name}, api_key: k, api_base: "${upstream.url.origin}/v1"}}`,
  )
  .join("\n");

async function ask(settings: string, body: object = {}, headers: Record<string, string> = {}) {
  const { gateway } = await startTestGateway({
    yaml: `model_list:\n${models}\ngeneral_settings: ${settings}\n`,
    outbound: createOutbound({}),
  });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }], ...body }),
  });
  const text = await response.text();
  await gateway.close();
  return { status: response.status, text };
}

test("completion_model answers whatever is asked for", async () => {
  expect((await ask("{completion_model: n}")).text).toContain('"model":"n"');
  expect((await ask("{completion_model: n}", { model: "nobody" })).status).toBe(200);
  expect((await ask("{embedding_model: n}")).text).toContain('"model":"m"');
});

test("litellm_key_header_name is looked at first, and the usual headers stay", async () => {
  const settings = "{master_key: sk-0123456789abcdef, litellm_key_header_name: X-My-Key}";
  const key = "sk-0123456789abcdef";
  const other = { authorization: "Bearer of-somebody-else" };
  expect((await ask(settings, {}, { "x-my-key": key, ...other })).status).toBe(200);
  expect((await ask(settings, {}, { "x-my-key": `Bearer ${key}` })).status).toBe(200);
  expect((await ask(settings, {}, { authorization: `Bearer ${key}` })).status).toBe(200);
  expect((await ask(settings, {}, other)).status).toBe(401);
});

test("always_include_stream_usage", async () => {
  const always = "{always_include_stream_usage: true}";
  expect((await ask(always, { stream: true })).text).toContain('"usage"');
  expect((await ask("{}", { stream: true })).text).not.toContain('"usage"');
});
