/** `/mcp`: the Model Context Protocol over Streamable HTTP, and over SSE for older clients. */
import type { Live, Mcp } from "../../agents/mcp/mcp.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Services } from "../../pipeline/services.ts";
import { parseJson } from "../../std/json.ts";
import { readBytes } from "../read-body.ts";
import { mcpCallerOf, type Route, type RouteContext } from "../route.ts";

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
      handle: async (request, { services }) => {
        assertOrigin(request, services);
        if (request.method === "HEAD") return new Response(null);
        const live = await mcp.live();
        return await live.openSse({ request, caller: mcpCallerOf(request, services) });
      },
    },
    {
      ...base,
      method: "POST",
      path: "/mcp/messages",
      summary: "A message of a session of the older transport; its answer comes over the stream.",
      docs: { source, body: "McpMessage", query: { sessionId: "As the stream told it." } },
      handle: (request, context) =>
        post(request, context, mcp, (live, body) => {
          const id = new URL(request.url).searchParams.get("sessionId") ?? "";
          const caller = mcpCallerOf(request, context.services);
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
  return post(request, context, mcp, (live, body) => {
    const path = context.params["server"];
    const caller = mcpCallerOf(request, context.services);
    return live.handle({ request, caller, body, ...(path === undefined ? {} : { path }) });
  });
}

async function post(
  request: Request,
  { services }: RouteContext,
  mcp: Mcp,
  run: (live: Live, body: unknown) => Promise<Response>,
): Promise<Response> {
  assertOrigin(request, services);
  if (request.method !== "POST") return await run(await mcp.live(), undefined);
  const bytes = await readBytes(request, services);
  let body: unknown;
  try {
    body = parseJson(bytes);
  } catch {
    const error = { code: -32700, message: "Parse error: the body is not JSON in UTF-8." };
    return Response.json({ jsonrpc: "2.0", error, id: null }, { status: 400 });
  }
  return await run(await mcp.live(), body);
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
