/** Sessions over Streamable HTTP: begun by `initialize`, and gone on with by any process that has the store. */
import type { JsonObject } from "../../../domain/json.ts";
import { type McpRequest, modeIn, paramsOf } from "../request-words.ts";
import {
  LATEST_PROTOCOL_VERSION,
  type Transport,
  WebStandardStreamableHTTPServerTransport,
} from "../sdk.ts";
import { createEventMemory } from "./event-memory.ts";
import type { Session } from "./session.ts";
import type { SessionBeginning, SessionRecords } from "./session-records.ts";
import type { OpenSession, Sessions } from "./sessions.ts";

export interface HttpSessions {
  /** @throws GatewayError overloaded, not_found */
  begin(asked: McpRequest): Promise<Response>;
  /** Undefined where its caller has none of this id, here or in the store. @throws as `begin` */
  find(id: string, asked: McpRequest): Promise<OpenSession | undefined>;
}

export interface HttpSessionParts {
  readonly sessions: Sessions;
  readonly kept: SessionRecords;
  open(transport: Transport, asked: McpRequest): Promise<Session>;
}

/** How soon a client whose stream broke should come back. */
const retryMs = 1_000;

export function createHttpSessions({ sessions, kept, open }: HttpSessionParts): HttpSessions {
  /** Those that are being gone on with just now. */
  const coming = new Map<string, Promise<OpenSession | undefined>>();

  /** `id`: of one that began elsewhere. */
  async function start(asked: McpRequest, id: string): Promise<Response> {
    sessions.assertRoom(asked.caller);
    const transport = new WebStandardStreamableHTTPServerTransport({
      sessionIdGenerator: () => id,
      eventStore: createEventMemory(),
      retryInterval: retryMs,
      onsessioninitialized() {
        const handle = (request: Request, body: unknown) =>
          transport.handleRequest(request, { parsedBody: body });
        sessions.add({ id, session: opened, handle });
      },
      async onsessionclosed() {
        await kept.remove(id);
        await sessions.remove(id);
      },
    });
    const opened = await open(transport as Transport, asked);
    const response = await transport.handleRequest(asked.request, { parsedBody: asked.body });
    if (transport.sessionId === undefined) await opened.close(); // refused by the transport
    return response;
  }

  /** As its client would begin it, but under its old name. */
  async function resume(id: string, asked: McpRequest): Promise<OpenSession | undefined> {
    const beginning = await kept.find(id, asked.caller);
    if (!beginning) return undefined;
    const { path, params } = beginning;
    const body = { jsonrpc: "2.0", id: "resumed", method: "initialize", params };
    const request = requestOf(asked.request, beginning, {});
    const { caller } = asked;
    const again = { request, caller, body, ...(path === undefined ? {} : { path }) };
    await (await start(again, id)).text();
    const found = sessions.find(id, caller);
    const version = String(params["protocolVersion"] ?? LATEST_PROTOCOL_VERSION);
    const headers = { "mcp-session-id": id, "mcp-protocol-version": version };
    const initialized = { jsonrpc: "2.0", method: "notifications/initialized" };
    await found?.handle?.(requestOf(asked.request, beginning, headers), initialized);
    return found;
  }

  return {
    async begin(asked) {
      const id = crypto.randomUUID();
      const response = await start(asked, id);
      if (response.headers.get("mcp-session-id") === id)
        await kept.keep(id, asked.caller, beginningOf(asked));
      return response;
    },
    async find(id, asked) {
      const found = sessions.find(id, asked.caller);
      if (found && !(await kept.isEnded(id))) return found;
      if (found) {
        await sessions.remove(id);
        return undefined;
      }
      const other = coming.get(id);
      if (other) return (await other) && sessions.find(id, asked.caller);
      const resumed = resume(id, asked);
      coming.set(id, resumed);
      try {
        return await resumed;
      } finally {
        coming.delete(id);
      }
    },
  };
}

function beginningOf({ request, path, body }: McpRequest): SessionBeginning {
  const servers = request.headers.get("x-mcp-servers");
  const mode = modeIn(request);
  return {
    params: (paramsOf(body) ?? {}) as JsonObject,
    ...(path === undefined ? {} : { path }),
    ...(mode === undefined ? {} : { mode }),
    headers: servers === null ? {} : { "x-mcp-servers": servers },
  };
}

/** A request as the session's client sends them. */
function requestOf(
  { url, headers: sent }: Request,
  { headers: own, mode }: SessionBeginning,
  more: Readonly<Record<string, string>>,
): Request {
  const headers = new Headers({
    ...own,
    ...more,
    "content-type": "application/json",
    accept: "application/json, text/event-stream",
    ...(mode === undefined ? {} : { "x-mcp-mode": mode }),
  });
  const host = sent.get("host");
  if (host !== null) headers.set("host", host);
  return new Request(new URL(new URL(url).pathname, url), { method: "POST", headers });
}
