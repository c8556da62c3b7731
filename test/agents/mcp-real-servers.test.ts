/** The reference servers behind the gateway, spoken to by the protocol's own client. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

const modules = join(import.meta.dir, "../../node_modules/@modelcontextprotocol");
const server = (name: string) => realpathSync(join(modules, name, "dist/index.js"));
const folder = realpathSync(mkdtempSync(join(tmpdir(), "routeiq-mcp-")));
writeFileSync(join(folder, "hello.txt"), "hello from a file");

const master = "sk-mcp-0123456789ab";
let gateway: TestGateway;
beforeAll(async () => {
  const yaml = `
mcp_servers:
  everything: {command: node, args: [${server("server-everything")}, stdio]}
  files: {command: node, args: [${server("server-filesystem")}, ${folder}], allowed_tools: [read_text_file, list_directory]}
  memory: {command: node, args: [${server("server-memory")}], env: {MEMORY_FILE_PATH: ${folder}/memory.json}, access_groups: [notes]}
`;
  gateway = await startTestGateway({ yaml, env: { LITELLM_MASTER_KEY: master } });
});
afterAll(async () => {
  await gateway.gateway.close();
  rmSync(folder, { recursive: true, force: true });
});

const requestInit = { headers: { authorization: `Bearer ${master}` } };
const at = (path: string) => new URL(gateway.gateway.url + path);

async function open(path: string): Promise<Client> {
  const client = new Client(
    { name: "test", version: "1" },
    { capabilities: { sampling: {}, elicitation: {}, roots: { listChanged: true } } },
  );
  client.setRequestHandler(CreateMessageRequestSchema, async ({ params }) => ({
    role: "assistant",
    model: "mine",
    content: { type: "text", text: `sampled ${JSON.stringify(params.messages).length > 0}` },
  }));
  client.setRequestHandler(ElicitRequestSchema, async () => ({ action: "decline" }));
  client.setRequestHandler(ListRootsRequestSchema, async () => ({
    roots: [{ uri: `file://${folder}`, name: "mine" }],
  }));
  await client.connect(new StreamableHTTPClientTransport(at(path), { requestInit }));
  return client;
}

describe("/mcp, all servers as one", () => {
  let client: Client;
  beforeAll(async () => {
    client = await open("/mcp");
  });
  afterAll(() => client.close());

  test("tools have their server's name, in order, and only those that are allowed", async () => {
    const { tools } = await client.listTools();
    const names = tools.map(({ name }) => name);
    expect(names).toContain("everything.echo");
    expect(names).toContain("memory.create_entities");
    expect(names.filter((name) => name.startsWith("files."))).toEqual([
      "files.list_directory",
      "files.read_text_file",
    ]);
    expect(names).toEqual([...names].sort());
  });

  test("a tool's result comes with a mark of whose word it is, and leaves a receipt", async () => {
    const result = await client.callTool({ name: "everything.echo", arguments: { message: "hi" } });
    expect(result.content).toEqual([{ type: "text", text: "Echo: hi" }]);
    expect(result._meta).toMatchObject({
      "routeiq/server": "everything",
      "routeiq/untrusted": true,
    });
    const id = String(result._meta?.["routeiq/call_id"]);
    const response = await fetch(at(`/v1/routing/decisions/${id}`), requestInit);
    expect(await response.json()).toMatchObject({
      operation: "mcp_tool",
      requestedModel: "everything.echo",
      outcome: "success",
      caller: "master",
    });
  });

  test("a tool that is not allowed cannot be called by its name either", async () => {
    const path = join(folder, "x.txt");
    const call = client.callTool({ name: "files.write_file", arguments: { path, content: "x" } });
    expect(call).rejects.toThrow(/Unknown tool: files.write_file/);
  });

  test("files are read", async () => {
    const path = join(folder, "hello.txt");
    const result = await client.callTool({ name: "files.read_text_file", arguments: { path } });
    expect(JSON.stringify(result.content)).toContain("hello from a file");
  });

  test("progress reaches the caller", async () => {
    const heard: number[] = [];
    const params = {
      name: "everything.trigger-long-running-operation",
      arguments: { duration: 0.2, steps: 3 },
    };
    await client.callTool(params, undefined, {
      onprogress: ({ progress }) => heard.push(progress),
    });
    // The last one may be overtaken by the result, in every client of this library.
    expect(heard.slice(0, 2)).toEqual([1, 2]);
  });

  test("a server may ask the caller's model", async () => {
    const result = await client.callTool({
      name: "everything.trigger-sampling-request",
      arguments: { prompt: "x", maxTokens: 10 },
    });
    expect(JSON.stringify(result.content)).toContain("sampled true");
  });

  test("a server may ask the caller himself, and about his roots", async () => {
    const asked = await client.callTool({
      name: "everything.trigger-elicitation-request",
      arguments: {},
    });
    expect(JSON.stringify(asked.content)).toContain("declined");
    const roots = await client.callTool({ name: "everything.get-roots-list", arguments: {} });
    expect(JSON.stringify(roots.content)).toContain(folder);
  });

  test("prompts, resources, templates and completion", async () => {
    const { prompts } = await client.listPrompts();
    expect(prompts.map(({ name }) => name)).toContain("everything.simple-prompt");
    const prompt = await client.getPrompt({ name: "everything.simple-prompt" });
    expect(prompt.messages.length).toBeGreaterThan(0);
    const { resources } = await client.listResources();
    const [first] = resources;
    const read = await client.readResource({ uri: first?.uri ?? "" });
    expect(read.contents.length).toBe(1);
    const { resourceTemplates } = await client.listResourceTemplates();
    const text = resourceTemplates.find(({ uriTemplate }) => uriTemplate.includes("text"));
    const uri = (text?.uriTemplate ?? "").replace(/\{.*\}/, "1");
    expect((await client.readResource({ uri })).contents.length).toBe(1);
    const completed = await client.complete({
      ref: { type: "ref/prompt", name: "everything.completable-prompt" },
      argument: { name: "department", value: "E" },
    });
    expect(completed.completion.values).toContain("Engineering");
    expect(client.readResource({ uri: "nothing://here" })).rejects.toThrow(/no resource/);
  });

  test("logging is set everywhere", async () => {
    await client.setLoggingLevel("error");
  });
});

describe("/mcp/{server}", () => {
  test("one server under its own names, with what it offers", async () => {
    const client = await open("/mcp/memory");
    expect(client.getServerCapabilities()).not.toHaveProperty("prompts");
    const entities = [{ name: "gateway", entityType: "thing", observations: ["it works"] }];
    await client.callTool({ name: "create_entities", arguments: { entities } });
    const graph = await client.callTool({ name: "read_graph", arguments: {} });
    expect(JSON.stringify(graph)).toContain("it works");
    await client.close();
  });

  test("an access group's servers, and a name that is none", async () => {
    const client = await open("/mcp/notes");
    const { tools } = await client.listTools();
    expect(tools.every(({ name }) => name.startsWith("memory."))).toBe(true);
    await client.close();
    expect(open("/mcp/nobody")).rejects.toThrow(/none of this gateway's MCP servers/);
  });

  test("the older transport", async () => {
    const client = new Client({ name: "old", version: "1" });
    await client.connect(new SSEClientTransport(at("/mcp/sse"), { requestInit }));
    const result = await client.callTool({
      name: "everything.echo",
      arguments: { message: "old" },
    });
    expect(result.content).toEqual([{ type: "text", text: "Echo: old" }]);
    await client.close();
  });
});

describe("who is let in", () => {
  const post = (body: unknown, headers: Record<string, string> = {}) =>
    fetch(at("/mcp"), {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };

  test("not without a key", async () => {
    expect((await post(list)).status).toBe(401);
  });

  test("a single request needs no session and gets JSON", async () => {
    const response = await post(list, { ...requestInit.headers, "x-mcp-servers": "memory" });
    expect(response.status).toBe(200);
    const { result } = (await response.json()) as { result: { tools: { name: string }[] } };
    expect(result.tools.map(({ name }) => name)).toContain("memory.read_graph");
  });

  test("a page of another site is refused", async () => {
    const response = await post(list, { ...requestInit.headers, origin: "https://evil.example" });
    expect(response.status).toBe(403);
  });

  test("sessions that are not there", async () => {
    const headers = { ...requestInit.headers, "mcp-session-id": "nope" };
    expect((await post(list, headers)).status).toBe(404);
    expect((await fetch(at("/mcp"), requestInit)).status).toBe(400);
  });
});

test("opened to callers without a key, a wrong key is refused all the same", async () => {
  const yaml = "routeiq_settings: {mcp: {allow_anonymous: true}}\n";
  const opened = await startTestGateway({ yaml, env: { LITELLM_MASTER_KEY: master } });
  const list = (headers: Record<string, string>) =>
    fetch(`${opened.gateway.url}/mcp`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list" }),
    });
  expect((await list({})).status).toBe(200);
  expect((await list({ authorization: "Bearer sk-wrong-0123456789" })).status).toBe(401);
  await opened.gateway.close();
});
