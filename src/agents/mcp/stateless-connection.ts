/**
 * A server of revision 2026-07-28, to which there is no connection: every request says all of itself.
 * What it needs of the client it answers in place of the result (`input_required`); it is asked for,
 * and the request sent again with the answers.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */

import { isObject, type JsonObject } from "../../domain/json.ts";
import type { McpServer } from "../../domain/mcp.ts";
import { parseSse } from "../../std/sse.ts";
import { version } from "../../std/version.ts";
import type { Connection, ConnectOptions, RequestOptions } from "./connection-contract.ts";
import { rethrown } from "./mcp-error.ts";
import {
  auth,
  ErrorCode,
  extractWWWAuthenticateParams,
  type FetchLike,
  McpError,
  type ServerCapabilities,
  StreamableHTTPError,
  UnauthorizedError,
} from "./sdk.ts";
import { capabilitiesKey, clientKey, statelessVersion, versionKey } from "./stateless-words.ts";

/** How often one request may be answered with a question. */
const roundLimit = 10;

export interface StatelessOptions extends ConnectOptions {
  readonly fetch: FetchLike;
  readonly breach: () => string | undefined;
}

/** Whether a server's refusal of the handshake says that it knows only requests without one. */
export function isStatelessOnly(thrown: unknown): boolean {
  if (thrown instanceof McpError) {
    return thrown.code === -32022 || thrown.code === ErrorCode.MethodNotFound;
  }
  if (!(thrown instanceof StreamableHTTPError)) return false;
  return [400, 404].includes(thrown.code ?? 0) && /-32022|-32601/.test(thrown.message);
}

/** @throws McpError; what its transport throws */
export async function openStateless(
  server: McpServer,
  options: StatelessOptions,
): Promise<Connection> {
  const peer = createPeer(server, options);
  const limits = {
    signal: AbortSignal.timeout(options.connectTimeoutMs),
    timeoutMs: options.connectTimeoutMs,
    maxMs: options.connectTimeoutMs,
  };
  const found = await peer.ask("server/discover", {}, limits);
  const versions = found["supportedVersions"];
  if (!Array.isArray(versions) || !versions.includes(statelessVersion)) {
    throw new Error(`it speaks none of this gateway's revisions of the protocol`);
  }
  const info = isObject(found["_meta"])
    ? found["_meta"]["io.modelcontextprotocol/serverInfo"]
    : undefined;
  return {
    capabilities: usable(found["capabilities"]),
    instructions: typeof found["instructions"] === "string" ? found["instructions"] : undefined,
    serverInfo: {
      name: isObject(info) ? String(info["name"]) : server.name,
      version: isObject(info) ? String(info["version"]) : "",
    },
    get breach() {
      return options.breach();
    },
    async request(method, params = {}, how) {
      // This revision has no ping; what it says of itself is as good.
      if (method === "ping") return peer.ask("server/discover", {}, how).then(() => ({}));
      return await peer.ask(method, params, how);
    },
    notify: () => Promise.resolve(), // it hears of nothing but requests
    close: () => Promise.resolve(),
  };
}

/** Without what only a connection could carry. */
function usable(told: unknown): ServerCapabilities {
  if (!isObject(told)) return {};
  const { tools, prompts, resources, completions } = told as ServerCapabilities;
  return {
    ...(tools ? { tools: {} } : {}),
    ...(prompts ? { prompts: {} } : {}),
    ...(resources ? { resources: {} } : {}),
    ...(completions ? { completions: {} } : {}),
  };
}

interface Peer {
  ask(method: string, params: JsonObject, how: RequestOptions): Promise<JsonObject>;
}

function createPeer(server: McpServer, options: StatelessOptions): Peer {
  /** Tool → argument → the header that it goes into as well. */
  const headers = new Map<string, ReadonlyMap<string, string>>();
  let nextId = 1;

  async function ask(method: string, params: JsonObject, how: RequestOptions): Promise<JsonObject> {
    let sent = params;
    for (let round = 0; round <= roundLimit; round++) {
      const result = await once(method, sent, how);
      if (result["resultType"] !== "input_required") {
        if (method === "tools/list") rememberHeaders(result["tools"], headers);
        const { resultType: _, ttlMs: __, cacheScope: ___, ...plain } = result;
        return plain;
      }
      const { inputRequests, requestState } = result;
      const inputResponses = await answers(inputRequests, how.signal);
      sent = { ...params, inputResponses, ...(requestState === undefined ? {} : { requestState }) };
    }
    throw rethrown(ErrorCode.InternalError, `It asks its client more than ${roundLimit} times.`);
  }

  async function answers(requests: unknown, signal: AbortSignal): Promise<JsonObject> {
    const entries = await Promise.all(
      Object.entries(isObject(requests) ? requests : {}).map(async ([key, request]) => {
        const { method, params } = isObject(request) ? request : {};
        const given = await options.onRequest(
          String(method),
          isObject(params) ? params : {},
          signal,
        );
        return [key, given];
      }),
    );
    return Object.fromEntries(entries) as JsonObject;
  }

  async function once(
    method: string,
    params: JsonObject,
    how: RequestOptions,
  ): Promise<JsonObject> {
    const id = nextId++;
    const limit = new AbortController();
    const late = () => limit.abort(rethrown(ErrorCode.RequestTimeout, "Request timed out"));
    let stop = options.clock.after(how.timeoutMs, late);
    const wait = () => {
      stop();
      stop = options.clock.after(how.timeoutMs, late);
    };
    const signal = AbortSignal.any([how.signal, limit.signal]);
    const body = JSON.stringify({ jsonrpc: "2.0", id, method, params: enveloped(params, id, how) });
    try {
      const init = { method: "POST", body, signal };
      const response = await authorized(server, options, {
        ...init,
        headers: headersOf(method, params),
      });
      return await readAnswer(response, id, { how, wait });
    } catch (thrown) {
      throw limit.signal.aborted ? limit.signal.reason : thrown;
    } finally {
      stop();
    }
  }

  function enveloped(params: JsonObject, id: number, how: RequestOptions): JsonObject {
    const meta = isObject(params["_meta"]) ? params["_meta"] : {};
    return {
      ...params,
      _meta: {
        ...meta,
        ...(how.onProgress ? { progressToken: id } : {}),
        [versionKey]: statelessVersion,
        [capabilitiesKey]: options.capabilities as JsonObject,
        [clientKey]: { name: "routeiq", version },
      },
    };
  }

  function headersOf(method: string, params: JsonObject): Record<string, string> {
    const name = method === "resources/read" ? params["uri"] : params["name"];
    const args = isObject(params["arguments"]) ? params["arguments"] : {};
    const own: Record<string, string> = {};
    for (const [argument, field] of headers.get(String(name)) ?? []) {
      const value = args[argument];
      if (value === undefined || value === null || typeof value === "object") continue;
      own[`mcp-param-${field.toLowerCase()}`] = encoded(String(value));
    }
    const named = ["tools/call", "prompts/get", "resources/read"].includes(method);
    return {
      ...own,
      "content-type": "application/json",
      accept: "application/json, text/event-stream",
      "mcp-protocol-version": statelessVersion,
      "mcp-method": method,
      ...(named ? { "mcp-name": encoded(String(name)) } : {}),
    };
  }

  async function readAnswer(
    response: Response,
    id: number,
    { how, wait }: { readonly how: RequestOptions; readonly wait: () => void },
  ): Promise<JsonObject> {
    const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") ?? false;
    if (!isStream) return resultIn(await response.json(), id);
    for await (const { data } of parseSse(response.body ?? new ReadableStream<Uint8Array>())) {
      const message: unknown = data === "" ? undefined : JSON.parse(data);
      if (!isObject(message)) continue;
      if (message["id"] === id) return resultIn(message, id);
      const params = isObject(message["params"]) ? message["params"] : {};
      if (message["method"] === "notifications/progress") {
        wait();
        how.onProgress?.(params);
      } else if (typeof message["method"] === "string")
        options.onNotification(message["method"], params);
    }
    throw new Error("its stream ended without an answer");
  }

  return { ask };
}

/** @throws McpError, as the server had it */
function resultIn(message: unknown, id: number): JsonObject {
  const { error, result } = isObject(message) ? message : {};
  if (isObject(error)) {
    throw rethrown(
      Number(error["code"]) || ErrorCode.InternalError,
      String(error["message"]),
      error["data"],
    );
  }
  if (!isObject(message) || message["id"] !== id || !isObject(result)) {
    throw new Error("what it answered is no answer of the protocol's");
  }
  return result;
}

/** Once more with a token, where the server asks for one. @throws UnauthorizedError */
async function authorized(
  { url = "" }: McpServer,
  { authProvider, fetch: sendOut }: StatelessOptions,
  init: RequestInit & { readonly headers: Readonly<Record<string, string>> },
): Promise<Response> {
  const send = async () => {
    const token = (await authProvider?.tokens())?.access_token;
    const bearer = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return await sendOut(url, { ...init, headers: { ...init.headers, ...bearer } });
  };
  const first = await send();
  if (!authProvider || (first.status !== 401 && first.status !== 403)) return first;
  const { resourceMetadataUrl, scope } = extractWWWAuthenticateParams(first);
  await first.body?.cancel();
  const done = await auth(authProvider, {
    serverUrl: url,
    fetchFn: sendOut,
    ...(scope === undefined ? {} : { scope }),
    ...(resourceMetadataUrl === undefined ? {} : { resourceMetadataUrl }),
  });
  if (done !== "AUTHORIZED") throw new UnauthorizedError();
  return await send();
}

/** What no header can hold is sent as base64. */
function encoded(value: string): string {
  const isPlain =
    /^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(value) && !/^=\?base64\?/i.test(value);
  return isPlain ? value : `=?base64?${Buffer.from(value, "utf8").toString("base64")}?=`;
}

function rememberHeaders(tools: unknown, into: Map<string, ReadonlyMap<string, string>>): void {
  for (const tool of Array.isArray(tools) ? tools : []) {
    const schema: unknown = isObject(tool) ? tool["inputSchema"] : undefined;
    const properties =
      isObject(schema) && isObject(schema["properties"]) ? schema["properties"] : {};
    const fields = new Map<string, string>();
    for (const [argument, property] of Object.entries(properties)) {
      const field = isObject(property) ? property["x-mcp-header"] : undefined;
      if (typeof field === "string" && /^[A-Za-z0-9-]{1,64}$/.test(field))
        fields.set(argument, field);
    }
    if (fields.size > 0 && into.size < toolLimit)
      into.set(String(isObject(tool) ? tool["name"] : ""), fields);
  }
}

const toolLimit = 10_000;
