/** Revision 2026-07-28 in front of a server of 2025-11-25: no session, every request says all of itself. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import type { JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";

let fixture: HttpFixture;
let gateway: TestGateway;
beforeAll(async () => {
  fixture = startMcpFixture();
  const yaml = `mcp_servers: {fixture: {url: "${fixture.url}"}}`;
  gateway = await startTestGateway({ yaml, outbound: createOutbound() });
});
afterAll(async () => {
  await gateway.gateway.close();
  await fixture.close();
});

const now = "2026-07-28";
const key = (name: string) => `io.modelcontextprotocol/${name}`;
const meta = { [key("protocolVersion")]: now, [key("clientCapabilities")]: {} };

interface Asked {
  readonly method: string;
  readonly params?: JsonObject;
  readonly meta?: JsonObject;
  readonly headers?: Readonly<Record<string, string>>;
}

async function send({ method, params = {}, meta: own = meta, headers = {} }: Asked) {
  const name = params["name"] ?? params["uri"];
  const response = await fetch(`${gateway.gateway.url}/mcp/fixture`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": now,
      "mcp-method": method,
      ...(name === undefined ? {} : { "mcp-name": String(name) }),
      ...headers,
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { ...params, _meta: own } }),
  });
  const text = await response.text();
  const isStream = response.headers.get("content-type") === "text/event-stream";
  const messages = isStream
    ? [...text.matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data) as JsonObject)
    : [JSON.parse(text) as JsonObject];
  return { status: response.status, messages, last: messages.at(-1) as JsonObject, response };
}

test("says what it is, without a session", async () => {
  const { last, response } = await send({ method: "server/discover" });
  expect(response.headers.get("mcp-session-id")).toBeNull();
  expect(last["result"]).toMatchObject({
    resultType: "complete",
    supportedVersions: [now],
    capabilities: { tools: {}, prompts: {}, resources: {} },
    cacheScope: "private",
    _meta: { [key("serverInfo")]: { name: "routeiq-mcp-gateway" } },
  });
  // Changes of the older server are told of over `subscriptions/listen`.
  expect(last["result"]).toMatchObject({ capabilities: { tools: { listChanged: true } } });
});

test("lists and calls, and the older server hears nothing of the envelope", async () => {
  const { last } = await send({ method: "tools/list" });
  expect(last["result"]).toMatchObject({ resultType: "complete", ttlMs: 60_000 });
  const called = await send({ method: "tools/call", params: { name: "test_simple_text" } });
  expect(called.last["result"]).toMatchObject({
    resultType: "complete",
    _meta: { "routeiq/server": "fixture" },
  });
  expect(called.last["result"]).not.toHaveProperty("ttlMs");
});

test("progress comes on the stream of its request", async () => {
  const own = { ...meta, progressToken: "p1" };
  const params = { name: "test_tool_with_progress" };
  const { messages } = await send({ method: "tools/call", params, meta: own });
  const told = messages.filter(({ method }) => method === "notifications/progress");
  expect(told.map(({ params: of }) => of)).toMatchObject([
    { progressToken: "p1", progress: 0 },
    { progressToken: "p1", progress: 50 },
    { progressToken: "p1", progress: 100 },
  ]);
  expect(messages.at(-1)?.["result"]).toMatchObject({ resultType: "complete" });
});

const call = { method: "tools/call", params: { name: "test_simple_text" } };
const regional = (headers: Readonly<Record<string, string>>): Asked => ({
  method: "tools/call",
  params: { name: "test_param_headers", arguments: { region: "eu", count: 7 } },
  headers,
});
const unreadable: Readonly<Record<string, string>> = {
  "mcp-param-region": "=?base64?!!?=",
  "mcp-param-count": "7",
};
const cases: readonly (readonly [string, Asked, number, number | undefined])[] = [
  [
    "a version that is not served",
    {
      ...call,
      meta: { ...meta, [key("protocolVersion")]: "2099-01-01" },
      headers: { "mcp-protocol-version": "2099-01-01" },
    },
    400,
    -32022,
  ],
  [
    "a version that the header contradicts",
    { ...call, headers: { "mcp-protocol-version": "2025-11-25" } },
    400,
    -32020,
  ],
  ["no version, but for the header", { ...call, meta: {} }, 400, -32602],
  [
    "no word of what the client can do",
    { ...call, meta: { [key("protocolVersion")]: now } },
    400,
    -32602,
  ],
  [
    "another method in the header",
    { ...call, headers: { "mcp-method": "tools/list" } },
    400,
    -32020,
  ],
  ["another name in the header", { ...call, headers: { "mcp-name": "delete_all" } }, 400, -32020],
  [
    "a name that only base64 holds",
    { ...call, headers: { "mcp-name": `=?base64?${btoa("test_simple_text")}?=` } },
    200,
    undefined,
  ],
  ["a method that this revision has not", { method: "ping" }, 404, -32601],
  ["the handshake", { method: "initialize" }, 404, -32601],
  [
    "a resource that is not there",
    { method: "resources/read", params: { uri: "test://nonexistent" } },
    200,
    -32602,
  ],
  [
    "arguments in headers, as the body has them",
    regional({ "mcp-param-region": "eu", "mcp-param-count": "7.0" }),
    200,
    undefined,
  ],
  [
    "an argument that the header contradicts",
    regional({ "mcp-param-region": "us", "mcp-param-count": "7" }),
    400,
    -32020,
  ],
  ["an argument that the header lacks", regional({ "mcp-param-region": "eu" }), 400, -32020],
  ["an argument that is no base64", regional(unreadable), 400, -32020],
];
test.each(cases)("%s", async (_, asked, status, code) => {
  const found = await send(asked);
  const error = found.last["error"] as JsonObject | undefined;
  expect([found.status, error?.["code"]]).toEqual([status, code]);
});
