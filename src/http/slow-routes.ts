/**
 * Everything but the hot routes, through Elysia: health, models, admin, metrics. The table says
 * who may call what, and this file holds every route to it.
 */
import { Elysia } from "elysia";
import type { Agents } from "../agents/a2a/agents.ts";
import type { Mcp } from "../agents/mcp/mcp.ts";
import type { SkillParts } from "../agents/skills/skill-parts.ts";
import type { KnownNames } from "../config/check.ts";
import type { ConfigReloader, SyncStatus } from "../config/reload.ts";
import { GatewayError, toGatewayError } from "../domain/errors.ts";
import type { DriftAlarm } from "../learning/drift.ts";
import type { RolloutControl } from "../learning/rollout/control.ts";
import type { Experiments } from "../learning/rollout/experiments.ts";
import type { Services } from "../pipeline/services.ts";
import type { Assistants } from "../resources/assistants/assistants.ts";
import type { Batches } from "../resources/batches/batches.ts";
import type { Files } from "../resources/files/files.ts";
import type { Responses } from "../resources/responses/responses.ts";
import type { VectorStores } from "../resources/vector-stores/vector-stores.ts";
import { knownNames } from "../routing/known-names.ts";
import type { ArtifactStatus, RouterSlot } from "../routing/slot.ts";
import { experimentRoutes } from "./admin/experiments.ts";
import { reloadRoutes } from "./admin/reload.ts";
import { rolloutRoutes } from "./admin/rollout.ts";
import { routerInfoRoutes } from "./admin/router-info.ts";
import { syncStatusRoutes } from "./admin/sync-status.ts";
import { a2aRoutes } from "./agents/a2a.ts";
import { a2aRegistryRoutes } from "./agents/a2a-registry.ts";
import { mcpRoutes } from "./agents/mcp.ts";
import { mcpRestRoutes } from "./agents/mcp-rest.ts";
import { skillRoutes } from "./agents/skills.ts";
import { notFound, refuse, type SlowRoutes } from "./app.ts";
import { callRoutes } from "./call-routes.ts";
import { countRoutes } from "./count-tokens.ts";
import { readRequestId } from "./exchange.ts";
import { geminiModelRoutes } from "./gemini/models.ts";
import { withQueryKey } from "./gemini/wire.ts";
import { basicHeaders } from "./headers.ts";
import { assistantRoutes } from "./openai/assistants.ts";
import { batchRoutes } from "./openai/batches.ts";
import { decisionRoutes } from "./openai/decisions.ts";
import { feedbackRoutes } from "./openai/feedback.ts";
import { fileRoutes } from "./openai/files.ts";
import { realtimeRoutes } from "./openai/realtime.ts";
import { realtimeSecretRoutes } from "./openai/realtime-secrets.ts";
import { storedResponseRoutes } from "./openai/responses.ts";
import { vectorStoreRoutes } from "./openai/vector-stores.ts";
import { docRoutes } from "./openapi/routes.ts";
import { healthRoutes } from "./ops/health.ts";
import { healthCheckRoutes } from "./ops/health-check.ts";
import { type MetricRouteParts, metricRoutes } from "./ops/metrics.ts";
import { modelRoutes } from "./ops/models.ts";
import { AdminError, assertLetIn, type Route } from "./route.ts";
import { pathOf } from "./routes.ts";
import { consoleRoutes } from "./ui/console.ts";

export interface SlowRouteParts {
  readonly services: () => Services;
  readonly responses: Responses;
  readonly files: Files;
  readonly batches: Batches;
  readonly assistants: Assistants;
  readonly vectorStores: VectorStores;
  readonly mcp: Mcp;
  readonly agents: Agents;
  readonly skills: SkillParts;
  readonly slot: RouterSlot;
  readonly reloader: ConfigReloader;
  readonly sync?: (() => SyncStatus) | undefined;
  /** Looks for a newer trained router at once. */
  readonly reloadRouter?: () => Promise<ArtifactStatus>;
  /** Alarms of drift that stand. */
  readonly drift?: () => readonly DriftAlarm[];
  /** The releases on their way into force; undefined where no trained router is configured. */
  readonly rollout?: () => RolloutControl | undefined;
  readonly experiments: Experiments;
  readonly telemetry: MetricRouteParts["telemetry"];
  /** Only this machine reaches the port, so that `/metrics` asks for no key. */
  readonly onLoopback: boolean;
}

/** Every route beside the hot ones, in the order of docs. */
export function slowRouteTable(parts: SlowRouteParts): readonly Route[] {
  const artifact = () => parts.slot.status();
  const known: KnownNames = knownNames;
  const { reloader, reloadRouter, sync, drift = () => [], rollout = () => undefined } = parts;
  const table: readonly Route[] = [
    ...healthRoutes({ artifact, reload: reloader.status, drift }),
    ...healthCheckRoutes,
    ...modelRoutes,
    ...geminiModelRoutes,
    ...countRoutes,
    ...routerInfoRoutes({
      artifact,
      reloader,
      known,
      drift,
      rollout,
      experiments: parts.experiments,
    }),
    ...reloadRoutes({ artifact, reloader, known, reloadRouter, sync }),
    ...rolloutRoutes({ rollout }),
    ...experimentRoutes(parts.experiments),
    ...syncStatusRoutes({ reloader, sync }),
    ...consoleRoutes,
    ...storedResponseRoutes(parts.responses),
    ...fileRoutes(parts.files),
    ...batchRoutes(parts.batches),
    ...assistantRoutes(parts.assistants),
    ...vectorStoreRoutes(parts.vectorStores),
    ...mcpRoutes(parts.mcp),
    ...mcpRestRoutes(parts.mcp),
    ...a2aRegistryRoutes(parts.agents),
    ...a2aRoutes(parts.agents),
    ...skillRoutes(parts.skills.skills, parts.skills.folder),
    ...realtimeRoutes,
    ...realtimeSecretRoutes,
    ...feedbackRoutes,
    ...decisionRoutes,
    ...metricRoutes(parts),
    ...docRoutes(() => ({ calls: callRoutes(parts.responses), slow: table })),
  ];
  return table;
}

export function createSlowRoutes(parts: SlowRouteParts): SlowRoutes {
  const table = slowRouteTable(parts);
  // A body is read by its route, after the key was checked and within the route's own limit. Elysia
  // would read it first; it leaves alone what a parse hook has claimed.
  const app = new Elysia({ aot: false }).onParse(() => "unread");
  for (const route of table) {
    const handle = ({ request, params }: { request: Request; params: unknown }) =>
      isFor(route, pathOf(request.url))
        ? run(route, request, params as Readonly<Record<string, string>>, parts.services())
        : nothing(request);
    app.route(route.method, route.path, handle);
    if (route.method === "GET") app.route("HEAD", route.path, handle);
  }
  return app.all("/*", ({ request }) => nothing(request));

  function nothing(request: Request): Response {
    const path = pathOf(request.url);
    const allowed = methodsOf(path, table);
    const error = allowed.length > 0 ? wrongMethod(request.method, allowed) : notFound(path);
    const response = refuse(request, error, undefined, parts.services());
    if (allowed.length > 0) response.headers.set("allow", allowed.join(", "));
    return response;
  }
}

const isFor = ({ suffix }: Route, path: string) => suffix === undefined || path.endsWith(suffix);

async function run(
  route: Route,
  request: Request,
  params: Readonly<Record<string, string>>,
  services: Services,
): Promise<Response> {
  const id = Bun.randomUUIDv7();
  const requestId = readRequestId(request.headers) ?? id;
  try {
    assertLetIn(route.who, route.errors === "gemini" ? keyed(request) : request, services);
    // The reading of a body does this at its end.
    if (route.who !== "anyone" && !hasBody(request)) services.connections?.hold?.(request);
    const context = { services, requestId, params: decodeParams(params) };
    const response = await route.handle(request, context);
    for (const [name, value] of Object.entries(basicHeaders(requestId, id))) {
      response.headers.set(name, value);
    }
    return response;
  } catch (thrown) {
    if (!(thrown instanceof GatewayError) && !(thrown instanceof AdminError)) {
      services.onInternalFailure(thrown);
    }
    if (route.errors !== "detail" && !(thrown instanceof AdminError)) {
      const dialect = route.errors === "openai" ? "openai-chat" : route.errors;
      const found = { route: { operation: "chat", dialect } } as const;
      return refuse(request, toGatewayError(thrown), found, services);
    }
    return detailResponse(thrown, requestId, id);
  }
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

function methodsOf(path: string, table: readonly Route[]): string[] {
  const matching = table.filter((route) => {
    const { path: pattern } = route;
    if (!isFor(route, path)) return false;
    return pattern.endsWith("*") ? path.startsWith(pattern.slice(0, -1)) : path === pattern;
  });
  return [...new Set(matching.map(({ method }) => method))];
}

function wrongMethod(method: string, allowed: readonly string[]): GatewayError {
  const message = `This path takes ${allowed.join(" or ")}, not ${method.slice(0, 20)}.`;
  return new GatewayError("method_not_allowed", message);
}
