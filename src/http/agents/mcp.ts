/** `/mcp`: the Model Context Protocol over Streamable HTTP, and over SSE for older clients. */
import type { Live, Mcp } from "../../agents/mcp/mcp.ts";
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Services } from "../../pipeline/services.ts";
import { parseJson } from "../../std/json.ts";
import { readBytes } from "../read-body.ts";
import type { Route, RouteContext } from "../route.ts";
import { assertToolScope, findMcpCaller, toChallenge } from "./mcp-caller.ts";

const source = "https://modelcontextprotocol.io/specification/2025-11-25/basic/transports";
const base = { who: "caller-unless-open", errors: "openai" } as const;

export function mcpRoutes(mcp: Mcp): readonly Route[] {
  const places = ["/mcp", "/mcp/:server", "/mcp/:server/mcp"];
  const methods = [
    ["POST", "A JSON-RPC message; `initialize` begins a session, others may do without one."],
    ["GET", "A session's stream of what servers say by themselves; `Last-Event-ID` resumes one."],
    ["DELETE", "End a session."],
  ] as const;
  return [
    {
      ...base,
      method: "GET",
      path: "/mcp/sse",
      summary: "The older transport (2024-11-05): a stream that tells where to post.",
      docs: { source, reply: "text/event-stream" },
      handle: (request, context) =>
        challenged(request, context, async () => {
          assertOrigin(request, context.services);
          const caller = await findMcpCaller(request, context, mcp);
          if (request.method === "HEAD") return new Response(null);
          return await (await mcp.live()).openSse({ request, caller });
        }),
    },
    {
      ...base,
      method: "POST",
      path: "/mcp/messages",
      summary: "A message of a session of the older transport; its answer comes over the stream.",
      docs: { source, body: "McpMessage", query: { sessionId: "As the stream told it." } },
      handle: (request, context) =>
        post(request, context, mcp, (live, { caller, body }) => {
          const id = new URL(request.url).searchParams.get("sessionId") ?? "";
          return Promise.resolve(live.receive(id, { request, caller, body }));
        }),
    },
    ...places.flatMap((path) =>
      methods.map(
        ([method, summary]): Route => ({
          ...base,
          method,
          path,
          summary: path === "/mcp" ? summary : `${summary} Of one server, or an access group's.`,
          docs: {
            source,
            ...(method === "POST" ? { body: "McpMessage" } : {}),
            ...(method === "GET" ? { reply: "text/event-stream" } : {}),
          },
          handle: (request, context) => speak(request, context, mcp),
        }),
      ),
    ),
  ];
}

function speak(request: Request, context: RouteContext, mcp: Mcp): Promise<Response> {
  return post(request, context, mcp, (live, { caller, body }) => {
    const path = context.params["server"];
    return live.handle({ request, caller, body, ...(path === undefined ? {} : { path }) });
  });
}

interface Said {
  readonly caller: Caller;
  /** Parsed; undefined for GET and DELETE. */
  readonly body: unknown;
}

function post(
  request: Request,
  context: RouteContext,
  mcp: Mcp,
  run: (live: Live, said: Said) => Promise<Response>,
): Promise<Response> {
  const { services } = context;
  return challenged(request, context, async () => {
    assertOrigin(request, services);
    // Nobody's body is read before he is let in.
    const caller = await findMcpCaller(request, context, mcp);
    if (request.method !== "POST") return await run(await mcp.live(), { caller, body: undefined });
    const bytes = await readBytes(request, services);
    let body: unknown;
    try {
      body = parseJson(bytes);
    } catch {
      const error = { code: -32700, message: "Parse error: the body is not JSON in UTF-8." };
      return Response.json({ jsonrpc: "2.0", error, id: null }, { status: 400 });
    }
    assertToolScope(caller, body, { request, context, mcp });
    return await run(await mcp.live(), { caller, body });
  });
}

/** Whoever lacks a token is told where to get one. */
async function challenged(
  request: Request,
  context: RouteContext,
  run: () => Promise<Response>,
): Promise<Response> {
  try {
    return await run();
  } catch (thrown) {
    return toChallenge(thrown, request, context);
  }
}

/** A page of another site must not speak for who looks at it: the protocol asks for this check. */
function assertOrigin(request: Request, { config }: Services): void {
  const origin = request.headers.get("origin");
  const { corsOrigins } = config.routeiq;
  if (origin === null || corsOrigins.includes("*") || corsOrigins.includes(origin)) return;
  const here = new URL(request.url);
  if (URL.canParse(origin) && new URL(origin).host === here.host && isLocal(here.hostname)) return;
  throw new GatewayError(
    "permission_denied",
    "Pages of this origin may not speak to /mcp: add it to routeiq_settings.cors_origins.",
  );
}

const isLocal = (host: string) => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(host);
