/**
 * Clients and servers of different revisions through the gateway, by both major versions of the
 * protocol's SDK: whatever a server asks or tells reaches the client, in the client's own way.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { realpathSync } from "node:fs";
import { join } from "node:path";
import type { Client as StatelessClient } from "@modelcontextprotocol/client";
import { Client as SessionClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as SessionTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
  ListRootsRequestSchema,
  LoggingMessageNotificationSchema,
  ResourceUpdatedNotificationSchema,
  ToolListChangedNotificationSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { connectStateless, elicited, eventually } from "../support/mcp-clients.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";
import { createModernFixture } from "../support/mcp-modern-fixture.ts";

const modules = join(import.meta.dir, "../../node_modules/@modelcontextprotocol");
const everything = realpathSync(join(modules, "server-everything/dist/index.js"));
const modern = createModernFixture();
let older: HttpFixture;
let newer: HttpFixture;
let gateway: TestGateway;
beforeAll(async () => {
  older = startMcpFixture();
  newer = startMcpFixture({ modern, isModernOnly: true });
  const yaml = `
mcp_servers:
  older: {url: "${older.url}"}
  newer: {url: "${newer.url}"}
  everything: {command: node, args: [${everything}, stdio]}
  lines: {command: ${process.execPath}, args: [${join(import.meta.dir, "../support/mcp-stdio-server.ts")}]}
`;
  gateway = await startTestGateway({ yaml, outbound: createOutbound() });
});
afterAll(async () => {
  await gateway.gateway.close();
  await older.close();
  await newer.close();
});
const at = (path: string) => new URL(`${gateway.gateway.url}${path}`);
const textOf = (result: unknown) => JSON.stringify((result as { content: unknown }).content);

describe("a client of 2026-07-28 and a server with sessions", () => {
  let client: StatelessClient;
  beforeAll(async () => {
    client = await connectStateless(at("/mcp/older"));
  });
  afterAll(() => client.close());

  // The tool, its arguments, and what of the client's answer is in its result.
  const asking: readonly (readonly [string, Record<string, unknown>, string])[] = [
    ["test_elicitation", { message: "Who?" }, elicited],
    ["test_sampling", { prompt: "Say it" }, "sampled"],
    ["test_elicitation_sep1330_enums", {}, elicited],
  ];
  test.each(asking)("%s: what it asks comes to the client, its answer to it", async (...row) => {
    const [name, args, answer] = row;
    expect(textOf(await client.callTool({ name, arguments: args }))).toContain(answer);
  });

  test("many calls at once, each with its own answers", async () => {
    const results = await Promise.all(
      Array.from({ length: 8 }, () =>
        client.callTool({ name: "test_elicitation", arguments: { message: "Who?" } }),
      ),
    );
    for (const result of results) expect(textOf(result)).toContain(elicited);
  });

  test("log lines are heard by who asks for them", async () => {
    const heard: unknown[] = [];
    client.setNotificationHandler(
      "notifications/message",
      ({ params }) => void heard.push(params.data),
    );
    const call = { name: "test_tool_with_logging", arguments: {} };
    await client.callTool(call);
    expect(heard).toEqual([]);
    const _meta = { "io.modelcontextprotocol/logLevel": "info" };
    await client.callTool({ ...call, _meta });
    expect(heard).toContain("Tool execution started");
  });

  test("changes are heard over subscriptions/listen", async () => {
    const heard: string[] = [];
    client.setNotificationHandler(
      "notifications/tools/list_changed",
      () => void heard.push("tools"),
    );
    const stream = await client.listen({ toolsListChanged: true });
    await older.tell("notifications/tools/list_changed");
    await eventually(() => heard.length > 0);
    await stream.close();
  });
});

describe("a real server's tasks", () => {
  const research = { name: "simulate-research-query", arguments: { topic: "tea" } };

  test("are waited for, for a client of 2026-07-28 that knows none", async () => {
    const client = await connectStateless(at("/mcp/everything"));
    const result = await client.callTool(research, { timeout: 30_000 });
    expect(textOf(result)).toContain("tea");
    await client.close();
  });

  test("go on in their own revision", async () => {
    const client = new SessionClient(
      { name: "tasks", version: "1" },
      { capabilities: { tasks: {} } },
    );
    await client.connect(new SessionTransport(at("/mcp/everything")) as never);
    await client.listTools();
    const seen: string[] = [];
    const stream = client.experimental.tasks.callToolStream(research, undefined as never, {
      task: { ttl: 60_000 },
    });
    for await (const message of stream) seen.push(message.type);
    expect(seen[0]).toBe("taskCreated");
    expect(seen.at(-1)).toBe("result");
    await client.close();
  });
});

describe("a client with a session and a server of 2026-07-28", () => {
  let client: SessionClient;
  beforeAll(async () => {
    const capabilities = { elicitation: {}, sampling: {}, roots: {} };
    client = new SessionClient({ name: "session", version: "1" }, { capabilities });
    client.setRequestHandler(ElicitRequestSchema, () => ({
      action: "accept",
      content: { name: elicited },
    }));
    client.setRequestHandler(CreateMessageRequestSchema, () => ({
      role: "assistant",
      model: "mine",
      content: { type: "text", text: "sampled" },
    }));
    client.setRequestHandler(ListRootsRequestSchema, () => ({ roots: [{ uri: "file:///mine" }] }));
    await client.connect(new SessionTransport(at("/mcp/newer")) as never);
  });
  afterAll(() => client.close());

  const asking = [
    ["test_input_required_result_elicitation", elicited],
    ["test_input_required_result_sampling", "sampled"],
    ["test_input_required_result_list_roots", "file:///mine"],
    ["test_input_required_result_multi_round", elicited],
    // Tasks that the server makes of a call are waited for.
    ["failing_job", "it failed"],
    ["test_tool_with_task", elicited],
  ] as const;
  test.each(asking)("%s", async (name, answer) => {
    expect(textOf(await client.callTool({ name, arguments: {} }))).toContain(answer);
  });

  test("a prompt that asks", async () => {
    const prompt = await client.getPrompt({ name: "test_input_required_result_prompt" });
    expect(JSON.stringify(prompt.messages)).toContain(elicited);
  });

  test("changes of lists and resources, and log lines, are heard", async () => {
    const heard = new Set<string>();
    for (const schema of [
      ToolListChangedNotificationSchema,
      ResourceUpdatedNotificationSchema,
      LoggingMessageNotificationSchema,
    ])
      client.setNotificationHandler(schema, ({ method }) => void heard.add(method));
    await client.setLoggingLevel("info");
    await client.subscribeResource({ uri: "test://watched-resource" });
    await eventually(() => modern.listening > 0);
    for (const name of [
      "test_trigger_tool_change",
      "test_trigger_resource_change",
      "test_logging_tool",
    ])
      await client.callTool({ name, arguments: {} });
    await eventually(() => heard.size === 3);
    await client.unsubscribeResource({ uri: "test://watched-resource" });
  });
});

describe("a process of 2026-07-28 alone", () => {
  test("is spoken to in it, by clients of either revision", async () => {
    const session = new SessionClient(
      { name: "s", version: "1" },
      { capabilities: { elicitation: {} } },
    );
    session.setRequestHandler(ElicitRequestSchema, () => ({
      action: "accept",
      content: { name: elicited },
    }));
    await session.connect(new SessionTransport(at("/mcp/lines")) as never);
    expect(textOf(await session.callTool({ name: "hello", arguments: {} }))).toContain(elicited);
    await session.close();
    const stateless = await connectStateless(at("/mcp/lines"));
    expect(textOf(await stateless.callTool({ name: "hello", arguments: {} }))).toContain(elicited);
    await stateless.close();
  });
});

test("/mcp: servers of both revisions as one, for a client of either", async () => {
  const stateless = await connectStateless(at("/mcp"));
  const { tools } = await stateless.listTools();
  const names = tools.map(({ name }) => name);
  for (const name of ["older.test_elicitation", "newer.greet", "lines.hello", "everything.echo"])
    expect(names).toContain(name);
  const asked = await stateless.callTool({
    name: "newer.test_input_required_result_request_state",
    arguments: {},
  });
  expect(textOf(asked)).toContain("state-ok");
  const bridged = await stateless.callTool({
    name: "older.test_elicitation",
    arguments: { message: "Who?" },
  });
  expect(textOf(bridged)).toContain(elicited);
  await stateless.close();
});
