/**
 * A server of revision 2026-07-28 for the conformance suite, of our own making and strict: what it
 * is not told as the revision has it, it refuses.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28
 */
import { isObject, type JsonObject } from "../../src/domain/json.ts";
import { fixtureLists, plainTool, promptMessages, readResource } from "./mcp-fixture-content.ts";
import {
  askedPrompt,
  ModernError,
  type ModernWorld,
  modernTools,
  onTask,
  tasksExtension,
} from "./mcp-modern-tools.ts";

const version = "2026-07-28";
const key = (name: string) => `io.modelcontextprotocol/${name}`;
const names: Readonly<Record<string, string>> = {
  "tools/call": "name",
  "prompts/get": "name",
  "resources/read": "uri",
  "tasks/get": "taskId",
  "tasks/update": "taskId",
  "tasks/cancel": "taskId",
};

interface Listener {
  readonly id: unknown;
  readonly filter: JsonObject;
  send(message: JsonObject): void;
}

export interface ModernFixture extends ModernWorld {
  /** Undefined where the message is of an older revision. */
  handle(request: Request, body: unknown): Response | undefined;
  /** Streams of `subscriptions/listen` that are open. */
  readonly listening: number;
  close(): void;
}

interface Message {
  readonly id: string | number;
  readonly method: string;
  readonly params: JsonObject;
}

export function createModernFixture(): ModernFixture {
  const listeners = new Set<Listener>();
  const streams = new Set<ReadableStreamDefaultController<Uint8Array>>();
  const world: ModernWorld = {
    tasks: new Map(),
    changed(method, params = {}) {
      for (const { id, filter, send } of listeners) {
        if (!isWanted(filter, method, params)) continue;
        send({
          jsonrpc: "2.0",
          method,
          params: { ...params, _meta: { [key("subscriptionId")]: id } } as JsonObject,
        });
      }
    },
  };

  function listen(message: Message, signal: AbortSignal): Response {
    const asked = isObject(message.params["notifications"]) ? message.params["notifications"] : {};
    if (asked["taskIds"] !== undefined && !hasTasks(message))
      throw new ModernError(-32021, "Missing required client capability", {
        data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
      });
    let end: () => void = () => undefined;
    const body = new ReadableStream<Uint8Array>({
      start(controller) {
        streams.add(controller);
        const listener: Listener = {
          id: message.id,
          filter: asked,
          send: (sent) => controller.enqueue(frame(sent)),
        };
        const params = { notifications: asked, _meta: { [key("subscriptionId")]: message.id } };
        listener.send({
          jsonrpc: "2.0",
          method: "notifications/subscriptions/acknowledged",
          params,
        });
        listeners.add(listener);
        end = () => {
          listeners.delete(listener);
          streams.delete(controller);
        };
      },
      cancel: () => end(),
    });
    signal.addEventListener("abort", () => end());
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }

  return {
    ...world,
    get listening() {
      return listeners.size;
    },
    handle(request, body) {
      const message = messageIn(request, body);
      if (!message) return undefined;
      try {
        assertEnvelope(request, message);
        if (message.method === "subscriptions/listen") return listen(message, request.signal);
        return answered(message, world);
      } catch (thrown) {
        if (!(thrown instanceof ModernError)) throw thrown;
        const { code, message: words, data, status } = thrown;
        const error = { code, message: words, ...(data ? { data } : {}) };
        return Response.json({ jsonrpc: "2.0", id: message.id, error }, { status });
      }
    },
    close() {
      for (const stream of streams) stream.close();
      listeners.clear();
      streams.clear();
    },
  };
}

const frame = (message: object) =>
  new TextEncoder().encode(`event: message\ndata: ${JSON.stringify(message)}\n\n`);

function isWanted(filter: JsonObject, method: string, params: JsonObject): boolean {
  const has = (field: string, value: unknown) =>
    Array.isArray(filter[field]) && filter[field].includes(value as string);
  if (method === "notifications/resources/updated")
    return has("resourceSubscriptions", params["uri"]);
  if (method === "notifications/tasks") return has("taskIds", params["taskId"]);
  const kind = /notifications\/(\w+)\/list_changed/.exec(method)?.[1];
  return filter[`${kind}ListChanged`] === true;
}

function messageIn(request: Request, body: unknown): Message | undefined {
  if (!isObject(body) || typeof body["method"] !== "string") return undefined;
  const params = isObject(body["params"]) ? body["params"] : {};
  const modern =
    typeof metaOf(params)[key("protocolVersion")] === "string" ||
    (request.headers.get("mcp-protocol-version") ?? "") >= version;
  return modern ? { id: body["id"] as number, method: body["method"], params } : undefined;
}

const metaOf = ({ _meta }: JsonObject): JsonObject => (isObject(_meta) ? _meta : {});
const capabilitiesOf = ({ params }: Message): JsonObject => {
  const told = metaOf(params)[key("clientCapabilities")];
  return isObject(told) ? told : {};
};
const hasTasks = (message: Message) => {
  const { extensions } = capabilitiesOf(message);
  return isObject(extensions) && extensions[tasksExtension] !== undefined;
};

/** @throws ModernError */
function assertEnvelope({ headers }: Request, message: Message): void {
  const { method, params } = message;
  const meta = metaOf(params);
  const claimed = meta[key("protocolVersion")];
  if (typeof claimed !== "string") throw new ModernError(-32602, "no protocolVersion");
  if (headers.get("mcp-protocol-version") !== claimed) throw mismatch("MCP-Protocol-Version");
  if (claimed !== version) {
    const data = { supported: [version], requested: claimed };
    throw new ModernError(-32022, "Unsupported protocol version", { data });
  }
  if (!isObject(meta[key("clientCapabilities")])) throw new ModernError(-32602, "no capabilities");
  if (headers.get("mcp-method") !== method) throw mismatch("Mcp-Method");
  if (!methods.has(method)) throw new ModernError(-32601, "Method not found", { status: 404 });
  const field = names[method];
  if (field && decoded(headers.get("mcp-name")) !== params[field]) throw mismatch("Mcp-Name");
  if (method.startsWith("tasks/") && !hasTasks(message))
    throw new ModernError(-32021, "Missing required client capability", {
      data: { requiredCapabilities: { extensions: { [tasksExtension]: {} } } },
    });
  if (method === "tools/call") assertParams(headers, params);
}

const mismatch = (header: string) => new ModernError(-32020, `Header mismatch: ${header}`);

function decoded(value: string | null): string | undefined {
  const encoded = /^=\?base64\?(.*)\?=$/.exec(value ?? "")?.[1];
  if (encoded === undefined) return value ?? undefined;
  const isBase64 = /^[A-Za-z0-9+/]*={0,2}$/.test(encoded) && encoded.length % 4 === 0;
  return isBase64 ? Buffer.from(encoded, "base64").toString("utf8") : undefined;
}

/** The one tool whose arguments stand in headers as well. */
function assertParams(headers: Headers, { name, arguments: args }: JsonObject): void {
  if (name !== "test_param_headers") return;
  for (const [argument, header] of [
    ["region", "mcp-param-region"],
    ["count", "mcp-param-count"],
  ] as const) {
    const value = isObject(args) ? args[argument] : undefined;
    const given = decoded(headers.get(header));
    if (value === undefined || value === null) continue;
    if (given === undefined || (given !== String(value) && Number(given) !== value))
      throw mismatch(header);
  }
}

const methods: ReadonlySet<string> = new Set([
  ...Object.keys(names),
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "completion/complete",
  "subscriptions/listen",
]);

/** As JSON, or, where the tool says something meanwhile, as a stream. */
function answered(message: Message, world: ModernWorld): Response {
  const told: object[] = [];
  const tell = (method: string, params: JsonObject) =>
    void told.push({ jsonrpc: "2.0", method, params });
  const result = {
    resultType: "complete",
    ...run(message, world, tell),
    _meta: { [key("serverInfo")]: { name: "modern-fixture", version: "1.0.0" } },
  };
  const answer = { jsonrpc: "2.0", id: message.id, result };
  if (told.length === 0) return Response.json(answer);
  const frames = [...told, answer].map((each) => frame(each));
  return new Response(Buffer.concat(frames), { headers: { "content-type": "text/event-stream" } });
}

type Tell = (method: string, params: JsonObject) => void;

function run(message: Message, world: ModernWorld, tell: Tell): JsonObject {
  const { method, params } = message;
  const cached = { ttlMs: 30_000, cacheScope: "public" };
  const lists = fixtureLists(Object.keys(modernTools));
  switch (method) {
    case "server/discover":
      return { ...cached, supportedVersions: [version], capabilities } as unknown as JsonObject;
    case "tools/list":
      return { ...cached, tools: lists.tools };
    case "prompts/list": {
      const asking = { name: "test_input_required_result_prompt", description: "It asks" };
      return { ...cached, prompts: [...lists.prompts, asking] };
    }
    case "resources/list":
      return { ...cached, resources: lists.resources };
    case "resources/templates/list":
      return { ...cached, resourceTemplates: lists.resourceTemplates };
    case "resources/read":
      return { ...cached, ttlMs: 5_000, contents: [read(String(params["uri"]))] };
    case "prompts/get":
      return params["name"] === "test_input_required_result_prompt"
        ? askedPrompt(params)
        : { messages: promptMessages(String(params["name"]), params["arguments"]) };
    case "completion/complete":
      return { completion: { values: ["paris"], total: 1, hasMore: false } };
    case "tools/call":
      return call(message, world, tell);
    default:
      return onTask(method, params, world);
  }
}

const capabilities = {
  tools: { listChanged: true },
  prompts: { listChanged: true },
  resources: { listChanged: true, subscribe: true },
  completions: {},
  logging: {},
  extensions: { [tasksExtension]: {} },
};

function read(uri: string): JsonObject {
  try {
    return readResource(uri);
  } catch {
    throw new ModernError(-32602, "Resource not found", { data: { uri }, status: 200 });
  }
}

function call(message: Message, world: ModernWorld, tell: Tell): JsonObject {
  const { params } = message;
  const name = String(params["name"]);
  const args = isObject(params["arguments"]) ? params["arguments"] : {};
  const meta = metaOf(params);
  const logLevel = meta[key("logLevel")];
  const tool = modernTools[name];
  if (tool) {
    const level = typeof logLevel === "string" ? logLevel : undefined;
    const capabilities = capabilitiesOf(message);
    return tool({ name, args, params, capabilities, logLevel: level, tell }, world);
  }
  if (name === "test_tool_with_progress") {
    const progressToken = meta["progressToken"];
    for (const progress of progressToken === undefined ? [] : [0, 50, 100])
      tell("notifications/progress", { progressToken: progressToken ?? 0, progress, total: 100 });
  }
  const found = plainTool(name);
  if (found) return found;
  throw new ModernError(-32602, `Unknown tool: ${name}`, { status: 200 });
}
