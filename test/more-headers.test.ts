/** `return_response_headers`: times, the cost in its parts, and what the provider said beside its answer. */
import { afterAll, expect, test } from "bun:test";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway } from "./support/gateway.ts";

const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { stream, fail } = (await request.json()) as { stream?: boolean; fail?: boolean };
    const headers = {
      "x-ratelimit-remaining-requests": "7",
      "openai-processing-ms": "12",
      "set-cookie": "session=secret",
    };
    if (fail) return Response.json({ error: { message: "no" } }, { status: 400, headers });
    const usage = {
      prompt_tokens: 100,
      completion_tokens: 20,
      prompt_tokens_details: { cached_tokens: 40 },
      completion_tokens_details: { reasoning_tokens: 5 },
    };
    if (stream) {
      const chunk = (delta: object, end: string | null) =>
        `data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "m", choices: [{ index: 0, delta, finish_reason: end }] })}\n\n`;
      const text = `${chunk({ content: "hi" }, null)}${chunk({}, "stop")}data: [DONE]\n\n`;
      return new Response(text, { headers: { ...headers, "content-type": "text/event-stream" } });
    }
    const message = { role: "assistant", content: "hi" };
    const choices = [{ index: 0, message, finish_reason: "stop" }];
    return Response.json(
      { id: "x", object: "chat.completion", created: 1, model: "m", choices, usage },
      { headers },
    );
  },
});
afterAll(() => upstream.stop(true));

const yaml = (more: string) => `
model_list:
  - model_name: m
    litellm_params: {model: openai/m, api_key: k, api_base: "${upstream.url.origin}/v1", region_name: eu, timeout: 30, num_retries: 1}
    model_info: {input_cost_per_token: 0.001, output_cost_per_token: 0.002, cache_read_input_token_cost: 0.0001}
${more}
`;

async function ask(more: string, body: object = {}) {
  const { gateway } = await startTestGateway({ yaml: yaml(more), outbound: createOutbound({}) });
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "m", messages: [{ role: "user", content: "hi" }], ...body }),
  });
  await response.text();
  await gateway.close();
  return response.headers;
}

const on = "litellm_settings: {return_response_headers: true}";

test("the parts of the cost add up, and the provider's headers come along", async () => {
  const headers = await ask(on);
  const told = Object.fromEntries(headers);
  expect(told).toMatchObject({
    "x-litellm-response-cost": "0.104",
    "x-litellm-response-cost-original": "0.104",
    "x-litellm-response-cost-input": "0.06",
    "x-litellm-response-cost-cache-read": "0.004",
    "x-litellm-response-cost-cache-creation": "0",
    "x-litellm-response-cost-output": "0.04",
    "x-litellm-response-cost-reasoning": "0.01",
    "x-litellm-model-region": "eu",
    "x-litellm-model-name": "openai/m",
    "x-litellm-max-retries": "1",
    "x-litellm-timeout": "30",
    "x-ratelimit-remaining-requests": "7",
    "llm_provider-x-ratelimit-remaining-requests": "7",
    "llm_provider-openai-processing-ms": "12",
  });
  expect(Number(told["x-litellm-overhead-duration-ms"])).toBeGreaterThan(0);
  expect(Number(told["x-litellm-response-duration-ms"])).toBeGreaterThanOrEqual(0);
  expect(headers.has("llm_provider-set-cookie")).toBe(false);
});

test("streams and failures have them too, as far as they are known", async () => {
  const stream = await ask(on, { stream: true });
  expect(stream.get("llm_provider-openai-processing-ms")).toBe("12");
  expect(stream.has("x-litellm-response-cost-original")).toBe(false);
  const failed = await ask(on, { fail: true });
  expect(failed.get("llm_provider-openai-processing-ms")).toBe("12");
  expect(failed.get("x-litellm-response-cost")).toBe("0");
});

test("unasked there are none of them", async () => {
  const headers = await ask("");
  expect(headers.get("x-litellm-model-region")).toBe("eu");
  for (const name of headers.keys())
    expect(name).not.toMatch(/^llm_provider|response-duration|-timeout$/);
});
