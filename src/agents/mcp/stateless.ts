/**
 * Callers of revision 2026-07-28, who have no session and no handshake: each request says its version
 * and what its client can do, and is answered alone. Older servers are spoken to in their own revision.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic
 */

import { isObject, type JsonObject } from "../../domain/json.ts";
import { version } from "../../std/version.ts";
import { plainMessage } from "./mcp-error.ts";
import { answer } from "./requests.ts";
import { ErrorCode, McpError, type ServerCapabilities } from "./sdk.ts";
import { capabilitiesKey, serverKey, statelessVersion, versionKey } from "./stateless-words.ts";
import type { View } from "./view.ts";

const codes = { headerMismatch: -32020, unsupportedVersion: -32022 } as const;

/** What of the protocol's methods this revision still has; and where its `Mcp-Name` comes from. */
const methods: Readonly<Record<string, "name" | "uri" | undefined>> = {
  "server/discover": undefined,
  "tools/list": undefined,
  "tools/call": "name",
  "prompts/list": undefined,
  "prompts/get": "name",
  "resources/list": undefined,
  "resources/templates/list": undefined,
  "resources/read": "uri",
  "completion/complete": undefined,
};

/** How long such an answer is good for; it depends on who asks. */
const cached: ReadonlySet<string> = new Set([
  "server/discover",
  "tools/list",
  "prompts/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
]);
const listTtlMs = 60_000;

interface Message {
  readonly id: string | number | undefined;
  readonly method: string;
  readonly params: JsonObject;
}

/** Whether a posted message is of this revision or one after it; older ones begin with `initialize`. */
export function isStateless(request: Request, body: unknown): boolean {
  const message = messageIn(body);
  if (!message) return false;
  if (typeof metaOf(message.params)[versionKey] === "string") return true;
  const named = request.headers.get("mcp-protocol-version")?.trim() ?? "";
  return /^\d{4}-\d\d-\d\d$/.test(named) && named >= statelessVersion;
}

function messageIn(body: unknown): Message | undefined {
  if (!isObject(body) || body["jsonrpc"] !== "2.0" || typeof body["method"] !== "string")
    return undefined;
  const { id, method } = body;
  const isId = typeof id === "string" || typeof id === "number";
  const params = isObject(body["params"]) ? body["params"] : {};
  return { id: isId ? id : undefined, method, params };
}

const metaOf = ({ _meta }: JsonObject): JsonObject => (isObject(_meta) ? _meta : {});

/** A failure before anything was done: its status says so as well. */
class Refusal extends Error {
  readonly status: number;
  readonly code: number;
  readonly data: JsonObject | undefined;

  constructor(code: number, message: string, more: { status?: number; data?: JsonObject } = {}) {
    super(message);
    this.code = code;
    this.status = more.status ?? 400;
    this.data = more.data;
  }
}

export async function answerStateless(
  request: Request,
  body: unknown,
  open: () => Promise<{
    readonly view: View;
    readonly capabilities: ServerCapabilities;
    readonly instructions?: string;
  }>,
): Promise<Response> {
  const message = messageIn(body);
  if (!message)
    return refused(
      undefined,
      new Refusal(ErrorCode.InvalidRequest, "The body is no JSON-RPC message."),
    );
  // What a client only tells is heard and needs no answer: of this revision it can cancel by hanging up.
  if (message.id === undefined) return new Response(null, { status: 202 });
  try {
    assertEnvelope(request, message);
    const { view, capabilities, instructions } = await open();
    await assertParamHeaders(request, message, view);
    const wants = metaOf(message.params)["progressToken"] !== undefined;
    const streams = request.headers.get("accept")?.includes("text/event-stream") ?? false;
    if (wants && streams) return stream(message, view, request.signal);
    const discovered = {
      supportedVersions: [statelessVersion],
      capabilities: withoutListening(capabilities),
      ...(instructions ? { instructions } : {}),
    };
    const result =
      message.method === "server/discover"
        ? (discovered as unknown as JsonObject)
        : await run(message, view, request.signal);
    return Response.json({
      jsonrpc: "2.0",
      id: message.id,
      result: complete(message.method, result),
    });
  } catch (thrown) {
    return refused(message.id, thrown);
  }
}

/** Changes are not told of between requests: lists say for how long they are good. */
function withoutListening(capabilities: ServerCapabilities): JsonObject {
  const { experimental: _, tasks: __, logging: ___, ...kept } = capabilities;
  const entries = Object.entries(kept).map(([name, value]) => {
    const { listChanged: _l, subscribe: _s, ...rest } = (value ?? {}) as Record<string, never>;
    return [name, rest];
  });
  return Object.fromEntries(entries) as JsonObject;
}

/** @throws Refusal, in the order of the specification */
function assertEnvelope({ headers }: Request, { method, params }: Message): void {
  const meta = metaOf(params);
  const claimed = meta[versionKey];
  const header = (name: string) => headers.get(name)?.trim();
  if (typeof claimed !== "string") {
    throw new Refusal(ErrorCode.InvalidParams, `_meta["${versionKey}"] is missing.`);
  }
  const named = header("mcp-protocol-version");
  if (named !== claimed) throw mismatch("MCP-Protocol-Version", claimed, named);
  if (claimed !== statelessVersion) {
    const message = `Unsupported protocol version ${claimed.slice(0, 40)}.`;
    const data = { supported: [statelessVersion], requested: claimed };
    throw new Refusal(codes.unsupportedVersion, message, { data });
  }
  if (!isObject(meta[capabilitiesKey])) {
    throw new Refusal(ErrorCode.InvalidParams, `_meta["${capabilitiesKey}"] is missing.`);
  }
  if (header("mcp-method") !== method) throw mismatch("Mcp-Method", method, header("mcp-method"));
  if (!Object.hasOwn(methods, method)) {
    throw new Refusal(ErrorCode.MethodNotFound, "Method not found", { status: 404 });
  }
  const field = methods[method];
  if (field === undefined) return;
  const wanted = String(params[field] ?? "");
  const given = header("mcp-name");
  if (given === undefined || decoded(given) !== wanted) throw mismatch("Mcp-Name", wanted, given);
}

function mismatch(name: string, wanted: string, given: string | undefined): Refusal {
  const message =
    given === undefined
      ? `The header ${name} is missing.`
      : `The header ${name} does not say what the body says (${wanted.slice(0, 80)}).`;
  return new Refusal(codes.headerMismatch, message);
}

/** Values that no header can hold come as `=?base64?…?=`. */
function decoded(value: string): string | undefined {
  const [, encoded] = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/i.exec(value) ?? [];
  if (encoded === undefined) return value;
  if (encoded.length % 4 !== 0) return undefined;
  return Buffer.from(encoded, "base64").toString("utf8");
}

/** Arguments that a tool wants in headers as well (`x-mcp-header`) must be the same there. */
async function assertParamHeaders(
  request: Request,
  { method, params }: Message,
  view: View,
): Promise<void> {
  if (method !== "tools/call") return;
  const args = isObject(params["arguments"]) ? params["arguments"] : {};
  const schema = await schemaOf(view, String(params["name"] ?? ""), request.signal);
  const properties = isObject(schema) && isObject(schema["properties"]) ? schema["properties"] : {};
  for (const [key, property] of Object.entries(properties)) {
    const name = isObject(property) ? property["x-mcp-header"] : undefined;
    if (typeof name !== "string" || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) continue;
    const value = args[key];
    const given = request.headers.get(`mcp-param-${name}`)?.trim();
    if (value === undefined || value === null) {
      if (given !== undefined) throw mismatch(`Mcp-Param-${name}`, "nothing", given);
      continue;
    }
    const wanted = String(value);
    if (given === undefined || !isSame(decoded(given), wanted))
      throw mismatch(`Mcp-Param-${name}`, wanted, given);
  }
}

/** Numbers are the same however they are written. */
const isSame = (given: string | undefined, wanted: string) =>
  given === wanted ||
  (given !== undefined && given !== "" && wanted !== "" && Number(given) === Number(wanted));

async function schemaOf(view: View, name: string, signal: AbortSignal) {
  const { servers, single } = view.scope;
  for (const server of servers) {
    const bare = single
      ? name
      : name.startsWith(`${server.name}.`)
        ? name.slice(server.name.length + 1)
        : undefined;
    if (bare === undefined) continue;
    // A server that is away is told of by the call itself.
    const tools = await view.tools(server, signal).catch(() => []);
    return tools.find((tool) => tool["name"] === bare)?.["inputSchema"];
  }
  return undefined;
}

async function run(
  { id, method, params }: Message,
  view: View,
  signal: AbortSignal,
  onProgress?: (told: JsonObject) => void,
): Promise<JsonObject> {
  // The envelope is between the caller and us: servers have their own, and hear nothing of it.
  const { [versionKey]: _, [capabilitiesKey]: __, ...meta } = metaOf(params);
  const kept = Object.fromEntries(
    Object.entries(meta).filter(([key]) => !key.startsWith("io.modelcontextprotocol/")),
  );
  const asked = { id: id ?? 0, params: { ...params, _meta: kept }, signal };
  return await answer(method, view, onProgress ? { ...asked, onProgress } : asked);
}

function complete(method: string, result: JsonObject): JsonObject {
  const meta = isObject(result["_meta"]) ? result["_meta"] : {};
  const lifetime = cached.has(method)
    ? { ttlMs: method === "resources/read" ? 0 : listTtlMs, cacheScope: "private" }
    : {};
  const serverInfo = { name: "routeiq-mcp-gateway", version };
  return {
    resultType: "complete",
    ...lifetime,
    ...result,
    _meta: { ...meta, [serverKey]: serverInfo },
  };
}

/** Progress as it comes, and the answer at its end. */
function stream(message: Message, view: View, gone: AbortSignal): Response {
  const encoder = new TextEncoder();
  const token = metaOf(message.params)["progressToken"];
  const left = new AbortController();
  const body = new ReadableStream<Uint8Array>({
    async start(controller) {
      const send = (value: object) => {
        if (left.signal.aborted) return; // nobody listens any more
        controller.enqueue(encoder.encode(`event: message\ndata: ${JSON.stringify(value)}\n\n`));
      };
      const onProgress = (told: JsonObject) =>
        send({
          jsonrpc: "2.0",
          method: "notifications/progress",
          params: { ...told, progressToken: token },
        });
      try {
        const signal = AbortSignal.any([gone, left.signal]);
        const result = await run(message, view, signal, onProgress);
        send({ jsonrpc: "2.0", id: message.id, result: complete(message.method, result) });
      } catch (thrown) {
        send({ jsonrpc: "2.0", id: message.id, error: errorOf(thrown).error });
      }
      if (!left.signal.aborted) controller.close();
    },
    cancel: () => left.abort(),
  });
  const headers = {
    "content-type": "text/event-stream",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
  };
  return new Response(body, { headers });
}

function errorOf(thrown: unknown): { readonly status: number; readonly error: JsonObject } {
  if (thrown instanceof Refusal) {
    const { status, code, message, data } = thrown;
    return { status, error: { code, message, ...(data ? { data } : {}) } };
  }
  if (!(thrown instanceof McpError)) throw thrown;
  // This revision knows no code of its own for a resource that is not there.
  const code = thrown.code === -32002 ? ErrorCode.InvalidParams : thrown.code;
  const { data } = thrown as { data?: JsonObject };
  const error = {
    code,
    message: plainMessage(thrown.message),
    ...(data === undefined ? {} : { data }),
  };
  return { status: 200, error };
}

function refused(id: Message["id"], thrown: unknown): Response {
  const { status, error } = errorOf(thrown);
  return Response.json({ jsonrpc: "2.0", id: id ?? null, error }, { status });
}
