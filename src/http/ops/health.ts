/** Liveness and readiness: the predecessor's shapes, and LiteLLM's. Nobody needs a key for them. */
import type { Services } from "../../pipeline/services.ts";
import type { ArtifactStatus } from "../../routing/slot.ts";
import { version } from "../../std/version.ts";
import type { Route } from "../route.ts";

export interface HealthParts {
  readonly artifact: () => ArtifactStatus;
}

const service = "routeiq";

export function healthRoutes({ artifact }: HealthParts): readonly Route[] {
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
      handle: (_request, { services, requestId }) => readiness(services, artifact(), requestId),
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
      path: "/health/readiness",
      who: "anyone",
      errors: "openai",
      summary: "LiteLLM's readiness. 503 while draining.",
      handle: (_request, { services }) => litellmReadiness(services),
    },
  ];
}

function readiness(services: Services, artifact: ArtifactStatus, requestId: string): Response {
  const checks = readinessChecks(services, artifact);
  const draining = services.activity.draining;
  const degraded =
    checks.circuit_breakers.status === "degraded" ||
    checks.event_log?.status === "degraded" ||
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

function readinessChecks(services: Services, artifact: ArtifactStatus) {
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
    // A router's file, its refusal and the way out; nothing of where it lies or of its keys.
    artifact,
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
