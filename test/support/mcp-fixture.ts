/**
 * The server that the official conformance suite asks for: every tool, prompt and resource that its
 * scenarios name, by the protocol's own SDK.
 * Source: the descriptions of `@modelcontextprotocol/conformance`'s server scenarios.
 */
import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import {
  type EventStore,
  WebStandardStreamableHTTPServerTransport,
} from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import {
  CallToolRequestSchema,
  CompleteRequestSchema,
  GetPromptRequestSchema,
  ListPromptsRequestSchema,
  ListResourcesRequestSchema,
  ListResourceTemplatesRequestSchema,
  ListToolsRequestSchema,
  McpError,
  ReadResourceRequestSchema,
  ResultSchema,
  SetLevelRequestSchema,
  SubscribeRequestSchema,
  UnsubscribeRequestSchema,
} from "@modelcontextprotocol/sdk/types.js";
import { createEventMemory } from "../../src/agents/mcp/sessions/event-memory.ts";
import {
  completionOf,
  fixtureLists,
  plainTool,
  promptMessages,
  readResource,
  text,
} from "./mcp-fixture-content.ts";
import type { ModernFixture } from "./mcp-modern-fixture.ts";

const choice = (value: string, title: string) => ({ const: value, title });
const elicitations: Readonly<Record<string, object>> = {
  test_elicitation_sep1034_defaults: {
    name: { type: "string", default: "John Doe" },
    age: { type: "integer", default: 30 },
    score: { type: "number", default: 95.5 },
    status: { type: "string", enum: ["active", "inactive", "pending"], default: "active" },
    verified: { type: "boolean", default: true },
  },
  test_elicitation_sep1330_enums: {
    untitledSingle: { type: "string", enum: ["option1", "option2", "option3"] },
    titledSingle: {
      type: "string",
      oneOf: [choice("value1", "First Option"), choice("value2", "Second Option")],
    },
    legacyEnum: {
      type: "string",
      enum: ["opt1", "opt2", "opt3"],
      enumNames: ["Option One", "Option Two", "Option Three"],
    },
    untitledMulti: {
      type: "array",
      items: { type: "string", enum: ["option1", "option2", "option3"] },
    },
    titledMulti: {
      type: "array",
      items: { anyOf: [choice("value1", "First Choice"), choice("value2", "Second Choice")] },
    },
  },
};

type Extra = Parameters<Parameters<Server["setRequestHandler"]>[1]>[1];

async function callTool(
  name: string,
  args: Readonly<Record<string, unknown>>,
  extra: Extra,
): Promise<object> {
  const tell = (method: string, params: object) =>
    extra.sendNotification({ method, params } as never);
  const ask = (method: string, params: object) =>
    extra.sendRequest({ method, params } as never, ResultSchema);
  if (name === "test_tool_with_logging") {
    for (const data of [
      "Tool execution started",
      "Tool processing data",
      "Tool execution completed",
    ])
      await tell("notifications/message", { level: "info", data });
    return { content: [text("Tool with logging executed successfully")] };
  }
  if (name === "test_tool_with_progress") {
    const progressToken = extra._meta?.progressToken ?? 0;
    for (const progress of [0, 50, 100])
      await tell("notifications/progress", { progressToken, progress, total: 100 });
    // The client that the suite uses may lose a notification that the result overtakes.
    await new Promise((resolve) => setTimeout(resolve, 20));
    return { content: [text(String(progressToken))] };
  }
  if (name === "test_sampling") {
    const messages = [{ role: "user", content: text(String(args["prompt"])) }];
    const result = await ask("sampling/createMessage", { messages, maxTokens: 100 });
    return { content: [text(`LLM response: ${JSON.stringify(result["content"])}`)] };
  }
  if (name === "test_elicitation") {
    const properties = {
      username: { type: "string", description: "User's response" },
      email: { type: "string", description: "User's email address" },
    };
    const requestedSchema = { type: "object", properties, required: ["username", "email"] };
    const result = await ask("elicitation/create", { message: args["message"], requestedSchema });
    return { content: [text(`User response: ${JSON.stringify(result)}`)] };
  }
  if (elicitations[name]) {
    const requestedSchema = { type: "object", properties: elicitations[name], required: [] };
    const result = await ask("elicitation/create", { message: "Please look", requestedSchema });
    return { content: [text(`Elicitation completed: ${JSON.stringify(result)}`)] };
  }
  if (name === "test_reconnection") {
    extra.closeSSEStream?.();
    return { content: [text("Reconnection test completed successfully")] };
  }
  return plainTool(name) ?? { content: [text(`called ${name}`)] };
}

function createFixture(): Server {
  const capabilities = {
    tools: { listChanged: true },
    resources: { subscribe: true, listChanged: true },
    prompts: { listChanged: true },
    logging: {},
    completions: {},
  };
  const server = new Server({ name: "conformance-fixture", version: "1.0.0" }, { capabilities });
  const { tools, prompts, resources, resourceTemplates } = fixtureLists();
  server.setRequestHandler(ListToolsRequestSchema, () => ({ tools }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    return (await callTool(params.name, params.arguments ?? {}, extra as Extra)) as never;
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({ prompts }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => ({
    messages: promptMessages(params.name, params.arguments),
  }));
  server.setRequestHandler(ListResourcesRequestSchema, () => ({ resources }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({ resourceTemplates }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params: { uri } }) => {
    try {
      return { contents: [readResource(uri)] as never };
    } catch {
      throw new McpError(-32002, "Resource not found", { uri });
    }
  });
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, ({ params }) =>
    completionOf(params.argument.value),
  );
  return server;
}

export interface HttpFixture {
  readonly url: string;
  /** To every session, as a server does by itself. */
  tell(method: string): Promise<void>;
  close(): Promise<void>;
}

export interface FixtureOptions {
  /** Default: the suite's. */
  readonly create?: () => Server;
  /** What answers messages of 2026-07-28; missing: the server knows only what came before. */
  readonly modern?: ModernFixture;
  /** Whether it knows nothing else. */
  readonly isModernOnly?: boolean;
}

/** Over Streamable HTTP on a free port, with sessions and resumption. */
export function startMcpFixture({
  create = createFixture,
  modern,
  isModernOnly = false,
}: FixtureOptions = {}): HttpFixture {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const eventStore = (): EventStore => createEventMemory();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const host = request.headers.get("host") ?? "";
      if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return new Response("", { status: 403 });
      const body: unknown =
        modern && request.method === "POST" ? await request.clone().json() : undefined;
      const answered = modern?.handle(request, body);
      if (answered) return answered;
      if (isModernOnly) {
        const error = { code: -32022, message: "Unsupported protocol version" };
        return Response.json({ jsonrpc: "2.0", id: null, error }, { status: 400 });
      }
      const known = sessions.get(request.headers.get("mcp-session-id") ?? "");
      if (known) return await known.handleRequest(request);
      if (request.headers.has("mcp-session-id")) return new Response("", { status: 404 });
      const transport = new WebStandardStreamableHTTPServerTransport({
        sessionIdGenerator: () => crypto.randomUUID(),
        eventStore: eventStore(),
        retryInterval: 100,
        onsessioninitialized: (id) => void sessions.set(id, transport),
        onsessionclosed: (id) => void sessions.delete(id),
      });
      await create().connect(transport);
      return await transport.handleRequest(request);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/mcp`,
    async tell(method) {
      const sent = { jsonrpc: "2.0", method } as const;
      await Promise.all([...sessions.values()].map((transport) => transport.send(sent)));
    },
    async close() {
      modern?.close();
      for (const transport of sessions.values()) await transport.close();
      await server.stop(true);
    },
  };
}
