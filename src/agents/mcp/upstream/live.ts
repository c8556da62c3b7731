/**
 * The MCP gateway at work: servers by configuration and by API, sessions, and what is shared between
 * requests without one. Loaded when it is first asked for.
 */

import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import { type Grants, isServerGranted, isToolGranted } from "../../../domain/grants.ts";
import type { JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import { denyClosed, grantsOf } from "../../../pipeline/grants.ts";
import type { Services } from "../../../pipeline/services.ts";
import type { Outbound } from "../../../security/outbound.ts";
import type { Sealer } from "../../../security/sealing.ts";
import type { RecordStore } from "../../../storage/record-store.ts";
import { rethrown } from "../mcp-error.ts";
import { createOauthFlow, type OauthFlow } from "../oauth/flow.ts";
import { isServerOpen } from "../oauth/token-gate.ts";
import { createRegistry, type Registry } from "../registry.ts";
import {
  isInitialize,
  type McpRequest,
  modeIn,
  namesIn,
  needsSession,
  paramsOf,
  sessionNotFound,
} from "../request-words.ts";
import { answer } from "../requests.ts";
import { isCalled, type Scope, toScope } from "../scope.ts";
import { ErrorCode, WebStandardStreamableHTTPServerTransport } from "../sdk.ts";
import { createHttpSessions } from "../sessions/http-sessions.ts";
import {
  allCapabilities,
  capabilitiesOf,
  createServer,
  openSession,
  type SessionParts,
} from "../sessions/session.ts";
import { createSessionRecords } from "../sessions/session-records.ts";
import { createSessions, type Sessions } from "../sessions/sessions.ts";
import { isStateless } from "../stateless/envelope.ts";
import { createHandles } from "../stateless/handles.ts";
import { answerStateless, type Reached } from "../stateless/stateless.ts";
import { createSuspendedCalls } from "../stateless/suspended-calls.ts";
import { createSurface, type Surface } from "../surface.ts";
import { toInnerRow } from "../tools/inner-server.ts";
import type { InnerServer } from "../tools/inner-tools.ts";
import { createPins, type Pins } from "../tools/pins.ts";
import { createToolSearch, type EmbedTexts } from "../tools/tool-search.ts";
import { createReach, createView, type Reach, type View } from "../view.ts";
import { createBorrowedLinks } from "./borrowed-links.ts";
import { createChanges } from "./changes.ts";
import { Link } from "./link.ts";
import { createSseTransport } from "./sse-transport.ts";

export interface LiveParts {
  readonly services: () => Services;
  readonly records: RecordStore;
  readonly outbound: Outbound;
  /** For finding tools by what they are for. Default: by words alone. */
  readonly embed?: EmbedTexts;
  /** For what callers are given to come back with. */
  readonly sealer: Sealer;
  /** The gateway's own servers, by name; more may come. */
  readonly inner: ReadonlyMap<string, InnerServer>;
}

export interface Live extends Surface {
  readonly pins: Pins;
  readonly registry: Registry;
  readonly sessions: Sessions;
  /** Streamable HTTP: POST, GET and DELETE. @throws GatewayError not_found, overloaded */
  handle(asked: McpRequest): Promise<Response>;
  /** The older transport's stream, and what is posted to it. */
  openSse(asked: McpRequest): Promise<Response>;
  receive(sessionId: string, asked: McpRequest): Response;
  /** Those that a caller may reach: configured, registered, and the gateway's own. */
  servers(caller: Caller): Promise<readonly McpServer[]>;
  /**
   * The refusal, where his key closes one of what he names (servers, groups, `server.tool`); it is
   * written down with this.
   */
  closed(
    caller: Caller,
    names: readonly string[],
    param?: string,
  ): Promise<GatewayError | undefined>;
  /** For requests without a session: over connections that are shared, to which nothing is told. */
  view(caller: Caller, scope: Scope): View;
  /** A server that a request names itself: a link of its own, until it is closed. */
  foreign(caller: Caller, server: McpServer): ForeignView;
  /** The shared link to a server, whose state is its health; of one that is each caller's own, his. */
  shared(server: McpServer, caller?: Caller): Reach;
  /** `tools/call` without a session. @throws McpError */
  call(view: View, params: JsonObject, signal: AbortSignal): Promise<JsonObject>;
  /** Access that somebody allows the gateway to a server. */
  readonly oauth: OauthFlow;
  /** Lists are judged anew, and open sessions told. */
  changed(): void;
  close(): Promise<void>;
}

export interface ForeignView {
  readonly view: View;
  close(): Promise<void>;
}

export function createLive(parts: LiveParts): Live {
  const { services, records, outbound, inner } = parts;
  const { clock, telemetry } = services();
  const settings = () => services().config.routeiq.mcp;
  let approvals = 0;
  const pins = createPins({ records, telemetry, settings });
  const sessions = createSessions(clock, settings);
  const registry = createRegistry({ records, services });
  const oauth = createOauthFlow({ records, outbound, clock, settings });
  const session: SessionParts = {
    ...{ services, outbound, clock, telemetry, settings, pins },
    processes: new Map(),
    search: createToolSearch(parts.embed),
    oauth,
    inner: (name) => inner.get(name),
    approvals: () => approvals,
  };
  const changes = createChanges();
  const stateless = {
    clock,
    changes,
    handles: createHandles(parts.sealer, clock),
    calls: createSuspendedCalls(clock),
    links: createBorrowedLinks(session, clock),
    offered: allCapabilities,
  };
  const links = new Map<string, { readonly server: string; readonly reach: Reach }>();
  const gauge = telemetry.gauge("routeiq.mcp.sessions", "Sessions that are open.");
  telemetry.onCollect(() => gauge.set(sessions.all().length));

  function shared(server: McpServer, caller?: Caller): Reach {
    const text = JSON.stringify(server);
    const owner = server.oauth?.perCaller ? caller : undefined;
    const key = owner ? `${server.name} ${owner.id}` : server.name;
    const known = links.get(key);
    if (known?.server === text) {
      links.delete(key); // the map is in order of use
      links.set(key, known);
      return known.reach;
    }
    void known?.reach.link.close();
    const reach: Reach = createReach(
      new Link(server, session, {
        ...deaf,
        ...(owner ? { caller: owner } : {}),
        prefer: "stateless",
        onNotification(method, params) {
          if (method.endsWith("list_changed")) reach.catalog.forget();
          changes.tell(server.name, method, params);
        },
      }),
      services(),
    );
    links.set(key, { server: text, reach });
    for (const [oldest, { reach: unused }] of links) {
      if (links.size <= linkLimit) break;
      links.delete(oldest);
      void unused.link.close();
    }
    return reach;
  }

  /** Servers that were removed, or are configured otherwise since. */
  async function closeUnused(): Promise<void> {
    const current = new Set((await registry.servers()).map((server) => JSON.stringify(server)));
    for (const [key, { server, reach }] of links) {
      if (current.has(server)) continue;
      links.delete(key);
      await reach.link.close();
    }
  }

  const isOwn = (server: McpServer) => server.transport === "inner" && !server.openapi;
  const deaf = { capabilities: {}, onRequest: refuse, onNotification: () => undefined };

  const view = (caller: Caller, scope: Scope): View =>
    createView({
      ...session,
      caller,
      scope,
      // What is our own may differ from caller to caller, and costs nothing to connect to.
      reach: (server) =>
        isOwn(server)
          ? createReach(new Link(server, session, { ...deaf, caller }), services())
          : shared(server, caller),
    });

  function foreign(caller: Caller, server: McpServer): ForeignView {
    const reach = createReach(new Link(server, session, { ...deaf, caller }), services());
    const scope = { servers: [server], single: true };
    const seen = createView({ ...session, caller, scope, reach: () => reach });
    return { view: seen, close: () => reach.link.close() };
  }

  async function everyServer(caller: Caller): Promise<readonly McpServer[]> {
    const rows = await registry.servers();
    const taken = new Set(rows.map(({ name }) => name));
    const own = [...inner.values()].filter(
      (server) => !taken.has(server.name) && (server.isFor?.(caller) ?? true),
    );
    return [...rows, ...own.map(toInnerRow)];
  }

  async function servers(caller: Caller): Promise<readonly McpServer[]> {
    const { mcpTools } = caller;
    const grants = grantsOf(caller, services());
    const all = await everyServer(caller);
    if (!mcpTools && !grants) return all;
    return all.filter(
      (server) =>
        (!mcpTools || isServerOpen(mcpTools, server.name)) &&
        (!grants || isServerGranted(grants, server)),
    );
  }

  async function closed(caller: Caller, names: readonly string[], param?: string) {
    const grants = grantsOf(caller, services());
    if (!grants) return undefined;
    const all = await everyServer(caller);
    for (const name of names) {
      const what = closedKind(name, all, grants);
      const told = param === undefined ? {} : { param };
      if (what) return denyClosed({ what, name, ...told }, caller, services());
    }
    return undefined;
  }

  async function scopeOf({ request, caller, path }: McpRequest): Promise<Scope> {
    const scope = toScope(await servers(caller), path, namesIn(request));
    const mode = modeIn(request);
    if (scope) return mode === undefined ? scope : { ...scope, mode };
    const denied = await closed(caller, path === undefined ? namesIn(request) : [path]);
    if (denied) throw denied;
    const what = path === undefined ? "x-mcp-servers names none" : `'${path.slice(0, 80)}' is none`;
    throw new GatewayError(
      "not_found",
      `${what} of this gateway's MCP servers. GET /v1/mcp/server lists them.`,
    );
  }

  const http = createHttpSessions({
    sessions,
    kept: createSessionRecords({ records, clock, telemetry, settings }),
    open: async (transport, asked) =>
      await openSession(transport, {
        scope: await scopeOf(asked),
        caller: asked.caller,
        capabilities: () => capabilitiesOf(paramsOf(asked.body)),
        parts: session,
      }),
  });

  /** One request alone: answered over shared connections, as JSON where no stream is wanted. */
  async function answerOne(asked: McpRequest): Promise<Response> {
    const { request, body } = asked;
    const accept = request.headers.get("accept") ?? "";
    const streams = accept.includes("text/event-stream");
    const transport = new WebStandardStreamableHTTPServerTransport({
      enableJsonResponse: !streams,
    });
    const server = createServer(view(asked.caller, await scopeOf(asked)));
    await server.connect(transport);
    request.signal.addEventListener("abort", () => void server.close());
    const headers = new Headers(request.headers);
    headers.set("accept", "application/json, text/event-stream");
    const plain = new Request(request.url, { method: "POST", headers });
    return await transport.handleRequest(plain, { parsedBody: body });
  }

  const call: Live["call"] = (seen, params, signal) =>
    answer("tools/call", seen, { id: crypto.randomUUID(), params, signal });

  async function reachOf(asked: McpRequest): Promise<Reached> {
    const scope = await scopeOf(asked);
    const seen = view(asked.caller, scope);
    const [only] = scope.servers;
    if (!scope.single || !only) return { view: seen };
    return { view: seen, connection: await seen.reach(only).link.open() };
  }

  return {
    ...createSurface({ servers, view, call, foreign }),
    pins,
    registry,
    sessions,
    oauth,
    servers,
    closed,
    view,
    foreign,
    shared,
    async handle(asked) {
      const { request, caller, body } = asked;
      const id = request.headers.get("mcp-session-id");
      if (id !== null) {
        const open = await http.find(id, asked);
        open?.session.speakFor(caller);
        return open?.handle ? await open.handle(request, body) : sessionNotFound();
      }
      if (request.method !== "POST") return needsSession();
      if (isStateless(request, body))
        return await answerStateless(request, body, () => reachOf(asked), stateless);
      return isInitialize(body) ? await http.begin(asked) : await answerOne(asked);
    },
    async openSse(asked) {
      sessions.assertRoom(asked.caller);
      const transport = createSseTransport("/mcp/messages", clock);
      // The stream comes first here; what its client can do is told with its first message, before
      // any server is connected to.
      let told: unknown;
      const opened = await openSession(transport, {
        scope: await scopeOf(asked),
        caller: asked.caller,
        capabilities: () => capabilitiesOf(told),
        parts: session,
      });
      const { sessionId: id } = transport;
      const receive = (message: unknown) => {
        if (isInitialize(message)) told = paramsOf(message);
        transport.receive(message);
      };
      sessions.add({ id, session: opened, receive });
      asked.request.signal.addEventListener("abort", () => void sessions.remove(id));
      return transport.response;
    },
    receive(id, { caller, body }) {
      const open = sessions.find(id, caller);
      if (!open?.receive) return sessionNotFound();
      try {
        open.receive(body);
      } catch (cause) {
        throw new GatewayError("invalid_request", "The body is no JSON-RPC message.", { cause });
      }
      return Response.json({ status: "accepted", session_id: id }, { status: 202 });
    },
    call,
    changed() {
      approvals++;
      for (const { reach } of links.values()) reach.catalog.forget();
      changes.tellAll("notifications/tools/list_changed");
      void closeUnused();
      for (const { session: open } of sessions.all()) open.changed();
    },
    async close() {
      stateless.calls.close();
      await stateless.links.close();
      await sessions.close();
      await Promise.all([...links.values()].map(({ reach }) => reach.link.close()));
    },
  };
}

/** Of a server, a group, or `server.tool`. */
function closedKind(name: string, all: readonly McpServer[], grants: Grants) {
  const called = all.filter((server) => isCalled(server, name));
  if (called.length > 0) {
    const open = called.some((server) => isServerGranted(grants, server));
    return open ? undefined : ("MCP server" as const);
  }
  const dot = name.indexOf(".");
  const server = all.find((each) => each.name === name.slice(0, Math.max(0, dot)));
  if (!server) return undefined;
  if (!isServerGranted(grants, server)) return "MCP server" as const;
  return isToolGranted(grants, server, name.slice(dot + 1)) ? undefined : ("MCP tool" as const);
}

const refuse = () => Promise.reject(rethrown(ErrorCode.MethodNotFound, "Method not found"));

/** Shared connections at once; those that are each caller's own make them many. */
const linkLimit = 1_000;
