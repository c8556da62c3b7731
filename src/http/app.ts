/** Every route: the hot ones straight on the raw request, the rest through Elysia, loaded on first use. */
import type { Dialect } from "../dialects/dialect.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { Services } from "../pipeline/services.ts";
import type { PassThroughMatch } from "../providers/pass-through.ts";
import type { Responses } from "../resources/responses/responses.ts";
import { callRoutes } from "./call-routes.ts";
import { errorResponse } from "./errors.ts";
import { createExchange, readRequestId } from "./exchange.ts";
import { basicHeaders } from "./headers.ts";
import { createIdempotentExchange } from "./idempotency.ts";
import { createAzureForm } from "./openai/azure-form.ts";
import { isUpgrade, type Realtime, realtimePaths } from "./openai/realtime.ts";
import { answerPassThrough } from "./pass-through.ts";
import type { SlowRoutes } from "./route.ts";
import { createRouteTable, type FoundRoute, pathOf } from "./routes.ts";

export interface AppParts {
  /** The set in force; a call keeps the one it began with. */
  readonly services: () => Services;
  readonly responses: Responses;
  /** Admin, health and metrics: built when the first of them is asked for. */
  readonly slowRoutes: () => Promise<SlowRoutes>;
  readonly realtime: Realtime;
  /** Cross-origin headers and preflights; undefined where none are configured. */
  readonly cors?: (request: Request, respond: () => Promise<Response>) => Promise<Response>;
}

/** Undefined: the connection is no request's any more. */
export type FetchHandler = (request: Request) => Answer | Promise<Answer>;
type Answer = Response | undefined;

/** What it throws is a failure of ours: the server's own error handler answers and logs it. */
export function createApp(parts: AppParts): FetchHandler {
  const exchange = createIdempotentExchange(createExchange());
  const findRoute = createRouteTable(callRoutes(parts.responses));
  const { cors } = parts;
  const azureForm = createAzureForm({
    findRoute,
    exchange,
    slowRoutes: parts.slowRoutes,
    refuse: (request, error, services) => refuse(request, error, undefined, services),
  });
  const hasGoodOrigin = createOriginCheck();

  // No async function of its own: on the hot path each would cost about a microsecond.
  function answer(request: Request): Response | Promise<Answer> {
    const services = parts.services();
    const { url } = request;
    const path = pathOf(url);
    const endpoint = services.passThrough.findEndpoint?.(path);
    if (endpoint && hasGoodOrigin(url)) return answerPassThrough(request, endpoint, services);
    const found = findRoute(path);
    if (!hasGoodOrigin(url)) return refuse(request, badHost(), found, services);
    if (!found) return answerElsewhere(request, services);
    if (request.method === "POST") return exchange(request, found.route, services, found.model);
    return refuse(request, wrongMethod(request.method), found, services);
  }

  async function answerElsewhere(request: Request, services: Services): Promise<Answer> {
    if (realtimePaths.has(pathOf(request.url))) {
      if (isUpgrade(request)) return parts.realtime.answer(request, services);
      return (await parts.slowRoutes()).fetch(request);
    }
    const azure = azureForm(request, services);
    if (azure) return azure;
    const way = findWay(request, services);
    if (way instanceof Response) return way;
    if (way) return answerPassThrough(request, way, services);
    const slow = await parts.slowRoutes();
    return slow.fetch(request);
  }

  return (request) =>
    cors && request.headers.has("origin") && !isUpgrade(request)
      ? cors(request, async () => (await answer(request)) ?? Response.error())
      : answer(request);
}

/** A Host header may be no host name; it is nearly always that of the call before. */
function createOriginCheck() {
  let last = "\0";
  return (url: string): boolean => {
    if (url.startsWith(last)) return true;
    if (!URL.canParse(url)) return false;
    const end = url.indexOf("/", url.indexOf("://") + 3);
    if (end > 0) last = url.slice(0, end + 1);
    return true;
  };
}

function findWay(request: Request, services: Services): PassThroughMatch | Response | undefined {
  try {
    return services.passThrough.findProvider(pathOf(request.url));
  } catch (thrown) {
    return refuse(request, closedWay(thrown, request, services), undefined, services);
  }
}

/** Which providers have keys here is told to callers alone. */
function closedWay(closed: unknown, request: Request, services: Services): GatewayError {
  try {
    services.authenticator.authenticate(request.headers);
    return toGatewayError(closed);
  } catch (thrown) {
    return toGatewayError(thrown);
  }
}

/** An answer to a request that never became a call. */
export function refuse(
  request: Request,
  error: GatewayError,
  found: FoundRoute | undefined,
  services: Services,
  id: string = Bun.randomUUIDv7(),
): Response {
  const headers = basicHeaders(readRequestId(request.headers) ?? id, id);
  if (error.code === "method_not_allowed") headers["allow"] = "POST";
  return errorResponse(error, dialectOf(found, services), headers);
}

function dialectOf(found: FoundRoute | undefined, services: Services): Dialect {
  return services.getDialect(found?.route.dialect ?? "openai-chat");
}

function badHost(): GatewayError {
  return new GatewayError("invalid_request", "The Host header is not a valid host name.");
}

function wrongMethod(method: string): GatewayError {
  return new GatewayError(
    "method_not_allowed",
    `This path takes POST, not ${method.slice(0, 20)}.`,
  );
}

export function notFound(path: string): GatewayError {
  return new GatewayError(
    "not_found",
    `There is nothing at ${path.slice(0, 200)}. The API is under /v1: /v1/chat/completions, /v1/messages, /v1/responses, /v1/embeddings, /v1/models; Gemini's under /v1beta/models.`,
  );
}
