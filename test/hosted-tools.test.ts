/**
 * Tools that the gateway runs for a model, by OpenAI's own client: a real MCP server, skills and
 * searches of files; approvals, limits, servers that lie, callers who leave.
 */
import { afterAll, beforeAll, describe, expect, spyOn, test } from "bun:test";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, type ToolSet } from "ai";
import OpenAI from "openai";
import type { Response, ResponseStreamEvent } from "openai/resources/responses/responses";
import type { JsonObject } from "../src/domain/json.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { readOpenApi } from "./support/openapi.ts";
import {
  type Question,
  type Reaction,
  startTalkingModels,
  type TalkingModels,
} from "./support/talking-models.ts";

const modules = join(import.meta.dir, "../node_modules/@modelcontextprotocol");
const everything = realpathSync(join(modules, "server-everything/dist/index.js"));
const data = process.env["ROUTEIQ_TEST_DATA"] ?? join(import.meta.dir, "../../shared/data");
const api = await readOpenApi(join(data, "specs/openai.openapi.json.gz"));
const master = "sk-hosted-0123456789";

let react: (question: Question) => Reaction = () => "hello";
let models: TalkingModels;
let gateway: TestGateway;
let client: OpenAI;
let anthropic: Anthropic;
let asked: Question[] = [];

beforeAll(async () => {
  models = startTalkingModels((question) => {
    asked.push(question);
    return react({ ...question, nth: asked.length - 1 });
  });
  gateway = await startTestGateway({
    yaml: `
model_list:
  - model_name: m
    litellm_params: {model: openai/local, api_base: "${models.url}", api_key: none}
    model_info: {input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
mcp_servers:
  everything: {command: node, args: [${everything}, stdio]}
routeiq_settings:
  hosted_tools: {max_rounds: 4, max_calls: 5, max_result_bytes: 4096}
`,
    env: { LITELLM_MASTER_KEY: master },
    outbound: createOutbound(),
  });
  client = new OpenAI({ apiKey: master, baseURL: `${gateway.gateway.url}/v1`, maxRetries: 0 });
  anthropic = new Anthropic({ apiKey: master, baseURL: gateway.gateway.url, maxRetries: 0 });
});
afterAll(async () => {
  await gateway.gateway.close();
  models.stop();
});

/** What the model does, answer by answer; its last word is repeated. */
function script(...reactions: Reaction[]): void {
  asked = [];
  react = ({ nth }) => reactions[Math.min(nth, reactions.length - 1)] ?? "done";
}

const call = (name: string, args: object, id = `call_${name}`) => ({
  id,
  type: "function",
  function: { name, arguments: JSON.stringify(args) },
});

const calling = (...calls: ReturnType<typeof call>[]) => ({
  message: {
    role: "assistant",
    content: null,
    tool_calls: calls.map((each, index) => ({ ...each, index })),
  },
  finish: "tool_calls",
});

const mcp = { type: "mcp", server_label: "everything", require_approval: "never" } as const;
const messagesOf = (question: Question | undefined) =>
  (question?.body["messages"] ?? []) as JsonObject[];

describe("responses", () => {
  test("a tool is listed, called and told of, and the model answers with its result", async () => {
    script(calling(call("echo", { message: "hi" })), "It said hi.");
    const response = await client.responses.create({
      model: "m",
      input: "Say hi",
      tools: [{ ...mcp, allowed_tools: ["echo", "get-sum"] } as never],
    });
    expect(response.output.map(({ type }) => type)).toEqual([
      "mcp_list_tools",
      "mcp_call",
      "message",
    ]);
    expect(response.output[1]).toMatchObject({
      server_label: "everything",
      name: "echo",
      arguments: '{"message":"hi"}',
      output: "Echo: hi",
      error: null,
    });
    expect(response.output_text).toBe("It said hi.");
    expect(response.usage).toMatchObject({ input_tokens: 200, output_tokens: 20 });
    const tools = asked[0]?.body["tools"] as JsonObject[];
    expect(tools.map((tool) => (tool["function"] as JsonObject)["name"])).toEqual([
      "echo",
      "get-sum",
    ]);
    const told = messagesOf(asked[1]).at(-1);
    expect(told).toMatchObject({ role: "tool" });
    expect(String(told?.["content"])).toMatch(
      /untrusted data[\s\S]*Echo: hi[\s\S]*end [0-9a-f]{16}$/,
    );
  });

  test("its stream has every event, in OpenAI's words, numbered", async () => {
    script(calling(call("echo", { message: "hi" }), call("get-sum", { a: 1, b: 2 })), "Both done.");
    const { events, last } = await streamed({ input: "Go", tools: [mcp] });
    expect(events.map(({ sequence_number: at }) => at)).toEqual(events.map((_, i) => i));
    const types = events.map(({ type }): string => type);
    for (const type of [
      ...["mcp_list_tools.in_progress", "mcp_list_tools.completed", "mcp_call.in_progress"],
      ...["mcp_call_arguments.delta", "mcp_call_arguments.done", "mcp_call.completed"],
    ]) {
      expect(types).toContain(`response.${type}`);
    }
    expect(problemsOf(events)).toEqual([]);
    expect(last.output.filter(({ type }) => type === "mcp_call")).toHaveLength(2);
    expect(last.output_text ?? "").toBeString();
    expect(last.usage).toMatchObject({ input_tokens: 200, output_tokens: 20, total_tokens: 220 });
    // What was streamed is what is kept.
    const kept = await client.responses.retrieve(last.id);
    expect(kept.output).toEqual(last.output);
  });

  test("a call waits for approval, and runs in the next turn once it has it", async () => {
    script(calling(call("echo", { message: "may I" })), "Thank you.");
    const tools = [{ ...mcp, require_approval: "always" }] as never;
    const first = await client.responses.create({ model: "m", input: "Ask me", tools });
    const request = first.output.find(({ type }) => type === "mcp_approval_request");
    expect(request).toMatchObject({ name: "echo", arguments: '{"message":"may I"}' });
    expect(asked).toHaveLength(1);
    const second = await client.responses.create({
      model: "m",
      previous_response_id: first.id,
      tools,
      input: [
        { type: "mcp_approval_response", approval_request_id: request?.id ?? "", approve: true },
      ],
    });
    expect(second.output.map(({ type }) => type)).toEqual(["mcp_call", "message"]);
    expect(second.output[0]).toMatchObject({
      output: "Echo: may I",
      approval_request_id: request?.id ?? "",
    });
    const said = messagesOf(asked[1]);
    expect(said.at(-2)).toMatchObject({
      role: "assistant",
      tool_calls: [{ function: { name: "echo" } }],
    });
    expect(String(said.at(-1)?.["content"])).toContain("Echo: may I");
    // A third turn knows what was run, and runs it no second time.
    script("Yes.");
    const third = await client.responses.create({
      model: "m",
      previous_response_id: second.id,
      tools,
      input: "Did you?",
    });
    expect(third.output.map(({ type }) => type)).toEqual(["message"]);
    const conversation = JSON.stringify(messagesOf(asked[0]));
    expect(conversation.match(/Echo: may I/g)).toHaveLength(1);
  });

  test("without the gateway's memory: all items are in the input", async () => {
    script(calling(call("echo", { message: "may I" })), "Thank you.");
    const tools = [{ ...mcp, require_approval: "always" }] as never;
    const asking = { model: "m", store: false, tools };
    const first = await client.responses.create({ ...asking, input: "Ask me" });
    const id = first.output.find(({ type }) => type === "mcp_approval_request")?.id;
    const answer = { type: "mcp_approval_response", approval_request_id: id, approve: true };
    const input = [{ role: "user", content: "Ask me" }, ...first.output, answer] as never;
    const second = await client.responses.create({ ...asking, input });
    expect(second.output.map(({ type }) => type)).toEqual(["mcp_call", "message"]);
    const again = [...(input as unknown[]), ...second.output, { role: "user", content: "So?" }];
    script("So it is.");
    const third = await client.responses.create({ ...asking, input: again as never });
    expect(third.output.map(({ type }) => type)).toEqual(["message"]);
    expect(JSON.stringify(messagesOf(asked[0])).match(/Echo: may I/g)).toHaveLength(1);
  });

  test.each([
    [{ type: "mcp", server_label: "everything", name: "echo" }, "echo"],
    [{ type: "mcp", server_label: "everything" }, "required"],
    ["required", "required"],
  ])("tool_choice %j holds for the first answer alone", async (tool_choice, first) => {
    script(calling(call("echo", { message: "hi" })), "ok");
    await client.responses.create({
      model: "m",
      input: "x",
      tools: [mcp as never],
      tool_choice: tool_choice as never,
    });
    const chosen = asked.map(({ body }) => body["tool_choice"]);
    const named = first === "required" ? first : { type: "function", function: { name: first } };
    expect(chosen).toEqual([named, undefined]);
  });

  test("the request's own limit of calls", async () => {
    script(calling(call("echo", { message: "1" }, "a"), call("echo", { message: "2" }, "b")), "ok");
    const response = await client.responses.create({
      ...{ model: "m", input: "x", max_tool_calls: 1 },
      tools: [mcp as never],
    });
    const calls = response.output as unknown as JsonObject[];
    expect(calls.slice(1, 3).map(({ status }) => status)).toEqual(["completed", "failed"]);
    expect(asked[1]?.body["tool_choice"]).toBe("none");
  });

  test("by the AI SDK's own tool for MCP", async () => {
    script(calling(call("echo", { message: "hi" })), "It said hi.");
    const openai = createOpenAI({ apiKey: master, baseURL: `${gateway.gateway.url}/v1` });
    const { serverLabel, serverUrl } = {
      serverLabel: "own",
      serverUrl: "litellm_proxy/everything",
    };
    const tools = { mcp: openai.tools.mcp({ serverLabel, serverUrl, requireApproval: "never" }) };
    const model = openai.responses("m");
    // Its types for tools of providers are not exact.
    const reply = await generateText({ model, tools: tools as unknown as ToolSet, prompt: "Hi" });
    expect(reply.text).toBe("It said hi.");
    expect(reply.staticToolResults.length + reply.dynamicToolResults.length).toBe(1);
  });

  test("a call that is not approved is not run, and the model hears why", async () => {
    script(calling(call("echo", { message: "no" })), "As you wish.");
    const tools = [{ ...mcp, require_approval: { always: { tool_names: ["echo"] } } }] as never;
    const first = await client.responses.create({ model: "m", input: "Ask me", tools });
    const id = first.output.find(({ type }) => type === "mcp_approval_request")?.id ?? "";
    const second = await client.responses.create({
      model: "m",
      previous_response_id: first.id,
      tools,
      input: [
        {
          type: "mcp_approval_response",
          approval_request_id: id,
          approve: false,
          reason: "too loud",
        },
      ],
    });
    expect(second.output.map(({ type }) => type)).toEqual(["message"]);
    expect(String(messagesOf(asked[1]).at(-1)?.["content"])).toContain("too loud");
  });

  test("an approval of nothing is refused", async () => {
    script("never");
    const input = [{ type: "mcp_approval_response", approval_request_id: "mcpr_x", approve: true }];
    const error = await failure(
      client.responses.create({ model: "m", input: input as never, tools: [mcp as never] }),
    );
    expect([error.status, error.param]).toEqual([400, "input[0].approval_request_id"]);
  });

  test("the caller's own functions end the turn, after the gateway's have run", async () => {
    script(calling(call("echo", { message: "x" }), call("mine", { y: 1 })), "never");
    const mine = { type: "function", name: "mine", parameters: { type: "object" }, strict: false };
    const response = await client.responses.create({
      model: "m",
      input: "Both",
      tools: [mcp, mine] as never,
    });
    expect(response.output.map(({ type }): string => type).sort()).toEqual([
      ...["function_call", "mcp_call", "mcp_list_tools"],
    ]);
    expect(asked).toHaveLength(1);
    script("All done.");
    const called = response.output.find(({ type }) => type === "function_call");
    const call_id = called?.type === "function_call" ? called.call_id : "";
    const next = await client.responses.create({
      model: "m",
      previous_response_id: response.id,
      tools: [mcp, mine] as never,
      input: [{ type: "function_call_output", call_id, output: "42" }],
    });
    expect(next.output_text).toBe("All done.");
    const conversation = JSON.stringify(messagesOf(asked[0]));
    expect(conversation).toContain("Echo: x");
    expect(conversation).toContain("42");
  });

  test("an unknown server is refused by name", async () => {
    script("never");
    const tools = [{ type: "mcp", server_label: "nobody" }] as never;
    const error = await failure(client.responses.create({ model: "m", input: "x", tools }));
    expect([error.status, error.param]).toEqual([404, "tools[0].server_label"]);
    expect(asked).toEqual([]);
  });

  test("LiteLLM's words for the gateway's own servers", async () => {
    script(calling(call("echo", { message: "hi" })), "ok");
    const own = { ...mcp, server_label: "litellm", server_url: "litellm_proxy/mcp/everything" };
    const response = await client.responses.create({
      model: "m",
      input: "x",
      tools: [own] as never,
    });
    expect(response.output[1]).toMatchObject({ server_label: "litellm", output: "Echo: hi" });
  });

  test("an address that a request gives may not be a private one", async () => {
    script("never");
    const tools = [
      { type: "mcp", server_label: "x", server_url: "http://127.0.0.1:9/mcp" },
    ] as never;
    const error = await failure(client.responses.create({ model: "m", input: "x", tools }));
    expect(error.status).toBeGreaterThanOrEqual(400);
    expect(error.message).toContain("127.0.0.1");
    const { events } = await streamed({ input: "x", tools: tools as never }).catch(() => ({
      events: [],
    }));
    expect(problemsOf(events)).toEqual([]);
    expect(asked).toEqual([]);
  });
});

describe("limits", () => {
  test("rounds: before the last the model is told to call no more", async () => {
    script(calling(call("echo", { message: "again" })));
    const response = await client.responses.create({
      model: "m",
      input: "x",
      tools: [mcp as never],
    });
    expect(asked.map(({ body }) => body["tool_choice"])).toEqual([
      ...[undefined, undefined, undefined, "none"],
    ]);
    expect(response.status).toBe("completed");
  });

  test("calls: those over it are told so", async () => {
    const many = Array.from({ length: 7 }, (_, i) => call("echo", { message: `n${i}` }, `c${i}`));
    script(calling(...many), "enough");
    const response = await client.responses.create({
      model: "m",
      input: "x",
      tools: [mcp as never],
    });
    const calls = response.output.filter(
      ({ type }) => type === "mcp_call",
    ) as unknown as JsonObject[];
    expect(calls.filter(({ error }) => error === null)).toHaveLength(5);
    expect(calls.filter(({ error }) => error !== null)).toHaveLength(2);
    expect(asked[1]?.body["tool_choice"]).toBe("none");
  });

  test("a large result is cut, and the model told", async () => {
    script(calling(call("echo", { message: "x".repeat(50_000) })), "long");
    const response = await client.responses.create({
      model: "m",
      input: "x",
      tools: [mcp as never],
    });
    const [, done] = response.output as unknown as JsonObject[];
    expect(String(done?.["output"])).toMatch(/\[cut: 4096 of 50006 bytes\]$/);
    expect(String(messagesOf(asked[1]).at(-1)?.["content"]).length).toBeLessThan(4_500);
  });

  test("arguments that are no JSON, and tools that fail, are the model's to mend", async () => {
    const broken = { id: "b", type: "function", function: { name: "echo", arguments: "{oops" } };
    script(calling(broken, call("get-sum", { a: "no" })), "sorry");
    const response = await client.responses.create({
      model: "m",
      input: "x",
      tools: [mcp as never],
    });
    const calls = response.output.filter(
      ({ type }) => type === "mcp_call",
    ) as unknown as JsonObject[];
    expect(calls.map(({ status }) => status)).toEqual(["failed", "failed"]);
    expect(api?.problems("Response", response) ?? []).toEqual([]);
    expect(response.output_text).toBe("sorry");
  });
});

describe("chat", () => {
  const tools = [{ type: "mcp", server_label: "everything" }] as never;
  const messages = [{ role: "user", content: "Say hi" }] as never;

  test("whole: the last message, usage of all rounds, what was done beside it", async () => {
    const first = calling(call("echo", { message: "hi" }));
    script({ ...first, message: { ...first.message, content: "Let me." } }, "It said hi.");
    const reply = await client.chat.completions.create({ model: "m", messages, tools });
    const [choice] = reply.choices;
    expect(choice?.message.content).toBe("Let me.\n\nIt said hi.");
    expect(choice?.finish_reason).toBe("stop");
    expect(choice?.message.tool_calls).toBeUndefined();
    expect(reply.usage).toMatchObject({ prompt_tokens: 200, completion_tokens: 20 });
    expect(choice?.message).toMatchObject({
      provider_specific_fields: {
        mcp_tool_calls: [{ function: { name: "echo" } }],
        mcp_call_results: [{ name: "echo", result: "Echo: hi" }],
      },
    });
  });

  test("streamed through the rounds", async () => {
    script(calling(call("echo", { message: "hi" })), "It said hi.");
    const stream = await client.chat.completions.create({
      model: "m",
      messages,
      tools,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    const reasons: (string | null)[] = [];
    let usage: unknown;
    const ids = new Set<string>();
    for await (const chunk of stream) {
      ids.add(chunk.id);
      text += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) reasons.push(chunk.choices[0].finish_reason);
      usage = chunk.usage ?? usage;
    }
    expect(text).toBe("It said hi.");
    expect(reasons).toEqual(["stop"]);
    expect(usage).toMatchObject({ prompt_tokens: 200, completion_tokens: 20 });
    expect(ids.size).toBe(1);
  });

  test("what was done goes back into the model with the message it stood beside", async () => {
    const mine = { type: "function", function: { name: "mine", parameters: { type: "object" } } };
    script(calling(call("echo", { message: "x" }), call("mine", { y: 1 }, "call_m")), "never");
    const first = await client.chat.completions.create({
      model: "m",
      messages,
      tools: [{ type: "mcp", server_label: "everything" }, mine] as never,
    });
    const [choice] = first.choices;
    expect(choice?.finish_reason).toBe("tool_calls");
    expect(choice?.message.tool_calls?.map(({ id }) => id)).toEqual(["call_m"]);
    script("Done.");
    await client.chat.completions.create({
      model: "m",
      tools: [{ type: "mcp", server_label: "everything" }, mine] as never,
      messages: [
        { role: "user", content: "Say hi" },
        choice?.message as never,
        { role: "tool", tool_call_id: "call_m", content: "42" },
      ],
    });
    const said = messagesOf(asked[0]);
    expect(said.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
      "tool",
    ]);
    expect(String(said[2]?.["content"])).toContain("Echo: x");
  });

  test("a tool that needs approval is the caller's to run", async () => {
    script(calling(call("echo", { message: "hi" })), "never");
    const reply = await client.chat.completions.create({
      model: "m",
      messages,
      tools: [{ type: "mcp", server_label: "everything", require_approval: "always" }] as never,
    });
    expect(reply.choices[0]?.message.tool_calls?.[0]).toMatchObject({ function: { name: "echo" } });
    expect(asked).toHaveLength(1);
  });
});

describe("messages, by Anthropic's client", () => {
  const servers = [
    { type: "url", name: "own", url: "litellm_proxy/mcp/everything" },
  ] as unknown as Anthropic.Beta.BetaRequestMCPServerURLDefinition[];
  const asking = {
    model: "m",
    max_tokens: 100,
    mcp_servers: servers,
    messages: [{ role: "user" as const, content: "Say hi" }],
    betas: ["mcp-client-2025-11-20"],
  };
  const toolset = (configs: object) =>
    [{ type: "mcp_toolset", mcp_server_name: "own", ...configs }] as never;

  test("calls and results are blocks, whole and streamed alike, and go back in", async () => {
    const answers = [calling(call("echo", { message: "hi" })), "It said hi."] as const;
    script(...answers);
    const whole = await anthropic.beta.messages.create(asking);
    expect(whole.content).toMatchObject([
      { type: "mcp_tool_use", name: "echo", server_name: "own", input: { message: "hi" } },
      { type: "mcp_tool_result", is_error: false, content: [{ type: "text", text: "Echo: hi" }] },
      { type: "text", text: "It said hi." },
    ]);
    expect(whole).toMatchObject({ role: "assistant", stop_reason: "end_turn" });
    expect(whole.usage).toMatchObject({ input_tokens: 200, output_tokens: 20 });
    script(...answers);
    const streamed = await anthropic.beta.messages.stream(asking).finalMessage();
    const shapes = (message: typeof whole) => message.content.map(({ type }) => type);
    expect(shapes(streamed)).toEqual(shapes(whole));
    script("Yes.");
    await anthropic.beta.messages.create({
      ...asking,
      messages: [
        ...asking.messages,
        { role: "assistant", content: whole.content as never },
        { role: "user", content: "Did it?" },
      ],
    });
    const said = messagesOf(asked[0]);
    expect(said.map(({ role }) => role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
      "user",
    ]);
    expect(String(said[2]?.["content"])).toMatch(/untrusted data[\s\S]*Echo: hi/);
  });

  test("a toolset says which tools there are", async () => {
    const names = () =>
      ((asked[0]?.body["tools"] ?? []) as { function: JsonObject }[]).map(
        (each) => each.function["name"],
      );
    script("ok");
    const some = { default_config: { enabled: false }, configs: { echo: { enabled: true } } };
    await anthropic.beta.messages.create({ ...asking, tools: toolset(some) });
    expect(names()).toEqual(["echo"]);
    script("ok");
    const others = { configs: { echo: { enabled: false } } };
    await anthropic.beta.messages.create({ ...asking, tools: toolset(others) });
    expect(names()).not.toContain("echo");
    expect(names()).toContain("get-sum");
  });

  test("the caller's own tools end the turn", async () => {
    script(calling(call("echo", { message: "x" }), call("mine", { y: 1 })), "never");
    const mine = { name: "mine", input_schema: { type: "object" as const } };
    const reply = await anthropic.beta.messages.create({ ...asking, tools: [mine] });
    expect(reply.stop_reason).toBe("tool_use");
    expect(reply.content.map(({ type }) => type).sort()).toEqual([
      ...(["mcp_tool_result", "mcp_tool_use", "tool_use"] as const),
    ]);
    expect(asked).toHaveLength(1);
  });
});

describe("the calls behind it", () => {
  test("every round and every tool has a receipt under the request's id", async () => {
    script(calling(call("echo", { message: "hi" })), "ok");
    const append = spyOn(gateway.gateway.services().events, "append");
    const { data, response } = await client.responses
      .create(
        { model: "m", input: "x", tools: [mcp as never] },
        { headers: { "x-request-id": "req-hosted-1" } },
      )
      .withResponse();
    expect(response.headers.get("x-litellm-model-id")).not.toBeNull();
    const cost = Number(response.headers.get("x-litellm-response-cost"));
    expect(cost).toBeCloseTo(2 * (100 * 1e-6 + 10 * 2e-6), 9);
    const id =
      response.headers.get("x-routeiq-call-id") ?? response.headers.get("x-litellm-call-id");
    const receipt = await fetch(`${gateway.gateway.url}/v1/routing/decisions/${id}`, {
      headers: { authorization: `Bearer ${master}` },
    });
    expect(await receipt.json()).toMatchObject({ operation: "chat", outcome: "success" });
    expect(data.status).toBe("completed");
    const left = append.mock.calls.map(([{ receipt }]) => receipt);
    append.mockRestore();
    expect(left.map(({ operation }) => operation)).toEqual(["chat", "mcp_tool", "chat"]);
    expect(new Set(left.map(({ requestId }) => requestId))).toEqual(new Set(["req-hosted-1"]));
    expect(left.every(({ outcome }) => outcome === "success")).toBe(true);
  });

  test("a caller who leaves stops the model", async () => {
    script(calling(call("echo", { message: "hi" })), { hang: true });
    const left = models.left.length;
    const stream = await client.responses.create({
      model: "m",
      input: "x",
      stream: true,
      tools: [mcp as never],
    });
    for await (const event of stream) if (event.type === "response.mcp_call.completed") break;
    stream.controller.abort();
    await models.whenLeft(left + 1);
    expect(models.left.length).toBe(left + 1);
  });
});

async function streamed(body: JsonObject) {
  const stream = await client.responses.create({ model: "m", stream: true, ...body } as never);
  const events: ResponseStreamEvent[] = [];
  for await (const event of stream as unknown as AsyncIterable<ResponseStreamEvent>)
    events.push(event);
  const last = events.at(-1) as unknown as { response: Response };
  return { events, last: last.response };
}

/** What of the events is not as OpenAI's own document has it; nothing where it is not there. */
function problemsOf(events: readonly ResponseStreamEvent[]): readonly string[] {
  return events.flatMap((event) => api?.problems("ResponseStreamEvent", event) ?? []);
}

async function failure(asking: Promise<unknown>) {
  const thrown: unknown = await asking.catch((error: unknown) => error);
  if (!(thrown instanceof OpenAI.APIError)) throw thrown;
  return thrown;
}
