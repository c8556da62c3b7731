/**
 * A server of revision 2026-07-28, to which there is no connection: every request says all of itself.
 * What it needs of its client it answers in place of the result (`input_required`): a caller of the
 * same revision gets that as it is, any other is asked, and the request sent again with the answers.
 * Source: https://modelcontextprotocol.io/specification/2026-07-28/basic/patterns/mrtr
 */

import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { version } from "../../../std/version.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode, McpError, type ServerCapabilities, StreamableHTTPError } from "../sdk.ts";
import { createTaskRunner, type TaskRunner } from "../tools/task-runner.ts";
import type {
  Connection,
  ConnectOptions,
  Envelope,
  ListenOptions,
  RequestOptions,
} from "../upstream/connection-contract.ts";
import { watchSilence } from "../upstream/silence.ts";
import type { Carrier } from "./carriers.ts";
import { encoded, type ParamHeader, paramAt, paramHeadersOf } from "./headers.ts";
import { createListening, type Listening } from "./listening.ts";
import { type Peer, plain } from "./peer.ts";
import {
  capabilitiesKey,
  clientKey,
  logLevelKey,
  metaOf,
  namedBy,
  statelessCodes,
  statelessVersion,
  tasksExtension,
  versionKey,
} from "./words.ts";

/** How often one request may be answered with a question, and how many questions at once. */
const limits = { rounds: 10, questions: 32 } as const;

export interface StatelessOptions extends ConnectOptions {
  readonly carrier: Carrier;
  readonly breach: () => string | undefined;
}

/** Whether a server's refusal of the handshake says that it knows only requests without one. */
export function isStatelessOnly(thrown: unknown): boolean {
  if (thrown instanceof McpError) {
    return [statelessCodes.unsupportedVersion, ErrorCode.MethodNotFound].includes(thrown.code);
  }
  if (!(thrown instanceof StreamableHTTPError)) return false;
  return [400, 404].includes(thrown.code ?? 0) && /-3202[02]|-32601|-32602/.test(thrown.message);
}

/** @throws McpError; what its carrier throws */
export async function openStateless(
  server: McpServer,
  options: StatelessOptions,
): Promise<Connection> {
  const { carrier } = options;
  const peer = createPeer(options);
  const found = await discover(peer, options.connectTimeoutMs);
  const versions = found["supportedVersions"];
  if (!Array.isArray(versions) || !versions.includes(statelessVersion)) {
    throw new Error(`it speaks none of this gateway's revisions of the protocol`);
  }
  const info = metaOf(found)["io.modelcontextprotocol/serverInfo"];
  const told = isObject(found["capabilities"]) ? found["capabilities"] : {};
  const listening = createListening(peer.listen, told, options);
  const tasks = createTaskRunner(peer, options);
  return {
    era: "stateless",
    capabilities: told as unknown as ServerCapabilities,
    instructions: typeof found["instructions"] === "string" ? found["instructions"] : undefined,
    serverInfo: {
      name: isObject(info) ? String(info["name"]) : server.name,
      version: isObject(info) ? String(info["version"]) : "",
    },
    get breach() {
      return options.breach();
    },
    request: (method, params = {}, how) => answer({ peer, listening, tasks, method, params, how }),
    notify: () => Promise.resolve(), // it hears of nothing but requests
    listen: peer.listen,
    async close() {
      listening.close();
      await carrier.close();
    },
  };
}

/** One that refuses this revision, and names it as one of its own, is asked once more. @throws McpError */
async function discover(peer: Peer, timeoutMs: number): Promise<JsonObject> {
  const signal = AbortSignal.timeout(timeoutMs);
  const ask = () => peer.once("server/discover", {}, { signal, timeoutMs, maxMs: timeoutMs });
  try {
    return await ask();
  } catch (thrown) {
    if (!(thrown instanceof McpError) || thrown.code !== statelessCodes.unsupportedVersion)
      throw thrown;
    const known = (thrown.data as { readonly supported?: unknown } | undefined)?.supported;
    if (!Array.isArray(known) || !known.includes(statelessVersion)) throw thrown;
    return await ask();
  }
}

interface Asked {
  readonly peer: Peer;
  readonly listening: Listening;
  readonly tasks: TaskRunner;
  readonly method: string;
  readonly params: JsonObject;
  readonly how: RequestOptions;
}

/** What this revision does in another way than those with sessions; the rest is asked. */
async function answer({ peer, listening, tasks, method, params, how }: Asked): Promise<JsonObject> {
  // It has no ping; what it says of itself is as good.
  if (method === "ping") return peer.once("server/discover", {}, how).then(() => ({}));
  if (how.envelope) return await peer.once(method, params, how);
  if (method === "logging/setLevel") {
    peer.logLevel = String(params["level"]);
    return {};
  }
  if (method === "resources/subscribe") return await listening.subscribe(String(params["uri"]));
  if (method === "resources/unsubscribe") return await listening.unsubscribe(String(params["uri"]));
  if (method === "tools/call" || method.startsWith("tasks/"))
    return await tasks.run(method, params, how);
  return await peer.ask(method, params, how);
}

function createPeer(options: StatelessOptions): Peer {
  const { carrier, clock } = options;
  /** Tool → what of its arguments goes into headers as well. */
  const headers = new Map<string, readonly ParamHeader[]>();
  let nextId = 1;
  const own = (): Envelope => ({
    capabilities: options.capabilities as JsonObject,
    ...(peer.logLevel === undefined ? {} : { logLevel: peer.logLevel }),
  });

  const peer: Peer = { logLevel: undefined, once, ask, answersTo, listen };
  return peer;

  async function ask(method: string, params: JsonObject, how: RequestOptions): Promise<JsonObject> {
    let sent = params;
    for (let round = 0; round <= limits.rounds; round++) {
      const result = await once(method, sent, how);
      const { resultType = "complete" } = result;
      if (resultType === "complete") return plain(result);
      if (resultType === "task") return result;
      if (resultType !== "input_required") {
        const kind = String(resultType).slice(0, 40);
        throw rethrown(
          ErrorCode.InternalError,
          `It answered with a "${kind}", which nobody asked for.`,
        );
      }
      const { inputRequests, requestState } = result;
      const inputResponses = await answersTo(inputRequests, how.signal);
      sent = { ...params, inputResponses, ...(requestState === undefined ? {} : { requestState }) };
    }
    throw rethrown(ErrorCode.InternalError, `It asks its client more than ${limits.rounds} times.`);
  }

  async function answersTo(requests: unknown, signal: AbortSignal): Promise<JsonObject> {
    const asked = Object.entries(isObject(requests) ? requests : {});
    if (asked.length > limits.questions) {
      const message = `It asks its client ${asked.length} things at once; the limit is ${limits.questions}.`;
      throw rethrown(ErrorCode.InternalError, message);
    }
    const entries = await Promise.all(
      asked.map(async ([key, request]) => {
        const { method, params } = isObject(request) ? request : {};
        const of = isObject(params) ? params : {};
        return [key, await options.onRequest(String(method), of, signal)];
      }),
    );
    return Object.fromEntries(entries) as JsonObject;
  }

  async function once(
    method: string,
    params: JsonObject,
    how: RequestOptions,
  ): Promise<JsonObject> {
    try {
      return await send(method, params, how);
    } catch (thrown) {
      // The tool wants other arguments in headers than it did: its definition is asked for again.
      const isStale = thrown instanceof McpError && thrown.code === statelessCodes.headerMismatch;
      if (!isStale || method !== "tools/call") throw thrown;
      await send("tools/list", {}, how);
      return await send(method, params, how);
    }
  }

  async function send(
    method: string,
    params: JsonObject,
    how: RequestOptions,
  ): Promise<JsonObject> {
    const id = nextId++;
    const silence = watchSilence(how, clock);
    const onMessage = (message: JsonObject) => {
      silence.heard();
      tell(message, how);
    };
    try {
      const envelope = { ...(how.envelope ?? own()), ...(how.onProgress ? { token: id } : {}) };
      const message = enveloped({ id, method, params }, envelope);
      const sent = { id, message, headers: headersOf(method, params), signal: silence.signal };
      const result = resultIn(await carrier.send({ ...sent, onMessage }), id);
      return method === "tools/list" ? withoutUnsound(result) : result;
    } catch (thrown) {
      throw silence.reason ?? thrown;
    } finally {
      silence.stop();
    }
  }

  function tell(message: JsonObject, how: RequestOptions): void {
    const params = isObject(message["params"]) ? message["params"] : {};
    const { method } = message;
    if (method === "notifications/progress") how.onProgress?.(params);
    else if (typeof method === "string")
      (how.onNotification ?? options.onNotification)(method, params);
  }

  function headersOf(method: string, params: JsonObject): Record<string, string> {
    const field = namedBy.get(method);
    const name = field === undefined ? undefined : String(params[field]);
    const fields: Record<string, string> = {};
    for (const { path, field: header } of headers.get(String(params["name"])) ?? []) {
      const value = method === "tools/call" ? paramAt(params["arguments"], path) : undefined;
      if (value !== undefined) fields[`mcp-param-${header.toLowerCase()}`] = encoded(value);
    }
    return {
      ...fields,
      "mcp-protocol-version": statelessVersion,
      "mcp-method": method,
      ...(name === undefined ? {} : { "mcp-name": encoded(name) }),
    };
  }

  /** A tool whose marks for headers break the rules is left out, as clients must. */
  function withoutUnsound(result: JsonObject): JsonObject {
    if (!Array.isArray(result["tools"])) return result;
    const tools = (result["tools"] as readonly Json[]).filter((tool) => {
      if (!isObject(tool)) return true;
      const fields = paramHeadersOf(tool["inputSchema"]);
      if (!fields) {
        options.onStderr(
          `left out: the tool ${String(tool["name"])} has an x-mcp-header that is none`,
        );
        return false;
      }
      if (headers.size < toolLimit || headers.has(String(tool["name"])))
        headers.set(String(tool["name"]), fields);
      return true;
    });
    return { ...result, tools };
  }

  function listen(filter: JsonObject, listening: ListenOptions): Promise<JsonObject> {
    const id = nextId++;
    const method = "subscriptions/listen";
    const extensions = filter["taskIds"] === undefined ? {} : { [tasksExtension]: {} };
    const capabilities = { ...own().capabilities, extensions };
    const message = enveloped({ id, method, params: { notifications: filter } }, { capabilities });
    const { promise, resolve, reject } = Promise.withResolvers<JsonObject>();
    const onMessage = (told: JsonObject) => {
      const params = isObject(told["params"]) ? told["params"] : {};
      if (told["method"] === "notifications/subscriptions/acknowledged") {
        resolve(isObject(params["notifications"]) ? params["notifications"] : {});
      } else if (typeof told["method"] === "string")
        listening.onNotification(told["method"], params);
    };
    const { signal } = listening;
    carrier
      .send({ id, message, headers: headersOf(method, {}), signal, onMessage })
      .then((answered) => {
        resultIn(answered, id); // where it is an error, it is told
        reject(new Error("it ended the stream of changes"));
      })
      .catch(reject)
      .finally(() => signal.aborted || listening.onEnd());
    return promise;
  }
}

interface Sent {
  readonly id: number;
  readonly method: string;
  readonly params: JsonObject;
}

function enveloped(
  { id, method, params }: Sent,
  { capabilities, logLevel, token }: Envelope & { readonly token?: number },
): JsonObject {
  const _meta: JsonObject = {
    ...metaOf(params),
    ...(token === undefined ? {} : { progressToken: token }),
    ...(logLevel === undefined ? {} : { [logLevelKey]: logLevel }),
    [versionKey]: statelessVersion,
    [capabilitiesKey]: capabilities,
    [clientKey]: { name: "routeiq", version },
  };
  return { jsonrpc: "2.0", id, method, params: { ...params, _meta } };
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

const toolLimit = 10_000;
