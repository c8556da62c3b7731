/** Sessions beyond one process: a gateway that was started again, and two on one store. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client as SessionClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { connectStateless, elicited } from "../support/mcp-clients.ts";
import { type HttpFixture, startMcpFixture } from "../support/mcp-fixture.ts";
import { createModernFixture } from "../support/mcp-modern-fixture.ts";

const dataDir = mkdtempSync(join(tmpdir(), "routeiq-mcp-sessions-"));
const master = "sk-sessions-0123456789ab";
let older: HttpFixture;
let newer: HttpFixture;
let first: TestGateway;
let second: TestGateway;
const start = () =>
  startTestGateway({
    yaml: `mcp_servers: {older: {url: "${older.url}"}, newer: {url: "${newer.url}"}}`,
    env: { LITELLM_MASTER_KEY: master },
    outbound: createOutbound(),
    dataDir,
  });
beforeAll(async () => {
  older = startMcpFixture();
  newer = startMcpFixture({ modern: createModernFixture(), isModernOnly: true });
  first = await start();
  second = await start();
});
afterAll(async () => {
  await first.gateway.close();
  await second.gateway.close();
  await older.close();
  await newer.close();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Sends every request to whichever gateway is named just now, as a balancer might. */
async function connect(path: string, key = master) {
  let to = first;
  const fetchIt = (url: string | URL, init?: RequestInit) => {
    const { pathname, search } = new URL(url);
    return fetch(`${to.gateway.url}${pathname}${search}`, init);
  };
  const client = new SessionClient(
    { name: "roaming", version: "1" },
    { capabilities: { elicitation: {} } },
  );
  client.setRequestHandler(ElicitRequestSchema, () => ({
    action: "accept",
    content: { username: elicited },
  }));
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  const transport = new StreamableHTTPClientTransport(new URL(`${first.gateway.url}${path}`), {
    requestInit,
    fetch: fetchIt as typeof fetch,
  });
  await client.connect(transport as never);
  const move = (gateway: TestGateway) => {
    to = gateway;
  };
  return { client, transport, move };
}

const post = (gateway: TestGateway, id: string, key = master) =>
  fetch(`${gateway.gateway.url}/mcp`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${key}`,
      "mcp-session-id": id,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
    },
    body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/list", params: {} }),
  });

test("a session goes on at another gateway of the same store, its client asked there", async () => {
  const { client, move } = await connect("/mcp/older");
  const call = { name: "test_elicitation", arguments: { message: "Who?" } };
  expect(JSON.stringify(await client.callTool(call))).toContain(elicited);
  move(second);
  // Its own server's names, without a namespace, and what the client said that it can do.
  expect(JSON.stringify(await client.callTool(call))).toContain(elicited);
  const { tools } = await client.listTools();
  expect(tools.map(({ name }) => name)).toContain("test_simple_text");
  move(first);
  expect(JSON.stringify(await client.callTool(call))).toContain(elicited);
  await client.close();
});

test("it goes on after its gateway was started again", async () => {
  const { client, transport, move } = await connect("/mcp?mode=search");
  expect((await client.listTools()).tools.length).toBe(2);
  await second.gateway.close();
  second = await start();
  move(second);
  expect((await client.listTools()).tools.length).toBe(2);
  await transport.terminateSession();
  await client.close();
});

test("one that was ended, never was, or is another's is not there: 404, and a client begins anew", async () => {
  const { client, transport } = await connect("/mcp");
  const id = transport.sessionId ?? "";
  expect((await post(second, id)).status).toBe(200);
  expect((await post(second, id, "sk-other")).status).toBe(401);
  await transport.terminateSession();
  const gone = await post(first, id);
  expect(gone.status).toBe(404);
  expect(await gone.json()).toMatchObject({ error: { code: -32001 } });
  expect((await post(second, "00000000-0000-0000-0000-000000000000")).status).toBe(404);
  await client.close();
});

test("callers without a session go from one to the other in the middle of a question, and of a task", async () => {
  let to = first;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      // As a balancer without any rule: each request to the other one.
      to = to === first ? second : first;
      const { pathname } = new URL(request.url);
      const headers = new Headers(request.headers);
      headers.set("authorization", `Bearer ${master}`);
      headers.delete("host");
      return await fetch(`${to.gateway.url}${pathname}`, {
        method: "POST",
        headers,
        body: await request.text(),
      });
    },
  });
  const client = await connectStateless(new URL(`http://127.0.0.1:${server.port}/mcp/newer`));
  for (const name of [
    "test_input_required_result_request_state",
    "test_input_required_result_multi_round",
  ]) {
    const result = await client.callTool({ name, arguments: {} });
    expect(result.isError).not.toBe(true);
  }
  await client.close();
  await server.stop(true);
});

test("a call that waits for an answer to a server with sessions waits in its process: another says so", async () => {
  const ask = async (gateway: TestGateway, more: object) => {
    const params = {
      name: "test_elicitation",
      arguments: { message: "Who?" },
      ...more,
      _meta: {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": { elicitation: {} },
      },
    };
    const response = await fetch(`${gateway.gateway.url}/mcp/older`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${master}`,
        "content-type": "application/json",
        accept: "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "test_elicitation",
      },
      body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "tools/call", params }),
    });
    return (await response.json()) as {
      readonly result?: { readonly requestState: string; readonly inputRequests: object };
      readonly error?: { readonly code: number; readonly message: string };
    };
  };
  const { result } = await ask(first, {});
  const [key = ""] = Object.keys(result?.inputRequests ?? {});
  const requestState = result?.requestState;
  const answer = { action: "accept", content: { username: elicited } };
  const again = { requestState, inputResponses: { [key]: answer } };
  const elsewhere = await ask(second, again);
  expect(elsewhere.error?.code).toBe(-32602);
  expect(elsewhere.error?.message).toContain("another process of the gateway began it");
  expect(JSON.stringify(await ask(first, again))).toContain(elicited);
});
