/** Skills as tools of MCP and as A2A agents, by the reference clients of both; and whose they are. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

let it: TestGateway;
let folder: string;
const master = "sk-master-0123456789";

const programs: Readonly<Record<string, readonly [front: string, code: string]>> = {
  adder: [
    "description: Adds two numbers.\ninput_schema: {type: object, properties: {a: {type: number}, b: {type: number}}, required: [a, b]}",
    "export default ({a, b}) => { console.log('adding'); return {sum: a + b}; };",
  ],
  shouter: [
    "input_schema: {type: object, properties: {text: {type: string}}, required: [text]}",
    "export default ({text}) => text.toUpperCase() + '!';",
  ],
  thrower: ["description: Fails.", "export default () => { throw new Error('as it must') };"],
  sleeper: ["description: Never ends.", "export default () => { for (;;) {} };"],
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "routeiq-surfaces-"));
  for (const [name, [front, code]] of Object.entries(programs)) {
    mkdirSync(join(folder, name));
    const text = `---\nname: ${name}\nruntime: javascript\n${front}\n---\nA skill.\n`;
    writeFileSync(join(folder, name, "SKILL.md"), text);
    writeFileSync(join(folder, name, "main.js"), code);
  }
  mkdirSync(join(folder, "prose"));
  writeFileSync(join(folder, "prose", "SKILL.md"), "# Prose\n\nTo be read.\n");
  const agents = Object.keys(programs).map((name) => `  - {agent_name: ${name}, skill: ${name}}`);
  it = await startTestGateway({
    yaml: `
model_list: [{model_name: m, litellm_params: {model: openai/m, api_key: k}}]
routeiq_settings: {skills: {folder: "${folder}", timeout_ms: 20000}}
agent_list:
${agents.join("\n")}
  - {agent_name: gone, skill: nowhere}
`,
    env: { LITELLM_MASTER_KEY: master },
  });
});
afterAll(async () => {
  await it.gateway.close();
  rmSync(folder, { recursive: true });
});

const headers = { authorization: `Bearer ${master}` };

describe("over MCP", () => {
  async function connect(path: string): Promise<Client> {
    const client = new Client({ name: "test", version: "1" });
    const url = new URL(`${it.gateway.url}${path}`);
    const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers } });
    // Its optional members are not exact.
    await client.connect(transport as Parameters<Client["connect"]>[0]);
    return client;
  }

  test("those that run are tools, under a namespace, with their schemas", async () => {
    const client = await connect("/mcp");
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name)).toEqual(
      ["adder", "shouter", "sleeper", "thrower"].map((name) => `skills.${name}`),
    );
    expect(tools[0]).toMatchObject({
      description: "Adds two numbers.",
      inputSchema: { type: "object", required: ["a", "b"] },
    });
    const result = await client.callTool({ name: "skills.adder", arguments: { a: 2, b: 3 } });
    expect(result).toMatchObject({
      content: [{ type: "text", text: '{"sum":5}' }],
      structuredContent: { sum: 5 },
      _meta: { "routeiq/logs": ["adding"], "routeiq/server": "skills", "routeiq/untrusted": true },
    });
    await client.close();
  });

  test.each([
    ["thrower", {}, "as it must"],
    ["adder", { a: 1 }, "does not fit the skill's schema"],
  ])("what goes wrong in %s is the tool's own error", async (name, args, why) => {
    const client = await connect("/mcp/skills");
    const result = await client.callTool({ name, arguments: args });
    expect([result.isError, JSON.stringify(result.content)]).toEqual([
      true,
      expect.stringContaining(why),
    ]);
    await client.close();
  });
});

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is tested
type Body = Record<string, any>;

async function rpc(agent: string, method: string, params: unknown): Promise<Body> {
  const response = await fetch(`${it.gateway.url}/a2a/${agent}`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return (await response.json()) as Body;
}

let sent = 0;
const message = (part: object, more: object = {}) => ({
  message: { messageId: `m${++sent}`, role: "ROLE_USER", parts: [part], ...more },
});

describe("as A2A agents", () => {
  test("data is the input, the output an artifact", async () => {
    const { result } = await rpc("adder", "SendMessage", message({ data: { a: 20, b: 22 } }));
    expect(result.task).toMatchObject({
      status: { state: "TASK_STATE_COMPLETED" },
      artifacts: [{ name: "output", parts: [{ data: { sum: 42 } }] }],
    });
  });

  test("a text is the one text that is asked for, or JSON", async () => {
    const plain = await rpc("shouter", "SendMessage", message({ text: "hello" }));
    expect(plain["result"].task.artifacts[0].parts).toEqual([{ text: "HELLO!" }]);
    const json = await rpc("adder", "message/send", {
      message: {
        ...{ kind: "message", messageId: "x", role: "user" },
        parts: [{ kind: "text", text: '{"a": 1, "b": 1}' }],
      },
    });
    expect(json["result"]).toMatchObject({
      kind: "task",
      status: { state: "completed" },
      artifacts: [{ parts: [{ kind: "data", data: { sum: 2 } }] }],
    });
  });

  test("what is missing is asked for, and added to what was said", async () => {
    const first = (await rpc("adder", "SendMessage", message({ data: { a: 5 } })))["result"].task;
    expect(first.status.state).toBe("TASK_STATE_INPUT_REQUIRED");
    expect(first.status.message.parts[0].text).toContain('"required":["a","b"]');
    const ids = { taskId: first.id, contextId: first.contextId };
    const { result } = await rpc("adder", "SendMessage", message({ data: { b: 6 } }, ids));
    expect(result.task).toMatchObject({
      id: first.id,
      status: { state: "TASK_STATE_COMPLETED" },
      artifacts: [{ parts: [{ data: { sum: 11 } }] }],
    });
  });

  test("a program that fails fails the task, in its own words", async () => {
    const { result } = await rpc("thrower", "SendMessage", message({ data: {} }));
    expect(result.task.status.state).toBe("TASK_STATE_FAILED");
    expect(result.task.status.message.parts[0].text).toContain("as it must");
  });

  test("one in an endless loop is cancelled, and others run on", async () => {
    const asked = { ...message({ data: {} }), configuration: { returnImmediately: true } };
    const { task } = (await rpc("sleeper", "SendMessage", asked))["result"];
    const cancelled = await rpc("sleeper", "CancelTask", { id: task.id });
    expect(cancelled["result"].status.state).toBe("TASK_STATE_CANCELED");
    const { result } = await rpc("adder", "SendMessage", message({ data: { a: 1, b: 2 } }));
    expect(result.task.status.state).toBe("TASK_STATE_COMPLETED");
  });

  test("streams as any agent does", async () => {
    const response = await fetch(`${it.gateway.url}/a2a/adder/message:stream`, {
      method: "POST",
      headers: { ...headers, "content-type": "application/json" },
      body: JSON.stringify(message({ data: { a: 1, b: 2 } })),
    });
    const events = (await response.text())
      .split("\n\n")
      .filter((frame) => frame.startsWith("data: "))
      .map((frame) => Object.keys(JSON.parse(frame.slice(6)))[0]);
    expect(events).toEqual(["task", "statusUpdate", "artifactUpdate", "statusUpdate"]);
  });

  test("its card says what it takes", async () => {
    const at = `${it.gateway.url}/a2a/adder/.well-known/agent-card.json`;
    const card = (await (await fetch(at, { headers: { "a2a-version": "1.0" } })).json()) as Body;
    expect(card).toMatchObject({
      name: "adder",
      description: "Adds two numbers.",
      defaultInputModes: ["application/json", "text/plain"],
      skills: [{ id: "adder", tags: ["skill"] }],
    });
    expect(JSON.stringify(card["capabilities"])).toContain('"required":["a","b"]');
  });

  const refused: readonly (readonly [string, string, object, string])[] = [
    ["a file", "adder", message({ raw: "AAAA", mediaType: "image/png" }), "reads data"],
    [
      "another form of answer",
      "adder",
      { ...message({ data: {} }), configuration: { acceptedOutputModes: ["image/png"] } },
      "image/png",
    ],
  ];
  test.each(refused)("%s is refused before there is a task", async (_name, agent, params, why) => {
    const { error } = await rpc(agent, "SendMessage", params);
    expect([error.code, error.message]).toEqual([-32005, expect.stringContaining(why)]);
  });

  test("one whose skill is not there says so", async () => {
    const { result } = await rpc("gone", "SendMessage", message({ data: {} }));
    expect(result.task.status.state).toBe("TASK_STATE_FAILED");
    expect(result.task.status.message.parts[0].text).toContain("no longer there");
  });
});
