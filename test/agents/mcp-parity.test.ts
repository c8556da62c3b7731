/** Routes of LiteLLM's and the predecessor's clients, against a real server: published, resources, tools. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";

const master = "sk-master-0123456789";
let fixture: HttpFixture;
let it: TestGateway;
beforeAll(async () => {
  fixture = startMcpFixture();
  it = await startTestGateway({
    yaml: `
mcp_servers: {fixture: {url: "${fixture.url}", description: For tests}}
general_settings: {master_key: ${master}}
routeiq_settings: {outbound: {allow_cidrs: [127.0.0.0/8]}}
`,
    outbound: createOutbound({ allowCidrs: ["127.0.0.0/8"] }),
  });
});
afterAll(async () => {
  await it.gateway.close();
  await fixture.close();
});

// biome-ignore lint/suspicious/noExplicitAny: answers of the wire, whose shapes are what is tested
type Body = any;

async function ask(path: string, body?: object, key = master): Promise<[number, Body]> {
  const response = await fetch(`${it.gateway.url}${path}`, {
    method: body ? "POST" : "GET",
    headers: key === "" ? {} : { authorization: `Bearer ${key}` },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  return [response.status, await response.json()];
}

describe("public servers", () => {
  test("are those that an administrator names, by the gateway's address, and whole", async () => {
    expect(await ask("/public/mcp_hub", undefined, "")).toEqual([200, []]);
    const [status, made] = await ask("/v1/mcp/make_public", { mcp_server_ids: ["fixture"] });
    expect([status, made]).toEqual([
      202,
      expect.objectContaining({ public_mcp_servers: ["fixture"] }),
    ]);
    const [, [shown, ...others]] = await ask("/public/mcp_hub", undefined, "");
    expect(others).toEqual([]);
    expect(shown).toMatchObject({
      server_id: "fixture",
      description: "For tests",
      url: `${it.gateway.url}/mcp/fixture`,
    });
    expect(JSON.stringify(shown)).not.toContain(fixture.url);
    expect((await ask("/v1/mcp/make_public", { mcp_server_ids: [] }))[0]).toBe(202);
    expect(await ask("/public/mcp_hub", undefined, "")).toEqual([200, []]);
  });

  test("one that is not there changes nothing", async () => {
    const unknown = await ask("/v1/mcp/make_public", { mcp_server_ids: ["fixture", "nowhere"] });
    expect(unknown[0]).toBe(404);
    expect((await ask("/v1/mcp/make_public", { mcp_server_ids: "fixture" }))[0]).toBe(400);
    expect(await ask("/public/mcp_hub", undefined, "")).toEqual([200, []]);
  });

  test("to be public lets nobody in", async () => {
    await ask("/v1/mcp/make_public", { mcp_server_ids: ["fixture"] });
    const list = { jsonrpc: "2.0", id: 1, method: "tools/list" };
    expect((await ask("/mcp/fixture", list, ""))[0]).toBe(401);
  });
});

test("resources of all servers are one list", async () => {
  const [status, { resources, count, unreachable }] = await ask("/llmrouter/mcp/resources");
  expect([status, count, unreachable]).toEqual([200, resources.length, []]);
  expect(resources).toContainEqual(
    expect.objectContaining({ server_id: "fixture", resource: "test://static-text" }),
  );
});

test("the transports are told", async () => {
  const [status, told] = await ask("/mcp/transport");
  expect([status, told.transport, told.endpoints.sse]).toEqual([
    200,
    "streamable_http",
    { url: "/mcp/sse", messages: "/mcp/messages" },
  ]);
});

describe("a tool of a registered server", () => {
  const path = "/llmrouter/mcp/servers/mine/tools";
  beforeAll(async () => {
    const row = { name: "mine", url: fixture.url, allowed_tools: ["test_simple_text"] };
    expect((await ask("/llmrouter/mcp/servers", row))[0]).toBe(200);
  });
  const call = () =>
    ask("/llmrouter/mcp/tools/call", { tool_name: "mine.test_image_content", arguments: {} });

  test("is opened to callers", async () => {
    expect((await call())[0]).toBe(404);
    const [status, opened] = await ask(path, { name: "test_image_content", description: "mine" });
    expect([status, opened]).toEqual([
      200,
      expect.objectContaining({ status: "registered", server_id: "mine" }),
    ]);
    expect((await call())[0]).toBe(200);
    expect((await ask(path, { name: "test_image_content" }))[0]).toBe(200); // open already
  });

  test.each([
    ["one that its server does not have", path, { name: "invented" }, 404, "tool_not_found"],
    ["none", path, {}, 400, "invalid_request"],
    [
      "one of the file's servers",
      "/llmrouter/mcp/servers/fixture/tools",
      { name: "test_simple_text" },
      404,
      "server_not_found",
    ],
  ])("%s is not", async (_, at, body, status, error) => {
    expect(await ask(at, body)).toEqual([status, { detail: expect.objectContaining({ error }) }]);
  });
});
