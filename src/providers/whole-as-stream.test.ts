/** Whole answers to those who asked for a stream: what OpenAI's own client puts together again. */
import { expect, test } from "bun:test";
import OpenAI from "openai";
import { arrivalOf, configOf, createTestServices } from "../../test/support/services.ts";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { handle } from "../pipeline/handle.ts";
import { isWhole } from "../pipeline/reply.ts";

const call = (name: string) => ({
  id: `call_${name}`,
  type: "function",
  function: { name, arguments: '{"a":1}' },
});
const reply = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 7,
  model: "m",
  choices: [
    {
      index: 0,
      message: { role: "assistant", content: "one", refusal: null },
      finish_reason: "stop",
      logprobs: { content: [{ token: "one", logprob: -1, bytes: null, top_logprobs: [] }] },
    },
    {
      index: 1,
      message: { role: "assistant", content: null, tool_calls: [call("f"), call("g")] },
      finish_reason: "tool_calls",
    },
  ],
  usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
};

test("choices, calls, logprobs and usage come together again", async () => {
  const clock = createVirtualClock();
  const config = await configOf(`
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_base: "http://a.test/v1", api_key: k}}
`);
  const outbound = { fetch: async () => Response.json(reply) };
  const services = createTestServices(config, { clock, outbound });
  const body = { model: "m", n: 2, messages: [{ role: "user", content: "hi" }] };
  const client = new OpenAI({
    apiKey: "k",
    fetch: (async (_url: string, init: RequestInit) => {
      const answer = await handle(arrivalOf(String(init.body), clock), services);
      if (isWhole(answer.body)) throw new Error("it is whole");
      let text = "";
      for (;;) {
        const bytes = await answer.body.next();
        if (!bytes) break;
        text += new TextDecoder().decode(bytes);
      }
      return new Response(text, { headers: { "content-type": "text/event-stream" } });
    }) as unknown as typeof fetch,
  });
  const whole = await client.chat.completions
    .stream({
      ...(body as OpenAI.ChatCompletionCreateParams),
      stream_options: { include_usage: true },
      stream: true,
    })
    .finalChatCompletion();
  expect(whole.usage).toMatchObject(reply.usage);
  expect(whole.choices[0]).toMatchObject({
    message: { role: "assistant", content: "one" },
    finish_reason: "stop",
    logprobs: { content: [{ token: "one" }] },
  });
  expect(whole.choices[1]).toMatchObject({
    message: { role: "assistant", tool_calls: [call("f"), call("g")] },
    finish_reason: "tool_calls",
  });
});
