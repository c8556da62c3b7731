/** A table of routes as an application: each is held to who may call it, and fails in its family's form. */
import { Elysia } from "elysia";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Services } from "../pipeline/services.ts";
import { refuse } from "./app.ts";
import { readRequestId } from "./exchange.ts";
import { withQueryKey } from "./gemini/wire.ts";
import { basicHeaders } from "./headers.ts";
import { assertNotDraining, observeSurface, type SurfaceRequest } from "./observe-surface.ts";
import { AdminError, assertLetIn, type Route, type SlowRoutes } from "./route.ts";
import { pathOf } from "./routes.ts";
import { findSurface, type Surface } from "./surfaces.ts";

/** @param otherwise answers what no route of the table is for */
export function mountRoutes(
  table: readonly Route[],
  services: () => Services,
  otherwise: SlowRoutes["fetch"],
): SlowRoutes {
  // A body is read by its route, after the key was checked and within the route's own limit. Elysia
  // would read it first; it leaves alone what a parse hook has claimed.
  const app = new Elysia({ aot: false }).onParse(() => "unread");
  for (const route of table) {
    const mounted = { route, surface: findSurface(route.path) };
    const handle = ({ request, params }: { request: Request; params: unknown }) =>
      isFor(route, pathOf(request.url))
        ? run(mounted, request, params as Readonly<Record<string, string>>, services())
        : otherwise(request);
    app.route(route.method, route.path, handle);
    if (route.method === "GET") app.route("HEAD", route.path, handle);
  }
  return app.all("/*", ({ request }) => otherwise(request));
}

interface Mounted {
  readonly route: Route;
  readonly surface: Surface | undefined;
}

export const isFor = ({ suffix }: Route, path: string) =>
  suffix === undefined || path.endsWith(suffix);

async function run(
  { route, surface }: Mounted,
  request: Request,
  params: Readonly<Record<string, string>>,
  services: Services,
): Promise<Response> {
  const callId = Bun.randomUUIDv7();
  const requestId = readRequestId(request.headers) ?? callId;
  const startedAtMs = services.clock.now();
  const asked = { surface, route, request, callId, requestId, startedAtMs };
  let wasLetIn = false;
  try {
    assertLetIn(route.who, route.errors === "gemini" ? keyed(request) : request, services);
    wasLetIn = true;
    assertNotDraining(asked, services);
    // The reading of a body does this at its end.
    if (route.who !== "anyone" && !hasBody(request)) services.connections?.hold?.(request);
    const context = { services, requestId, params: decodeParams(params) };
    const response = await route.handle(request, context);
    for (const [name, value] of Object.entries(basicHeaders(requestId, callId))) {
      response.headers.set(name, value);
    }
    observeSurface(asked, { status: response.status, wasLetIn }, services);
    return response;
  } catch (thrown) {
    const response = toRefusal(thrown, asked, services);
    const error = thrown instanceof AdminError ? thrown.code : toGatewayError(thrown).code;
    observeSurface(asked, { status: response.status, wasLetIn, error }, services);
    return response;
  }
}

function toRefusal(
  thrown: unknown,
  { route, request, requestId, callId }: SurfaceRequest & { readonly route: Route },
  services: Services,
): Response {
  if (!(thrown instanceof GatewayError) && !(thrown instanceof AdminError)) {
    services.onInternalFailure(thrown);
  }
  if (route.errors === "detail" || thrown instanceof AdminError) {
    return detailResponse(thrown, requestId, callId);
  }
  const dialect = route.errors === "openai" ? "openai-chat" : route.errors;
  const found = { route: { operation: "chat", dialect } } as const;
  return refuse(request, toGatewayError(thrown), found, services, callId);
}

function hasBody({ headers, method }: Request): boolean {
  if (method === "GET" || method === "HEAD") return false;
  return Number(headers.get("content-length") ?? 0) > 0 || headers.has("transfer-encoding");
}

/** Google's clients may put their key into the query. */
function keyed(request: Request): Request {
  const headers = withQueryKey(request);
  return headers === request.headers ? request : new Request(request.url, { headers });
}

/** Elysia leaves what a `*` caught percent-encoded. */
function decodeParams(params: Readonly<Record<string, string>>): Record<string, string> {
  const decoded: Record<string, string> = {};
  for (const [name, text] of Object.entries(params)) {
    try {
      decoded[name] = decodeURIComponent(text);
    } catch {
      decoded[name] = text; // a stray "%": then it is part of the name
    }
  }
  return decoded;
}

/** `{"detail":{error, message, request_id}}`, the predecessor's form of an admin route's failure. */
function detailResponse(thrown: unknown, requestId: string, id: string): Response {
  const error = thrown instanceof AdminError ? thrown : toGatewayError(thrown);
  const more = error instanceof AdminError ? error.more : {};
  return Response.json(
    { detail: { error: error.code, message: error.message, request_id: requestId, ...more } },
    { status: error.status, headers: basicHeaders(requestId, id) },
  );
}
