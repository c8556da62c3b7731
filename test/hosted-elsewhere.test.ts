/**
 * Tools that the gateway runs where no caller waits for them: in lines of a batch, in runs of
 * assistants, in responses in the background; and the limits that a turn has. By OpenAI's own client.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import OpenAI, { toFile } from "openai";
import type { Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "./support/mcp-fixture.ts";
import {
  type Question,
  type Reaction,
  startTalkingModels,
  type TalkingModels,
} from "./support/talking-models.ts";

const master = "sk-elsewhere-0123456789";
const simple = "test_simple_text";
let it: TestGateway;
let models: TalkingModels;
let tools: HttpFixture;
let folder: string;
/** The same with little time. */
let strict: TestGateway;
let client: OpenAI;
let hurried: OpenAI;
let react: (question: Question) => Reaction = () => "done";
let asked: Question[] = [];
const receipts: Receipt[] = [];

beforeAll(async () => {
  models = startTalkingModels((question) => {
    asked.push(question);
    return react(question);
  });
  tools = startMcpFixture();
  folder = mkdtempSync(join(tmpdir(), "routeiq-elsewhere-"));
  mkdirSync(join(folder, "adder"));
  const head = `---\nname: adder\nruntime: javascript\ninput_schema: {type: object}\n---\n# S\n\nAdds.\n`;
  writeFileSync(join(folder, "adder", "SKILL.md"), head);
  writeFileSync(join(folder, "adder", "main.js"), "export default ({a, b}) => a + b;");
  const yaml = (limits: string) => `
model_list:
  - model_name: m
    litellm_params: {model: openai/local, api_base: "${models.url}", api_key: none}
    model_info: {input_cost_per_token: 0.001, output_cost_per_token: 0.002}
router_settings: {num_retries: 0}
mcp_servers: {fixture: {url: "${tools.url}", transport: http, mcp_info: {mcp_server_cost_info: {default_cost_per_query: 0.5}}}}
routeiq_settings:
  skills: {folder: "${folder}"}
  hosted_tools: {${limits}}
`;
  const start = (limits: string) =>
    startTestGateway({
      yaml: yaml(limits),
      env: { LITELLM_MASTER_KEY: master },
      outbound: createOutbound(),
    });
  [it, strict] = await Promise.all([
    start("max_cost_usd: 2"),
    start("max_tools: 3, max_seconds: 1"),
  ]);
  const clientOf = ({ gateway }: TestGateway) =>
    new OpenAI({ apiKey: master, baseURL: `${gateway.url}/v1`, maxRetries: 0 });
  client = clientOf(it);
  hurried = clientOf(strict);
  const log = it.gateway.services().events as { append: (event: CallEvent) => void };
  const { append } = log;
  log.append = (event) => {
    receipts.push(event.receipt);
    append(event);
  };
});
afterAll(async () => {
  await Promise.all([it.gateway.close(), strict.gateway.close()]);
  models.stop();
  await tools.close();
  rmSync(folder, { recursive: true });
});

const calling = (name: string, args: object = {}) => ({
  message: {
    role: "assistant",
    content: null,
    tool_calls: [
      { id: "c1", index: 0, type: "function", function: { name, arguments: JSON.stringify(args) } },
    ],
  },
  finish: "tool_calls",
});
/** The first tool that it is told of, and then its last word. */
function callsOnce(args: object = {}): void {
  asked = [];
  react = ({ body }) => {
    const messages = body["messages"] as { readonly role: string }[];
    const [tool] = body["tools"] as { readonly function: { readonly name: string } }[];
    const answered = messages.some(({ role }) => role === "tool");
    return answered || !tool ? "All done." : calling(tool.function.name, args);
  };
}
const mcp = {
  type: "mcp",
  server_label: "fixture",
  require_approval: "never",
  allowed_tools: [simple],
};
const skill = { type: "skill", skill_id: "adder" };
const toldLast = () =>
  JSON.stringify((asked.at(-1)?.body["messages"] as object[] | undefined)?.at(-1));

async function storeOf(text: string): Promise<string> {
  const file = await client.files.create({
    file: await toFile(Buffer.from(text), "facts.txt"),
    purpose: "assistants",
  });
  const store = await client.vectorStores.create({ name: "facts" });
  const put = await client.vectorStores.files.createAndPoll(
    store.id,
    { file_id: file.id },
    { pollIntervalMs: 10 },
  );
  expect(put.status).toBe("completed");
  return store.id;
}

/** Its lines of answers, and of failures. */
async function runBatch(endpoint: "/v1/responses" | "/v1/chat/completions", bodies: object[]) {
  const lines = bodies.map((body, i) =>
    JSON.stringify({ custom_id: `l${i}`, method: "POST", url: endpoint, body }),
  );
  const file = await client.files.create({
    file: await toFile(Buffer.from(lines.join("\n")), "lines.jsonl"),
    purpose: "batch",
  });
  let batch = await client.batches.create({
    input_file_id: file.id,
    endpoint,
    completion_window: "24h",
  });
  while (!/completed|failed|expired|cancelled/.test(batch.status)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    batch = await client.batches.retrieve(batch.id);
  }
  const read = async (id: string | null | undefined) => {
    if (!id) return [];
    const text = await (await client.files.content(id)).text();
    const rows = text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    return rows.toSorted((a, b) => (a.custom_id < b.custom_id ? -1 : 1));
  };
  const answers = await read(batch.output_file_id);
  return { batch, answers, failures: await read(batch.error_file_id) };
}

describe("lines of a batch", () => {
  test("of the Responses API run servers' tools, skills and searches", async () => {
    const store = await storeOf("The engine of the boat has six cylinders.");
    callsOnce({ a: 2, b: 3, queries: ["engine"] });
    const search = { type: "file_search", vector_store_ids: [store] };
    const of = (tool: object) => ({ model: "m", input: "go", tools: [tool] });
    const before = receipts.length;
    const { batch, answers, failures } = await runBatch("/v1/responses", [
      of(mcp),
      of(skill),
      of(search),
    ]);
    expect(failures).toEqual([]);
    expect(batch.request_counts).toMatchObject({ total: 3, completed: 3, failed: 0 });
    const outputs = answers.map(({ response }) => response.body.output);
    expect(outputs[0]).toContainEqual(
      expect.objectContaining({
        ...{ type: "mcp_call", name: simple, error: null },
        output: "This is a simple text response for testing.",
      }),
    );
    expect(outputs[1]).toContainEqual(
      expect.objectContaining({ type: "mcp_call", server_label: "skills", output: "5" }),
    );
    expect(outputs[2]).toContainEqual(
      expect.objectContaining({ type: "file_search_call", status: "completed" }),
    );
    for (const output of outputs) {
      expect(output.at(-1)).toMatchObject({ type: "message", status: "completed" });
    }
    // Two answers of the model, and what the tool costs.
    const costs = answers.map(({ usage }) => usage.cost_usd);
    expect(costs[0]).toBeCloseTo(0.74, 6);
    expect(costs[1]).toBeCloseTo(0.24, 6);
    const ran = receipts.slice(before).map(({ operation }) => operation);
    for (const operation of ["mcp_tool", "skill_run", "vector_search"]) {
      expect(ran).toContain(operation);
    }
  });

  test("of chat as well; what needs approval comes back, and a line's failure is its own", async () => {
    callsOnce({ a: 1, b: 1 });
    const messages = [{ role: "user", content: "go" }];
    const { answers, failures } = await runBatch("/v1/chat/completions", [
      { model: "m", messages, tools: [mcp] },
      { model: "m", messages, tools: [{ ...mcp, require_approval: "always" }] },
      { model: "m", messages, tools: [{ ...mcp, server_label: "nobody" }] },
    ]);
    const [ran, waits] = answers.map(({ response }) => response.body.choices[0]);
    expect(ran.message.content).toBe("All done.");
    expect(ran.message.provider_specific_fields.mcp_call_results).toHaveLength(1);
    expect(waits.finish_reason).toBe("tool_calls");
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatchObject({ custom_id: "l2", error: { code: "not_found" } });
  });
});

describe("runs of assistants", () => {
  const options = { pollIntervalMs: 10 };
  async function runOf(tool: object, by = client) {
    const assistant = await by.beta.assistants.create({ model: "m", tools: [tool as never] });
    const thread = await by.beta.threads.create({
      messages: [{ role: "user", content: "go" }],
    });
    const body = { assistant_id: assistant.id };
    const run = await by.beta.threads.runs.createAndPoll(thread.id, body, options);
    const { data: steps } = await by.beta.threads.runs.steps.list(run.id, {
      thread_id: thread.id,
    });
    const [said] = (await by.beta.threads.messages.list(thread.id)).data;
    return { run, steps, said, thread };
  }

  test.each([
    ["a server's tool", mcp, simple, "This is a simple text response for testing."],
    ["a skill", skill, "adder", "5"],
  ])("%s is run, shown as a step, and told to the model as data", async (_, tool, name, output) => {
    callsOnce({ a: 2, b: 3 });
    const { run, steps, said } = await runOf(tool);
    expect(run).toMatchObject({ status: "completed", usage: { total_tokens: 220 } });
    expect(said?.content).toMatchObject([{ text: { value: "All done." } }]);
    const calls = steps.find(({ type }) => type === "tool_calls");
    expect(calls?.step_details).toMatchObject({
      tool_calls: [{ type: "function", function: { name, output } }],
    });
    expect(toldLast()).toMatch(/untrusted data/);
  });

  test("a call that needs approval is the caller's to make", async () => {
    callsOnce();
    const { run, thread } = await runOf({ ...mcp, require_approval: "always" });
    expect(run.status).toBe("requires_action");
    const [call] = run.required_action?.submit_tool_outputs.tool_calls ?? [];
    expect(call?.function.name).toBe(simple);
    const outputs = [{ tool_call_id: call?.id ?? "", output: "from the caller" }];
    const ended = await client.beta.threads.runs.submitToolOutputsAndPoll(
      run.id,
      { thread_id: thread.id, tool_outputs: outputs },
      options,
    );
    expect(ended.status).toBe("completed");
    expect(toldLast()).toContain("from the caller");
  });

  test("a server that is not there fails the run, with its name", async () => {
    callsOnce();
    const { run } = await runOf({ ...mcp, server_label: "nobody" });
    expect(run).toMatchObject({ status: "failed", last_error: { code: "server_error" } });
    expect(run.last_error?.message).toContain("nobody");
  });

  test("their time and money have the limits of chat's", async () => {
    react = () => ({ hang: true });
    const late = await runOf(mcp, hurried);
    expect(late.run).toMatchObject({ status: "failed" });
    expect(late.run.last_error?.message).toContain("hosted_tools.max_seconds");
    react = () => calling(simple);
    const dear = await runOf(mcp);
    expect(dear.run.last_error?.message).toContain("hosted_tools.max_cost_usd");
  });

  test.each(["authorization", "headers"])("%s is not kept", async (name) => {
    const tool = { ...mcp, server_url: "https://mcp.example", [name]: "secret" };
    const made = client.beta.assistants.create({ model: "m", tools: [tool as never] });
    const error = await made.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ status: 400, param: `tools[0].${name}` });
  });
});

test("a response in the background runs them, and is had when it is done", async () => {
  callsOnce({ a: 1, b: 2 });
  let response = await client.responses.create({
    model: "m",
    input: "go",
    background: true,
    tools: [mcp as never],
  });
  while (response.status === "queued" || response.status === "in_progress") {
    await new Promise((resolve) => setTimeout(resolve, 20));
    response = await client.responses.retrieve(response.id);
  }
  expect(response.status).toBe("completed");
  expect(response.output.map(({ type }) => type)).toEqual([
    "mcp_list_tools",
    "mcp_call",
    "message",
  ]);
});

describe("limits of a turn", () => {
  test("more tools than max_tools are refused before the model is asked", async () => {
    callsOnce();
    const { allowed_tools: _, ...all } = mcp;
    const asking = hurried.responses.create({ model: "m", input: "go", tools: [all as never] });
    const error = await asking.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ status: 400, param: "tools" });
    expect(String(error)).toContain("hosted_tools.max_tools");
    expect(asked).toEqual([]);
  });

  test("max_seconds ends a turn, whole or streamed, and lets go of the model", async () => {
    react = () => ({ hang: true });
    const left = models.left.length;
    const asking = hurried.responses.create({ model: "m", input: "go", tools: [mcp as never] });
    const error = await asking.then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    expect(error).toMatchObject({ code: "hosted_tool_limit" });
    expect(String(error)).toContain("1 s");
    await models.whenLeft(left + 1);
  });
});
