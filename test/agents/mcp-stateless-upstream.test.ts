/** A server that knows only revision 2026-07-28, behind the gateway, and a client of 2025-11-25 before it. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import type { JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";

const key = (name: string) => `io.modelcontextprotocol/${name}`;
const seen: { readonly headers: Headers; readonly body: JsonObject }[] = [];

const greet = {
  name: "greet",
  inputSchema: {
    type: "object",
    properties: { region: { type: "string", "x-mcp-header": "Region" } },
  },
};
const whoAreYou = {
  method: "elicitation/create",
  params: {
    mode: "form",
    message: "Who are you?",
    requestedSchema: { type: "object", properties: { name: { type: "string" } } },
  },
};

function answer(method: string, params: JsonObject): JsonObject {
  const cached = { ttlMs: 1_000, cacheScope: "private" };
  if (method === "server/discover") {
    return {
      ...cached,
      supportedVersions: ["2026-07-28"],
      capabilities: { tools: { listChanged: true } },
    };
  }
  if (method === "tools/list") return { ...cached, tools: [greet as unknown as JsonObject] };
  const responses = params["inputResponses"] as
    | { who?: { content?: { name?: string } } }
    | undefined;
  if (!responses) {
    return {
      resultType: "input_required",
      inputRequests: { who: whoAreYou },
      requestState: "state-1",
    } as unknown as JsonObject;
  }
  const text = `${params["requestState"]} ${responses.who?.content?.name}`;
  return { content: [{ type: "text", text }] } as unknown as JsonObject;
}

const upstream = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  async fetch(request) {
    const body = (await request.json()) as { id: number; method: string; params: JsonObject };
    const { id, method, params } = body;
    const fail = (code: number, message: string) =>
      Response.json({ jsonrpc: "2.0", id, error: { code, message } }, { status: 400 });
    if (method === "initialize") return fail(-32022, "Unsupported protocol version");
    seen.push({ headers: request.headers, body: body as unknown as JsonObject });
    if (request.headers.get("mcp-method") !== method) return fail(-32020, "Header mismatch");
    const message = {
      jsonrpc: "2.0",
      id,
      result: { resultType: "complete", ...answer(method, params) },
    };
    if (method !== "tools/call") return Response.json(message);
    const meta = params["_meta"] as JsonObject;
    const progress = {
      jsonrpc: "2.0",
      method: "notifications/progress",
      params: { progressToken: meta["progressToken"], progress: 1 },
    };
    const events = [progress, message].map((each) => `data: ${JSON.stringify(each)}\n\n`).join("");
    return new Response(events, { headers: { "content-type": "text/event-stream" } });
  },
});

let gateway: TestGateway;
beforeAll(async () => {
  const yaml = `mcp_servers: {modern: {url: "http://127.0.0.1:${upstream.port}/mcp", timeout: 10}}`;
  gateway = await startTestGateway({ yaml, outbound: createOutbound() });
});
afterAll(async () => {
  await gateway.gateway.close();
  await upstream.stop(true);
});

test("is spoken to in its revision, and what it asks goes to the client", async () => {
  const client = new Client({ name: "older", version: "1" }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({
    action: "accept",
    content: { name: "Ann" },
  }));
  await client.connect(
    new StreamableHTTPClientTransport(new URL(`${gateway.gateway.url}/mcp/modern`)) as never,
  );
  expect(client.getServerCapabilities()).toEqual({ tools: { listChanged: true } });
  const told: number[] = [];
  const onprogress = ({ progress }: { progress: number }) => void told.push(progress);
  const params = { name: "greet", arguments: { region: "süd" } };
  const result = await client.callTool(params, undefined, { onprogress });
  expect(result.content).toEqual([{ type: "text", text: "state-1 Ann" }]);
  expect(result).not.toHaveProperty("resultType");
  expect(told.length).toBeGreaterThan(0);
  await client.ping();
  await client.close();
  const { headers, body } = seen.findLast(({ body: { method } }) => method === "tools/call") ?? {};
  expect(headers?.get("mcp-name")).toBe("greet");
  expect(headers?.get("mcp-param-region")).toBe(
    `=?base64?${Buffer.from("süd").toString("base64")}?=`,
  );
  expect(body?.["params"]).toMatchObject({
    _meta: {
      [key("protocolVersion")]: "2026-07-28",
      [key("clientCapabilities")]: { elicitation: {} },
    },
  });
});
