/** The gateway's own MCP servers: for operators, and what search mode puts in the place of long lists. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { SSEClientTransport } from "@modelcontextprotocol/sdk/client/sse.js";
import {
  CreateMessageRequestSchema,
  ElicitRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";

const key = "sk-master-0123456789abcdef";
let fixture: HttpFixture;
let gateway: TestGateway;
let writing: TestGateway;
beforeAll(async () => {
  fixture = startMcpFixture();
  const yaml = (mcp: string) => `
mcp_servers: {fixture: {url: "${fixture.url}"}}
general_settings: {master_key: ${key}}
routeiq_settings: {mcp: {${mcp}}}
model_list:
  - model_name: small
    litellm_params: {model: openai/gpt-4o-mini, api_key: sk-nobody}
`;
  const outbound = createOutbound();
  gateway = await startTestGateway({ yaml: yaml("allow_anonymous: true"), outbound });
  writing = await startTestGateway({ yaml: yaml("operators: write, search_above: 3"), outbound });
});
afterAll(async () => {
  await gateway.gateway.close();
  await writing.gateway.close();
  await fixture.close();
});

async function ask(
  path: string,
  method: string,
  params: object = {},
  { at = gateway, as = key } = {},
): Promise<JsonObject> {
  const response = await fetch(`${at.gateway.url}${path}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(as === "" ? {} : { authorization: `Bearer ${as}` }),
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }),
  });
  return (await response.json()) as JsonObject;
}

const namesIn = ({ result }: JsonObject) => {
  const { tools } = result as unknown as { tools: { name: string }[] };
  return tools.map(({ name }) => name);
};
const call = (path: string, name: string, args: object = {}, how = {}) =>
  ask(path, "tools/call", { name, arguments: args }, how);

/**
 * What the reference inspector's `--strict` finds fault with, as far as our own schemas could have it.
 * Source: https://github.com/modelcontextprotocol/inspector (`tools/list --strict`)
 */
function faultsIn(schema: unknown, path: string): string[] {
  if (typeof schema !== "object" || schema === null) return [`${path}: is no object`];
  const { type, properties = {}, items, anyOf = [], ...rest } = schema as JsonObject;
  const words = Object.keys(rest).filter((word) => word !== "description" && word !== "default");
  const isEmpty = type === undefined && items === undefined && words.length === 0;
  return [
    ...(Array.isArray(type) ? [`${path}: has several types`] : []),
    ...(isEmpty && !("anyOf" in schema || "properties" in schema) ? [`${path}: says nothing`] : []),
    ...Object.entries(properties as JsonObject).flatMap(([name, of]) =>
      faultsIn(of, `${path}.${name}`),
    ),
    ...(items === undefined ? [] : faultsIn(items, `${path}[]`)),
    ...(anyOf as readonly unknown[]).flatMap((of, at) => faultsIn(of, `${path}|${at}`)),
  ];
}

test.each(["/mcp/routeiq", "/mcp?mode=search"])(
  "tools of %s have schemas that every client can read",
  async (path) => {
    const { result } = await ask(path, "tools/list", {}, { at: writing });
    const { tools } = result as unknown as { tools: Record<string, unknown>[] };
    expect(tools.length).toBeGreaterThan(1);
    const schemas = tools.flatMap(({ name, inputSchema, outputSchema }) => [
      ...faultsIn(inputSchema, `${name}`),
      ...(outputSchema === undefined ? [] : faultsIn(outputSchema, `${name}, output`)),
    ]);
    expect(schemas).toEqual([]);
    expect(faultsIn({ type: "object", properties: { a: true, b: {} } }, "x").length).toBe(2);
  },
);

describe("for operators", () => {
  test("it reads, and does no more unless the configuration says so", async () => {
    const names = namesIn(await ask("/mcp/routeiq", "tools/list"));
    expect(names).toContain("receipt");
    expect(names).not.toContain("reload_configuration");
    const refused = await call("/mcp/routeiq", "reload_configuration");
    expect(JSON.stringify(refused)).toContain("Unknown tool");
  });

  test.each([
    ["models", {}, "small"],
    ["deployments", { search: "small" }, "gpt-4o-mini"],
    ["readiness", {}, "status"],
    ["router", {}, "strateg"],
    ["experiments", {}, "experiments"],
    ["mcp_servers", {}, "fixture"],
    ["spend", { caller: "master" }, "usd"],
    ["metrics", { contains: "routeiq_mcp_sessions" }, "routeiq_mcp_sessions"],
  ])("%s answers as the route does", async (name, args, word) => {
    const { result } = await call("/mcp/routeiq", name, args);
    const { content, isError } = result as unknown as {
      content: { text: string }[];
      isError?: true;
    };
    expect(isError).toBeUndefined();
    expect(content[0]?.text).toContain(word);
    expect(content[0]?.text).not.toContain("sk-nobody");
  });

  test("a receipt of an MCP call says what it was", async () => {
    const { result } = await call("/mcp/fixture", "test_simple_text");
    const meta = (result as JsonObject)["_meta"] as JsonObject;
    const found = await call("/mcp/routeiq", "receipt", { call_id: meta["routeiq/call_id"] });
    expect(JSON.stringify(found)).toContain("fixture.test_simple_text");
  });

  test("others see nothing of it", async () => {
    const as = "";
    expect(namesIn(await ask("/mcp", "tools/list", {}, { as }))[0]).toStartWith("fixture.");
    expect(JSON.stringify(await ask("/mcp/routeiq", "tools/list", {}, { as }))).toContain(
      "none of this",
    );
    expect(namesIn(await ask("/mcp", "tools/list")).join()).not.toContain("routeiq.");
  });

  test("with writing it changes things", async () => {
    const { result } = await call("/mcp/routeiq", "reload_configuration", {}, { at: writing });
    expect(result).not.toMatchObject({ isError: true });
    const bad = await call("/mcp/routeiq", "approve_tool", { body: {} }, { at: writing });
    expect(JSON.stringify(bad)).toContain("invalid_request");
  });
});

describe("search mode", () => {
  const two = ["search_tools", "call_tool"];

  test("is the client's wish, or the configuration's, which a client may refuse", async () => {
    expect(namesIn(await ask("/mcp?mode=search", "tools/list"))).toEqual(two);
    expect(namesIn(await ask("/mcp/fixture?mode=search", "tools/list"))).toEqual(two);
    expect(namesIn(await ask("/mcp", "tools/list")).length).toBeGreaterThan(5);
    expect(namesIn(await ask("/mcp", "tools/list", {}, { at: writing }))).toEqual(two);
    expect(
      namesIn(await ask("/mcp?mode=all", "tools/list", {}, { at: writing })).length,
    ).toBeGreaterThan(5);
  });

  test("finds by words and by meaning, and calls what it found", async () => {
    const found = await call(
      "/mcp",
      "search_tools",
      { query: "elicitations with enums", limit: 2 },
      { at: writing },
    );
    const { structuredContent } = found["result"] as JsonObject;
    const { tools } = structuredContent as unknown as {
      tools: { name: string; inputSchema: object }[];
    };
    expect(tools.map(({ name }) => name)).toContain("fixture.test_elicitation_sep1330_enums");
    expect(tools.length).toBe(2);
    expect(tools[0]?.inputSchema).toBeDefined();
    const args = { name: "fixture.test_simple_text", arguments: {} };
    const called = await call("/mcp", "call_tool", args, { at: writing });
    expect(called["result"]).toMatchObject({ _meta: { "routeiq/server": "fixture" } });
  });

  test("says what is wrong", async () => {
    const empty = await call("/mcp?mode=search", "search_tools", {});
    expect(JSON.stringify(empty)).toContain("'query' must say");
    const none = await call("/mcp?mode=search", "call_tool", { name: "fixture.nothing" });
    expect(JSON.stringify(none)).toContain("Unknown tool");
    const off = await call("/mcp", "search_tools", { query: "x" });
    expect(JSON.stringify(off)).toContain("There is no tool");
  });
});

test("over the older transport a server may ask the client as well, and progress and log come through", async () => {
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  const transport = new SSEClientTransport(new URL(`${gateway.gateway.url}/mcp/sse`), {
    requestInit,
  });
  const client = new Client(
    { name: "old", version: "1" },
    { capabilities: { sampling: {}, elicitation: {} } },
  );
  client.setRequestHandler(CreateMessageRequestSchema, () => ({
    role: "assistant",
    model: "mine",
    content: { type: "text", text: "sampled here" },
  }));
  client.setRequestHandler(ElicitRequestSchema, () => ({
    action: "accept",
    content: { username: "ann", email: "a@b.example" },
  }));
  await client.connect(transport);
  const textOf = async (name: string, args: object) =>
    JSON.stringify(
      (await client.callTool({ name: `fixture.${name}`, arguments: { ...args } })).content,
    );
  expect(await textOf("test_sampling", { prompt: "hi" })).toContain("sampled here");
  expect(await textOf("test_elicitation", { message: "who?" })).toContain("ann");
  const seen: number[] = [];
  const onprogress = ({ progress }: { progress: number }) => void seen.push(progress);
  const params = { name: "fixture.test_tool_with_progress", arguments: {} };
  await client.callTool(params, undefined, { onprogress });
  expect(seen).toEqual([0, 50, 100]);
  await client.close();
});
