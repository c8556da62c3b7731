/**
 * What a key opens, walked: every surface that has tools, stores, agents or skills, with keys that
 * open all, some, one tool, a group, and nothing. What is closed is in no list; who calls it is told
 * so in his own dialect, and it is written down.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "./support/mcp-fixture.ts";
import { startTalkingModels, type TalkingModels } from "./support/talking-models.ts";

const master = "sk-master-0123456789";
const simple = "test_simple_text";
const other = "test_image_content";

let it: TestGateway;
let models: TalkingModels;
let tools: HttpFixture;
let folder: string;
const stores: Record<string, string> = {};
const receipts: Receipt[] = [];

/** What each key's `object_permission` says, and what is open then. */
const keys: Readonly<Record<string, { readonly says?: string; readonly opens: RegExp }>> = {
  all: { opens: /./ },
  some: {
    says: `mcp_servers: [one, skills], vector_stores: [STORE_ONE], agents: [one], skills: [one]`,
    opens: /^one/,
  },
  tool: {
    says: `mcp_tool_permissions: {one: ["${simple}"]}, vector_stores: ["*_none"], agents: ["o*"], skills: []`,
    opens: /^(one\.test_simple_text|one agent)$/,
  },
  group: {
    says: "mcp_access_groups: [second], vector_stores: [], agents: [two], skills: [two]",
    opens: /^two(?! store)/,
  },
  nothing: {
    says: "mcp_servers: [], vector_stores: [], agents: [], skills: []",
    opens: /^$/,
  },
};
const keyOf = (name: string) => `sk-key-${name}-0123456789`;

const yaml = () => `
model_list:
  - {model_name: m, litellm_params: {model: openai/local, api_base: "${models.url}", api_key: none}}
general_settings:
  pass_through_endpoints: [{path: /way, target: "${models.url}", include_subpath: true}]
router_settings: {num_retries: 0}
agent_list: [{agent_name: one, model: m}, {agent_name: two, model: m}]
mcp_servers:
  one: {url: "${tools.url}", transport: http, access_groups: [first]}
  two: {url: "${tools.url}", transport: http, access_groups: [second]}
routeiq_settings:
  skills: {folder: "${folder}"}
  keys:
${Object.entries(keys)
  .map(([name, { says = "" }]) => {
    const permission = says.replace("STORE_ONE", stores["one"] ?? "vs_none");
    const listed = says === "" ? "" : `, object_permission: {${permission}}`;
    return `    ${name}: {api_key: ${keyOf(name)}${listed}}`;
  })
  .join("\n")}
`;

beforeAll(async () => {
  // The model calls whatever tool it is told of, once.
  models = startTalkingModels(({ body }) => {
    const said = body["messages"] as { readonly role: string }[];
    const [tool] = (body["tools"] ?? []) as { readonly function?: { readonly name: string } }[];
    if (!tool?.function || said.some(({ role }) => role === "tool")) return "done";
    const called = { name: tool.function.name, arguments: '{"queries":["q"]}' };
    const calls = [{ id: "c1", index: 0, type: "function", function: called }];
    return { message: { role: "assistant", content: null, tool_calls: calls } };
  });
  tools = startMcpFixture();
  folder = mkdtempSync(join(tmpdir(), "routeiq-grants-"));
  for (const name of ["one", "two"]) {
    mkdirSync(join(folder, name));
    const head = `---\nname: ${name}\nruntime: javascript\ninput_schema: {type: object}\n---\n# S\n\nIt.\n`;
    writeFileSync(join(folder, name, "SKILL.md"), head);
    writeFileSync(join(folder, name, "main.js"), "export default () => 'ran';");
  }
  const env = { LITELLM_MASTER_KEY: master };
  it = await startTestGateway({ yaml: yaml(), env, outbound: createOutbound() });
  for (const name of ["one", "two"]) {
    const made = await ask("POST", "/v1/vector_stores", master, { name });
    stores[name] = String(made.body["id"]);
  }
  it.setYaml(yaml());
  expect((await ask("POST", "/config/reload", master, {})).status).toBe(200);
  const log = it.gateway.services().events as { append: (event: CallEvent) => void };
  const { append } = log;
  log.append = (event) => {
    receipts.push(event.receipt);
    append(event);
  };
});
afterAll(async () => {
  await it.gateway.close();
  models.stop();
  await tools.close();
  rmSync(folder, { recursive: true });
});

interface Answer {
  readonly status: number;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

async function ask(method: string, path: string, key: string, json?: object): Promise<Answer> {
  const response = await fetch(it.gateway.url + path, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      accept: "application/json",
      ...(json ? { "content-type": "application/json" } : {}),
    },
    ...(json ? { body: JSON.stringify(json) } : {}),
  });
  const text = await response.text();
  const body = text.startsWith("{") ? JSON.parse(text) : {};
  return { status: response.status, text, body };
}

const rpc = (method: string, params: object) => ({ jsonrpc: "2.0", id: 1, method, params });
const mcpCall = (path: string, name: string, args: object = {}) => {
  return (key: string) => ask("POST", path, key, rpc("tools/call", { name, arguments: args }));
};
const user = [{ role: "user", content: "go" }];
const chat = (tool: object) => (key: string) =>
  ask("POST", "/v1/chat/completions", key, { model: "m", messages: user, tools: [tool] });
const respond = (tool: object) => (key: string) =>
  ask("POST", "/v1/responses", key, { model: "m", input: "go", tools: [tool] });
const message = (tool: object) => (key: string) =>
  ask("POST", "/v1/messages", key, { model: "m", max_tokens: 9, messages: user, tools: [tool] });
const mcpTool = (server: string, more: object = {}) => ({
  ...{ type: "mcp", server_label: server, require_approval: "never" },
  ...more,
});
const send = { message: { role: "ROLE_USER", messageId: "m1", parts: [{ text: "hi" }] } };

/** What is called, whose it is in the lists above, and how it is refused. */
type Call = readonly [surface: string, target: string, ask: (key: string) => Promise<Answer>];

const servers = ["one", "two"];
const calls: readonly Call[] = [
  ...servers.flatMap((name): readonly Call[] => [
    ["mcp", `${name}.${simple}`, mcpCall("/mcp", `${name}.${simple}`)],
    ["mcp, a tool", `${name}.${other}`, mcpCall("/mcp", `${name}.${other}`)],
    ["mcp of a server", `${name}.${simple}`, mcpCall(`/mcp/${name}`, simple)],
    [
      "search-and-call",
      `${name}.${simple}`,
      mcpCall("/mcp?mode=search", "call_tool", { name: `${name}.${simple}` }),
    ],
    [
      "mcp by REST",
      `${name}.${simple}`,
      (key) => ask("POST", "/llmrouter/mcp/tools/call", key, { tool_name: `${name}.${simple}` }),
    ],
    [
      "mcp by REST, a tool",
      `${name}.${other}`,
      (key) => ask("POST", "/llmrouter/mcp/tools/call", key, { tool_name: `${name}.${other}` }),
    ],
    [
      "a server by REST",
      `${name}.${simple}`,
      (key) => ask("GET", `/llmrouter/mcp/servers/${name}`, key),
    ],
    ["mcp in chat", `${name}.${simple}`, chat(mcpTool(name, { allowed_tools: [simple] }))],
    ["mcp in responses", `${name}.${simple}`, respond(mcpTool(name, { allowed_tools: [simple] }))],
    ["mcp in messages", `${name}.${simple}`, message(mcpTool(name, { allowed_tools: [simple] }))],
    [
      "mcp of the gateway's address",
      `${name}.${simple}`,
      respond(mcpTool("x", { server_url: `litellm_proxy/mcp/${name}` })),
    ],
    [
      "search",
      `${name} store`,
      (key) => ask("POST", `/v1/vector_stores/${stores[name]}/search`, key, { query: "q" }),
    ],
    ["a store", `${name} store`, (key) => ask("GET", `/v1/vector_stores/${stores[name]}`, key)],
    [
      "file search in chat",
      `${name} store`,
      (key) => chat({ type: "file_search", vector_store_ids: [stores[name]] })(key),
    ],
    [
      "file search in responses",
      `${name} store`,
      (key) => respond({ type: "file_search", vector_store_ids: [stores[name]] })(key),
    ],
    ["a2a", `${name} agent`, (key) => ask("POST", `/a2a/${name}`, key, rpc("SendMessage", send))],
    [
      "a2a of the gateway",
      `${name} agent`,
      (key) => ask("POST", "/a2a", key, rpc("SendMessage", { ...send, tenant: name })),
    ],
    ["a2a by REST", `${name} agent`, (key) => ask("POST", `/a2a/${name}/message:send`, key, send)],
    ["an agent", `${name} agent`, (key) => ask("GET", `/v1/agents/${name}`, key)],
    ["a skill", `${name} skill`, (key) => ask("POST", `/v1/skills/${name}/run`, key, {})],
    ["a skill in chat", `${name} skill`, chat({ type: "skill", skill_id: name })],
    ["a skill in responses", `${name} skill`, respond({ type: "skill", skill_id: name })],
  ]),
  // Both its lists have to open it: as a skill, and as an MCP server.
  ...servers.map((name): Call => [`skills of mcp`, `${name} skill`, mcpCall("/mcp/skills", name)]),
  [
    "a server elsewhere",
    "elsewhere",
    (key) => respond(mcpTool("x", { server_url: "https://192.0.2.1/mcp" }))(key),
  ],
  [
    "a connector",
    "elsewhere",
    (key) => respond(mcpTool("x", { connector_id: "connector_x" }))(key),
  ],
  [
    "a provider's store",
    "elsewhere",
    (key) => respond({ type: "file_search", vector_store_ids: ["vs_theirs"] })(key),
  ],
  ["a way through", "elsewhere", (key) => ask("POST", "/way/completions", key, { model: "m" })],
  ["a new store", "elsewhere", (key) => ask("POST", "/v1/vector_stores", key, { name: "mine" })],
];

/** Skills by MCP need `skills` among the servers, too. */
const isOpen = (key: string, surface: string, target: string) =>
  surface === "skills of mcp" && key === "group" ? false : keys[key]?.opens.test(target) === true;

describe.each(Object.keys(keys))("key %s", (key) => {
  test.each(calls)("%s: %s", async (surface, target, run) => {
    const denied = receipts.length;
    const lines = it.log.length;
    const { status, text } = await run(keyOf(key));
    const isRefused = /does not open the/.test(text);
    expect({ isRefused, text: isRefused ? "" : text }).toEqual({
      isRefused: !isOpen(key, surface, target),
      text: isRefused ? "" : text,
    });
    if (!isRefused) {
      expect(text).not.toContain("permission_denied");
      return;
    }
    // In JSON-RPC it is an answer.
    if (status !== 200) expect(status).toBe(403);
    expect(text).toMatch(/permission_denied|permission_error|PERMISSION_DENIED/);
    const written = receipts.slice(denied).filter(({ error }) => error === "permission_denied");
    expect(written[0]).toMatchObject({ caller: `key:${key}`, outcome: "failure" });
    expect(it.log.slice(lines).some((line) => line.includes("permission.denied"))).toBe(true);
  });

  test("lists have what it opens, and nothing else", async () => {
    const open = (what: string) => keys[key]?.opens.test(what) === true;
    const at = (path: string) => ask("GET", path, keyOf(key));
    const expectNames = (text: string, what: (name: string) => string, named: string) => {
      for (const name of servers) {
        const shown = text.includes(named.replace("NAME", name));
        expect(`${name} in ${text.slice(0, 60)}: ${shown}`).toBe(
          `${name} in ${text.slice(0, 60)}: ${open(what(name))}`,
        );
      }
    };
    const tool = (name: string) => `${name}.${simple}`;
    const list = async (path: string, name: string, params: object) =>
      (await ask("POST", path, keyOf(key), rpc(name, params))).text;
    expectNames(await list("/mcp", "tools/list", {}), tool, `"NAME.${simple}"`);
    expectNames(
      await list("/mcp", "tools/list", {}),
      (name) => `${name}.${other}`,
      `"NAME.${other}"`,
    );
    const query = { query: "simple text response", limit: 20 };
    const found = { name: "search_tools", arguments: query };
    expectNames(await list("/mcp?mode=search", "tools/call", found), tool, `NAME.${simple}`);
    for (const path of ["/v1/mcp/tools", "/llmrouter/mcp/tools"]) {
      expectNames((await at(path)).text, tool, `"NAME.${simple}"`);
    }
    for (const path of ["/v1/mcp/server", "/v1/mcp/registry.json", "/llmrouter/mcp/servers"]) {
      expectNames(
        (await at(path)).text,
        tool,
        `"name":"NAME"`.replace("name", path === "/v1/mcp/server" ? "server_name" : "name"),
      );
    }
    for (const path of ["/v1/agents", "/a2a/agents"]) {
      expectNames((await at(path)).text, (name) => `${name} agent`, `"agent_name":"NAME"`);
    }
    const { text } = await at("/v1/vector_stores");
    // Stores are their makers': a key sees those of others where it names them.
    expect(text.includes(String(stores["one"]))).toBe(key === "some");
    expect(text).not.toContain(String(stores["two"]));
    if (open("one skill") || open("two skill")) {
      const skills = await list("/mcp", "tools/list", {});
      if (key !== "group") expectNames(skills, (name) => `${name} skill`, '"skills.NAME"');
    }
  });
});

test("a key that is configured no more opens nothing of what it had begun", async () => {
  const { grantsOf } = await import("../src/pipeline/grants.ts");
  const { nothingGranted } = await import("../src/domain/grants.ts");
  const gone = { id: "key:gone", tenant: "default", admin: false };
  expect(grantsOf(gone, it.gateway.services())).toBe(nothingGranted);
});
