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
import { createEventMemory } from "../../src/agents/mcp/event-memory.ts";

const png =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const wav = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
const image = { type: "image", data: png, mimeType: "image/png" };
const embedded = (uri: string) => ({
  type: "resource",
  resource: { uri, mimeType: "text/plain", text: "This is an embedded resource content." },
});
const text = (value: string) => ({ type: "text", text: value });

const plain: Readonly<Record<string, readonly object[]>> = {
  test_simple_text: [text("This is a simple text response for testing.")],
  test_image_content: [image],
  test_audio_content: [{ type: "audio", data: wav, mimeType: "audio/wav" }],
  test_embedded_resource: [embedded("test://embedded-resource")],
  test_multiple_content_types: [
    text("Multiple content types test:"),
    image,
    {
      type: "resource",
      resource: {
        uri: "test://mixed-content-resource",
        mimeType: "application/json",
        text: '{"test":"data","value":123}',
      },
    },
  ],
};

const object = { type: "object", properties: {} };
const withPrompt = { type: "object", properties: { prompt: { type: "string" } } };
const withMessage = { type: "object", properties: { message: { type: "string" } } };
const schemas: Readonly<Record<string, object>> = {
  test_param_headers: {
    type: "object",
    properties: {
      region: { type: "string", "x-mcp-header": "Region" },
      count: { type: "integer", "x-mcp-header": "Count" },
    },
  },
  test_sampling: withPrompt,
  test_elicitation: withMessage,
  json_schema_2020_12_tool: {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    type: "object",
    $defs: {
      address: {
        $anchor: "addressDef",
        type: "object",
        properties: { street: { type: "string" }, city: { type: "string" } },
      },
    },
    properties: { name: { type: "string" }, address: { $ref: "#/$defs/address" } },
    allOf: [{ anyOf: [{ required: ["name"] }, { required: ["address"] }] }],
    if: { required: ["name"] },
    // biome-ignore lint/suspicious/noThenProperty: a word of JSON Schema
    then: { properties: { name: { minLength: 1 } } },
    else: { required: ["address"] },
    additionalProperties: false,
  },
};
const toolNames = [
  ...Object.keys(plain),
  "test_tool_with_logging",
  "test_error_handling",
  "test_tool_with_progress",
  "test_sampling",
  "test_elicitation",
  "test_elicitation_sep1034_defaults",
  "test_elicitation_sep1330_enums",
  "test_reconnection",
  "test_param_headers",
  "json_schema_2020_12_tool",
];

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
  if (plain[name]) return { content: plain[name] };
  if (name === "test_error_handling") {
    const content = [text("This tool intentionally returns an error for testing")];
    return { content, isError: true };
  }
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
  return { content: [text(`called ${name}`)] };
}

const prompts: Readonly<Record<string, (args: Readonly<Record<string, string>>) => object[]>> = {
  test_simple_prompt: () => [text("This is a simple prompt for testing.")],
  test_prompt_with_arguments: ({ arg1, arg2 }) => [
    text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`),
  ],
  test_prompt_with_embedded_resource: ({ resourceUri = "" }) => [
    embedded(resourceUri),
    text("Please process the embedded resource above."),
  ],
  test_prompt_with_image: () => [image, text("Please analyze the image above.")],
};
const promptArguments: Readonly<Record<string, readonly string[]>> = {
  test_prompt_with_arguments: ["arg1", "arg2"],
  test_prompt_with_embedded_resource: ["resourceUri"],
};

function read(uri: string): object {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  if (id) {
    const value = { id, templateTest: true, data: `Data for ID: ${id}` };
    return { uri, mimeType: "application/json", text: JSON.stringify(value) };
  }
  if (uri === "test://static-binary") return { uri, mimeType: "image/png", blob: png };
  if (uri.includes("nonexistent")) throw new McpError(-32002, "Resource not found", { uri });
  return { uri, mimeType: "text/plain", text: "This is the content of the static text resource." };
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
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: toolNames.map((name) => ({
      name,
      description: `The suite's ${name}`,
      inputSchema: (schemas[name] ?? object) as { type: "object" },
    })),
  }));
  server.setRequestHandler(CallToolRequestSchema, async ({ params }, extra) => {
    return (await callTool(params.name, params.arguments ?? {}, extra as Extra)) as never;
  });
  server.setRequestHandler(ListPromptsRequestSchema, () => ({
    prompts: Object.keys(prompts).map((name) => ({
      name,
      description: `The suite's ${name}`,
      arguments: (promptArguments[name] ?? []).map((arg) => ({ name: arg, required: true })),
    })),
  }));
  server.setRequestHandler(GetPromptRequestSchema, ({ params }) => ({
    messages: (prompts[params.name]?.(params.arguments ?? {}) ?? []).map((content) => ({
      role: "user",
      content,
    })) as never,
  }));
  server.setRequestHandler(ListResourcesRequestSchema, () => ({
    resources: ["test://static-text", "test://static-binary", "test://watched-resource"].map(
      (uri) => ({ uri, name: uri.slice(7), description: "The suite's", mimeType: "text/plain" }),
    ),
  }));
  server.setRequestHandler(ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: [{ uriTemplate: "test://template/{id}/data", name: "template" }],
  }));
  server.setRequestHandler(ReadResourceRequestSchema, ({ params }) => ({
    contents: [read(params.uri)] as never,
  }));
  server.setRequestHandler(SubscribeRequestSchema, () => ({}));
  server.setRequestHandler(UnsubscribeRequestSchema, () => ({}));
  server.setRequestHandler(SetLevelRequestSchema, () => ({}));
  server.setRequestHandler(CompleteRequestSchema, ({ params }) => ({
    completion: { values: [`${params.argument.value}aris`], total: 1, hasMore: false },
  }));
  return server;
}

export interface HttpFixture {
  readonly url: string;
  close(): Promise<void>;
}

/** Over Streamable HTTP on a free port, with sessions and resumption. */
export function startMcpFixture(create: () => Server = createFixture): HttpFixture {
  const sessions = new Map<string, WebStandardStreamableHTTPServerTransport>();
  const eventStore = (): EventStore => createEventMemory();
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    async fetch(request) {
      const known = sessions.get(request.headers.get("mcp-session-id") ?? "");
      if (known) return await known.handleRequest(request);
      const host = request.headers.get("host") ?? "";
      if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) return new Response("", { status: 403 });
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
    async close() {
      for (const transport of sessions.values()) await transport.close();
      await server.stop(true);
    },
  };
}
