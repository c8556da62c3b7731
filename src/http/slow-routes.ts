/**
 * Everything but the hot routes, through Elysia: health, models, admin, metrics. The table says
 * who may call what, and this file holds every route to it.
 */
import type { Agents } from "../agents/a2a/agents-contract.ts";
import type { Mcp } from "../agents/mcp/mcp.ts";
import type { SkillParts } from "../agents/skills/skill-parts.ts";
import type { KnownNames } from "../config/check/rule.ts";
import type { ConfigReloader, SyncStatus } from "../config/reload.ts";
import { GatewayError } from "../domain/errors.ts";
import type { DriftAlarm } from "../learning/drift.ts";
import type { RolloutControl } from "../learning/rollout/control.ts";
import type { Experiments } from "../learning/rollout/experiments.ts";
import type { Services } from "../pipeline/services.ts";
import type { Assistants } from "../resources/assistants/assistants.ts";
import type { Batches } from "../resources/batches/batches.ts";
import type { Files } from "../resources/files/files.ts";
import type { FineTuning } from "../resources/fine-tuning/jobs.ts";
import type { Responses } from "../resources/responses/responses.ts";
import type { Uploads } from "../resources/uploads/uploads.ts";
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
import { mcpOauthRoutes, mcpResourceRoutes } from "./agents/mcp-oauth.ts";
import { createOperatorServer } from "./agents/mcp-operator.ts";
import { mcpParityRoutes } from "./agents/mcp-parity.ts";
import { mcpRestRoutes } from "./agents/mcp-rest.ts";
import { skillRoutes } from "./agents/skills.ts";
import { notFound, refuse } from "./app.ts";
import { callRoutes } from "./call-routes.ts";
import { countRoutes } from "./count-tokens.ts";
import { geminiModelRoutes } from "./gemini/models.ts";
import { isFor, mountRoutes } from "./mount-routes.ts";
import { assistantRoutes } from "./openai/assistants.ts";
import { batchRoutes } from "./openai/batches.ts";
import { decisionRoutes } from "./openai/decisions.ts";
import { feedbackRoutes } from "./openai/feedback.ts";
import { fileRoutes } from "./openai/files.ts";
import { fineTuningRoutes } from "./openai/fine-tuning.ts";
import { realtimeRoutes } from "./openai/realtime.ts";
import { realtimeSecretRoutes } from "./openai/realtime-secrets.ts";
import { storedResponseRoutes } from "./openai/responses.ts";
import { uploadRoutes } from "./openai/uploads.ts";
import { vectorStoreRoutes } from "./openai/vector-stores.ts";
import { docRoutes } from "./openapi/routes.ts";
import { healthRoutes } from "./ops/health.ts";
import { healthCheckRoutes } from "./ops/health-check.ts";
import { type MetricRouteParts, metricRoutes } from "./ops/metrics.ts";
import { modelRoutes } from "./ops/models.ts";
import { connectionRoutes } from "./ops/test-connection.ts";
import type { Route, SlowRoutes } from "./route.ts";
import { pathOf } from "./routes.ts";
import { consoleRoutes } from "./ui/console.ts";

export interface SlowRouteParts {
  readonly services: () => Services;
  readonly responses: Responses;
  readonly files: Files;
  readonly uploads: Uploads;
  readonly fineTuning: FineTuning;
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
    ...connectionRoutes,
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
    ...uploadRoutes(parts.uploads),
    ...fineTuningRoutes(parts.fineTuning),
    ...batchRoutes(parts.batches),
    ...assistantRoutes(parts.assistants),
    ...vectorStoreRoutes(parts.vectorStores),
    ...mcpParityRoutes(parts.mcp), // `/mcp/transport` before `/mcp/:server`
    ...mcpRoutes(parts.mcp),
    ...mcpOauthRoutes(parts.mcp),
    ...mcpResourceRoutes(parts.mcp),
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
  parts.mcp.publish(createOperatorServer(() => table, parts.services));
  const app = mountRoutes(table, parts.services, nothing);
  return app;

  function nothing(request: Request): Response {
    const path = pathOf(request.url);
    const allowed = methodsOf(path, table);
    const error = allowed.length > 0 ? wrongMethod(request.method, allowed) : notFound(path);
    const response = refuse(request, error, undefined, parts.services());
    if (allowed.length > 0) response.headers.set("allow", allowed.join(", "));
    return response;
  }
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
