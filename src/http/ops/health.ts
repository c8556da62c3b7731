/** Liveness and readiness: the predecessor's shapes, and LiteLLM's. Nobody needs a key for them. */
import type { ReloadStatus } from "../../config/reload.ts";
import type { DriftAlarm } from "../../learning/drift.ts";
import type { Services } from "../../pipeline/services.ts";
import type { ArtifactStatus } from "../../routing/slot.ts";
import { version } from "../../std/version.ts";
import type { Route } from "../route.ts";

export interface HealthParts {
  readonly artifact: () => ArtifactStatus;
  readonly reload: () => ReloadStatus;
  readonly drift: () => readonly DriftAlarm[];
}

const service = "routeiq";

export function healthRoutes({ artifact, reload, drift }: HealthParts): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/_health/live",
      who: "anyone",
      errors: "detail",
      summary: "The process answers.",
      handle: () => Response.json({ status: "alive", service }),
    },
    {
      method: "GET",
      path: "/_health/ready",
      who: "anyone",
      errors: "detail",
      summary: "Whether calls are taken, and what is degraded. 503 while draining.",
      handle: (_request, { services, requestId }) =>
        readiness(services, { artifact: artifact(), reload: reload(), drift: drift() }, requestId),
    },
    ...["/health/liveliness", "/health/liveness"].map(
      (path): Route => ({
        method: "GET",
        path,
        who: "anyone",
        errors: "openai",
        summary: "LiteLLM's liveness.",
        handle: () => Response.json("I'm alive!"),
      }),
    ),
    {
      method: "GET",
      path: "/ping",
      who: "anyone",
      errors: "openai",
      summary: "LiteLLM's: the process answers.",
      handle: () => Response.json("pong"),
    },
    {
      method: "GET",
      path: "/health/backlog",
      who: "caller-or-admin",
      errors: "openai",
      summary: "LiteLLM's: calls in flight, those that wait for their turn among them.",
      handle: (_request, { services }) =>
        Response.json({ in_flight_requests: services.activity.count }),
    },
    {
      method: "GET",
      path: "/health/readiness",
      who: "anyone",
      errors: "openai",
      summary: "LiteLLM's readiness. 503 while draining.",
      handle: (_request, { services }) => litellmReadiness(services),
    },
  ];
}

interface Seen {
  readonly artifact: ArtifactStatus;
  readonly reload: ReloadStatus;
  readonly drift: readonly DriftAlarm[];
}

function readiness(services: Services, seen: Seen, requestId: string): Response {
  const { artifact } = seen;
  const checks = readinessChecks(services, seen);
  const draining = services.activity.draining;
  const degraded =
    checks.circuit_breakers.status === "degraded" ||
    checks.config.status === "degraded" ||
    checks.deployments.status === "degraded" ||
    checks.event_log?.status === "degraded" ||
    checks.drift?.status === "degraded" ||
    (artifact.status !== "none" && artifact.status !== "active");
  const body = {
    status: draining ? "not_ready" : degraded ? "degraded" : "ready",
    service,
    is_degraded: degraded,
    checks,
    request_id: requestId,
  };
  return draining ? Response.json({ detail: body }, { status: 503 }) : Response.json(body);
}

/** What is wrong names files, so it stands in the log and in `/config/status` alone. */
function configCheck({ count, lastAtMs, lastOutcome }: ReloadStatus) {
  const refused = lastOutcome === "refused";
  return {
    status: refused ? "degraded" : "healthy",
    reload_count: count,
    last_reload_at: lastAtMs === undefined ? null : new Date(lastAtMs).toISOString(),
    last_outcome: lastOutcome ?? null,
    ...(refused
      ? {
          remedy:
            "The last good configuration serves on. GET /config/status says what is wrong with the new one.",
        }
      : {}),
  };
}

/** Rows that LiteLLM would serve and this gateway does not. */
function deploymentCheck({ deployments, off }: Services["table"]) {
  return {
    status: off.length > 0 ? "degraded" : "healthy",
    served: deployments.length,
    off: off.map(({ group, message }) => ({ model_name: group, message })),
  };
}

/** Missing while nothing drifts. */
function driftCheck(alarms: readonly DriftAlarm[]) {
  if (alarms.length === 0) return {};
  const told = alarms.map(({ kind, model, artifact, message, remedy, atMs }) => ({
    kind,
    ...(model === undefined ? {} : { model }),
    artifact,
    message,
    remedy,
    since: new Date(atMs).toISOString(),
  }));
  return { drift: { status: "degraded", alarms: told } };
}

function readinessChecks(services: Services, { artifact, reload, drift }: Seen) {
  const { activity, pool, table, events } = services;
  const resting = table.deployments.filter(({ id }) => pool.isEjected(id));
  const log = events?.status();
  return {
    drain_status: {
      status: activity.draining ? "draining" : "accepting",
      active_requests: activity.count,
    },
    circuit_breakers: {
      status: resting.length > 0 ? "degraded" : "healthy",
      open_breakers: resting.map(({ id }) => `deployment:${id}`),
      breakers: Object.fromEntries(
        resting.map((deployment) => [
          `deployment:${deployment.id}`,
          { state: "open", time_until_retry: pool.retryAfterS([deployment]) },
        ]),
      ),
    },
    config: configCheck(reload),
    deployments: deploymentCheck(table),
    // A router's file, its refusal and the way out; nothing of where it lies or of its keys.
    artifact,
    ...driftCheck(drift),
    ...(log
      ? {
          event_log: {
            status: log.error === undefined ? "healthy" : "degraded",
            backend: log.backend,
            dropped: events?.dropped() ?? 0,
            // What is wrong names a path, so it stands in the log alone.
            ...(log.error === undefined
              ? {}
              : {
                  remedy:
                    "Events are kept in memory, the last ones only. The gateway's log says what is wrong; writing is tried again by itself.",
                }),
          },
        }
      : {}),
  };
}

function litellmReadiness({ activity }: Services): Response {
  const body = {
    status: activity.draining ? "draining" : "healthy",
    db: "Not connected",
    cache: null,
    litellm_version: version,
    success_callbacks: [],
  };
  return Response.json(body, { status: activity.draining ? 503 : 200 });
}
