/**
 * The contract of a route beside the hot ones. A route says who may call it, and the application
 * holds it to that: a handler never sees a request that was not let in.
 */
import type { Caller } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import { readKey } from "../pipeline/authenticate.ts";
import type { Services } from "../pipeline/services.ts";
import { isOneOf } from "../security/secrets.ts";
import type { BodyName } from "./openapi/bodies.ts";

/**
 * `anyone`: no key. `caller`: whoever may call models. `admin`: the master key, or one of
 * ADMIN_API_KEYS by `X-Admin-API-Key` or Bearer; where neither is set, whoever is on this machine.
 * `caller-or-admin`: either key; callers see their own calls, admins all. `caller-unless-open`: a
 * caller, or anyone where `routeiq_settings.mcp.allow_anonymous` says so; with `routeiq_settings.mcp.oauth`
 * the route itself sees to it, by `findMcpCaller`.
 */
export type Who = "anyone" | "caller" | "admin" | "caller-or-admin" | "caller-unless-open";

/** What `/openapi.json` tells beside that. */
export interface RouteDocs {
  readonly body?: BodyName;
  /** Parameters of the query: name → meaning. */
  readonly query?: Readonly<Record<string, string>>;
  /** Media type of its answer. Default: JSON. */
  readonly reply?: string;
  /** Default: 200. */
  readonly status?: string;
  /** Reference that says what the gateway does not. */
  readonly source?: string;
}

export interface RouteContext {
  readonly services: Services;
  readonly requestId: string;
  /** Decoded values of `:name` and `*` in the path. */
  readonly params: Readonly<Record<string, string>>;
}

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Elysia's form: `/v1/models/*`. */
  readonly path: string;
  /** What a path caught by `*` must end with to be this route's. */
  readonly suffix?: string;
  readonly who: Who;
  /** Form of its errors: a dialect's, or `{"detail":{error, message, request_id}}` of admin routes. */
  readonly errors: "openai" | "anthropic" | "gemini" | "detail";
  /** For docs/http.md and `/openapi.json`. */
  readonly summary: string;
  readonly docs?: RouteDocs;
  readonly handle: (request: Request, context: RouteContext) => Response | Promise<Response>;
}

/** A failure of an admin route with a code word of its own. */
export class AdminError extends Error {
  readonly status: number;
  readonly code: string;
  readonly more: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    code: string,
    message: string,
    more: Readonly<Record<string, unknown>> = {},
  ) {
    super(message);
    this.name = "AdminError";
    this.status = status;
    this.code = code;
    this.more = more;
  }
}

/** @throws GatewayError missing_api_key, invalid_api_key, permission_denied; AdminError */
export function assertLetIn(who: Who, request: Request, services: Services): void {
  if (who === "anyone") return;
  if (who === "caller-or-admin") {
    assertLetIn(hasAdminKey(request, services) ? "admin" : "caller", request, services);
    return;
  }
  if (who === "caller-unless-open") {
    // Access tokens are verified by the route, as an authorization server may have to be asked.
    if (services.config.routeiq.mcp.oauth.length === 0) assertMcpKey(request, services);
    return;
  }
  const { masterKey, adminApiKeys } = services.config.general;
  if (who === "caller") {
    if (masterKey === undefined) assertFromHere(request, services);
    services.authenticator.authenticate(request.headers);
    return;
  }
  const keys = masterKey === undefined ? adminApiKeys : [masterKey, ...adminApiKeys];
  if (keys.length === 0) {
    assertFromHere(request, services);
    return;
  }
  const given =
    request.headers.get("x-admin-api-key")?.trim() ||
    readKey(request.headers, services.config.general.keyHeader);
  if (given === undefined) {
    const message =
      "Send the master key or an admin key as X-Admin-API-Key or Authorization: Bearer.";
    throw new AdminError(401, "admin_key_required", message);
  }
  if (!isOneOf(given, keys)) {
    throw new AdminError(401, "invalid_admin_key", "The admin key is not one of this gateway's.");
  }
}

/** A key, or none where the configuration lets callers in without. @throws as `assertLetIn` */
export function assertMcpKey(request: Request, services: Services): void {
  const open = services.config.routeiq.mcp.allowAnonymous && !carriesKey(request, services);
  if (!open) assertLetIn("caller-or-admin", request, services);
}

/** Whether the request carries one of the operator's admin keys. */
export function hasAdminKey(request: Request, { config }: Services): boolean {
  const given =
    request.headers.get("x-admin-api-key")?.trim() ||
    readKey(request.headers, config.general.keyHeader);
  return given !== undefined && isOneOf(given, config.general.adminApiKeys);
}

/** Who calls a `caller-or-admin` route; it was let in before. */
export function callerOf(request: Request, services: Services): Caller {
  if (hasAdminKey(request, services)) return { id: "admin", tenant: "default", admin: true };
  return services.authenticator.authenticate(request.headers);
}

/** Whoever calls a `caller-unless-open` route; without a key he is nobody in particular. */
export function mcpCallerOf(request: Request, services: Services): Caller {
  const { masterKey } = services.config.general;
  if (masterKey !== undefined && !carriesKey(request, services)) return nobody;
  return callerOf(request, services);
}

export const nobody: Caller = { id: "anonymous", tenant: "default", admin: false };

const carriesKey = (request: Request, { config }: Services) =>
  request.headers.has("x-admin-api-key") ||
  readKey(request.headers, config.general.keyHeader) !== undefined;

/**
 * Where no key is asked, a page of another site in the operator's own browser must not act for him:
 * neither by a cross-site request, nor by a name of its own that it points at this machine.
 */
export function assertFromHere(request: Request, { config }: Services): void {
  const origin = request.headers.get("origin");
  const { corsOrigins } = config.routeiq;
  if (origin !== null && (corsOrigins.includes("*") || corsOrigins.includes(origin))) return;
  const site = request.headers.get("sec-fetch-site");
  const { hostname } = new URL(request.url);
  const local = /^(localhost|.*\.localhost|\[::1\]|127(\.\d+){3}|0\.0\.0\.0|\[::\])$/.test(
    hostname,
  );
  if (local && (site === null || site === "same-origin" || site === "none")) return;
  throw new GatewayError(
    "permission_denied",
    "Without a master key this gateway answers this machine alone, by its own name. Set LITELLM_MASTER_KEY to open it.",
  );
}

/** The part of an Elysia application that is used: anything with a fetch. */
export interface SlowRoutes {
  readonly fetch: (request: Request) => Response | Promise<Response>;
}
