/** The form of answers, as the event log has it: looked at where a router learns and a form was asked for. */
import { afterAll, describe, expect, test } from "bun:test";
import type { CallEvent } from "../src/domain/event.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { readEvents } from "../src/storage/sqlite/read-events.ts";
import { startTestGateway } from "./support/gateway.ts";

/** The upstream's next answer. */
let message: Record<string, unknown> = {};

const upstream = Bun.serve({
  port: 0,
  async fetch(request) {
    const { stream } = (await request.json()) as { stream?: boolean };
    const common = { id: "x", created: 1, model: "m" };
    if (!stream) {
      const choices = [{ index: 0, message, finish_reason: "stop" }];
      return Response.json({ ...common, object: "chat.completion", choices });
    }
    const chunk = (delta: unknown, finish: string | null = null) =>
      `data: ${JSON.stringify({ ...common, object: "chat.completion.chunk", choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`;
    const pieces = [...piecesOf(message).map((delta) => chunk(delta)), chunk({}, "stop")];
    return new Response(`${pieces.join("")}data: [DONE]\n\n`, {
      headers: { "content-type": "text/event-stream" },
    });
  },
});

/** As a provider streams it: arguments and text in halves. */
function piecesOf({ content, tool_calls: calls }: Record<string, unknown>): unknown[] {
  if (typeof content === "string") {
    const half = Math.floor(content.length / 2);
    return [
      { role: "assistant", content: content.slice(0, half) },
      { content: content.slice(half) },
    ];
  }
  return (calls as { id: string; function: { name: string; arguments: string } }[]).flatMap(
    ({ id, function: { name, arguments: text } }, index) => [
      { tool_calls: [{ index, id, type: "function", function: { name, arguments: "" } }] },
      { tool_calls: [{ index, function: { arguments: text.slice(0, 3) } }] },
      { tool_calls: [{ index, function: { arguments: text.slice(3) } }] },
    ],
  );
}

const yaml = (strategy: string) => `
router_settings: {routing_strategy: ${strategy}}
model_list:
  - {model_name: g, litellm_params: {model: openai/m, api_key: k, api_base: "http://127.0.0.1:${upstream.port}/v1"}}
  - {model_name: h, litellm_params: {model: mistral/m, api_key: k, api_base: "http://127.0.0.1:${upstream.port}/v1"}}
`;
const learning = await startTestGateway({
  yaml: yaml("llmrouter-knn"),
  outbound: createOutbound(),
});
const plain = await startTestGateway({ yaml: yaml("simple-shuffle"), outbound: createOutbound() });
afterAll(async () => {
  await learning.gateway.close();
  await plain.gateway.close();
  upstream.stop(true);
});

type World = typeof learning;

async function formOf(world: World, body: object, answer: Record<string, unknown>) {
  message = { role: "assistant", ...answer };
  const response = await fetch(`${world.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "g", messages: [{ role: "user", content: "q" }], ...body }),
  });
  await response.text();
  expect(response.status).toBe(200);
  const id = response.headers.get("x-routeiq-call-id");
  const receipt = await fetch(`${world.gateway.url}/v1/routing/decisions/${id}`);
  return ((await receipt.json()) as CallEvent["receipt"]).form;
}

const parameters = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};
const tools = [{ type: "function", function: { name: "weather", parameters } }];
const response_format = {
  type: "json_schema",
  json_schema: { name: "place", schema: parameters },
};
const call = (name: string, text: string) => ({
  content: null,
  tool_calls: [{ id: "c", type: "function", function: { name, arguments: text } }],
});

const cases = [
  ["a call by its schema", { tools }, call("weather", '{"city":"Oslo"}'), "tool_call", true],
  [
    "a call without what it needs",
    { tools },
    call("weather", '{"town":"Oslo"}'),
    "tool_call",
    false,
  ],
  ["a call that is no JSON", { tools }, call("weather", '{"city":'), "tool_call", false],
  ["a tool that there is not", { tools }, call("news", "{}"), "tool_call", false],
  ["JSON by its schema", { response_format }, { content: '{"city":"Oslo"}' }, "json", true],
  ["JSON of another shape", { response_format }, { content: '{"city":7}' }, "json", false],
  ["prose where JSON was asked for", { response_format }, { content: "Oslo." }, "json", false],
] as const;

describe.each([false, true])("stream %p", (stream) => {
  test.each(cases)("%s", async (_name, asked, answer, of, valid) => {
    expect(await formOf(learning, { stream, ...asked }, answer)).toEqual({ of, valid });
  });
  test("text where tools were offered and none was needed says nothing", async () => {
    expect(await formOf(learning, { stream, tools }, { content: "Hello." })).toBeUndefined();
  });
  test("nothing is looked at where nothing was asked for, or nothing learns", async () => {
    expect(await formOf(learning, { stream }, { content: "Hello." })).toBeUndefined();
    expect(await formOf(plain, { stream, tools }, call("news", "{}"))).toBeUndefined();
  });
});

/** Streams of callers who speak another dialect than the provider. */
const parametersOnly = { name: "weather", description: "w", input_schema: parameters };
const others = [
  [
    "Anthropic",
    "/v1/messages",
    {
      model: "g",
      max_tokens: 100,
      stream: true,
      messages: [{ role: "user", content: "q" }],
      tools: [parametersOnly],
    },
  ],
  [
    "Responses",
    "/v1/responses",
    {
      model: "h",
      stream: true,
      store: false,
      input: "q",
      tools: [{ type: "function", name: "weather", parameters, strict: false }],
    },
  ],
  [
    "Gemini",
    "/v1beta/models/g:streamGenerateContent?alt=sse",
    {
      contents: [{ role: "user", parts: [{ text: "q" }] }],
      tools: [{ functionDeclarations: [{ name: "weather", description: "w", parameters }] }],
    },
  ],
] as const;
describe.each(others)("a stream to a caller of %s", (_dialect, path, body) => {
  test.each([
    ['{"city":"Oslo"}', true],
    ['{"town":"Oslo"}', false],
  ] as const)("a call with %s", async (text, valid) => {
    message = { role: "assistant", ...call("weather", text) };
    const response = await fetch(`${learning.gateway.url}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const said = await response.text();
    expect([response.status, said.includes("weather")]).toEqual([200, true]);
    const id = response.headers.get("x-routeiq-call-id");
    const receipt = await fetch(`${learning.gateway.url}/v1/routing/decisions/${id}`);
    const { form } = (await receipt.json()) as CallEvent["receipt"];
    expect(form).toEqual({ of: "tool_call", valid });
  });
});

test("the event log has it", async () => {
  await formOf(learning, { tools }, call("weather", "{}"));
  const { dataDir } = learning;
  await learning.gateway.services().events.flush();
  let last: CallEvent | undefined;
  for await (const event of readEvents(dataDir)) last = event;
  expect(last?.receipt.form).toEqual({ of: "tool_call", valid: false });
});
