/** LiteLLM's `GET /health`: every deployment is asked, over the network, and costs what that costs. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { Deployment } from "../../domain/model.ts";
import type { HealthRecord, ProbeResult } from "../../pipeline/health-records.ts";
import { probeAll } from "../../pipeline/probe.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Route } from "../route.ts";

export const healthCheckRoutes: readonly Route[] = [
  {
    method: "GET",
    path: "/health",
    who: "admin",
    errors: "openai",
    summary:
      "Asks every deployment for a little and says which answer. `?model=`, `?model_id=` for some. It costs what it asks for.",
    docs: { query: { model: "A group.", model_id: "A deployment's id." } },
    handle: (request, { services }) => check(request, services),
  },
  {
    method: "GET",
    path: "/health/latest",
    who: "admin",
    errors: "openai",
    summary: "What every deployment last answered when it was asked for its health.",
    handle: (_request, { services }) => {
      const records = services.healthWatch?.latest() ?? [];
      return Response.json({
        latest_health_checks: Object.fromEntries(
          records.map((record) => [record.deployment.id, describeRecord(record)]),
        ),
        total_models: records.length,
      });
    },
  },
  {
    method: "GET",
    path: "/health/history",
    who: "admin",
    errors: "openai",
    summary:
      "The last 1,000 answers to health checks, newest first. `?model=`, `?status_filter=healthy|unhealthy`, `?limit=`, `?offset=`.",
    docs: {
      query: {
        model: "A group.",
        status_filter: "healthy or unhealthy.",
        limit: "How many, 100 by default.",
        offset: "How many to leave out first.",
      },
    },
    handle: (request, { services }) => history(request, services),
  },
];

function history(request: Request, services: Services): Response {
  const { searchParams: query } = new URL(request.url);
  const model = query.get("model");
  const status = query.get("status_filter");
  const limit = readCount(query.get("limit"), "limit", 100);
  const offset = readCount(query.get("offset"), "offset", 0);
  const records = (services.healthWatch?.history() ?? []).filter(
    ({ deployment, error }) =>
      (model === null || deployment.group === model) &&
      (status === null || status === (error ? "unhealthy" : "healthy")),
  );
  return Response.json({
    health_checks: records.slice(offset, offset + limit).map(describeRecord),
    total_records: records.length,
    limit,
    offset,
  });
}

function readCount(text: string | null, name: string, preset: number): number {
  const count = text === null ? preset : Number(text);
  if (Number.isInteger(count) && count >= 0 && text !== "") return count;
  const message = `${name} must be a whole number from 0 up; it is "${excerpt(text ?? "")}".`;
  throw new GatewayError("invalid_request", message, { param: name });
}

function describeRecord({ deployment, durationMs, error, atMs, by }: HealthRecord) {
  return {
    model_name: deployment.group,
    model_id: deployment.id,
    status: error ? "unhealthy" : "healthy",
    healthy_count: error ? 0 : 1,
    unhealthy_count: error ? 1 : 0,
    error_message: error?.message ?? null,
    response_time_ms: durationMs,
    checked_by: by,
    checked_at: new Date(atMs).toISOString(),
  };
}

async function check(request: Request, services: Services): Promise<Response> {
  const { searchParams: query } = new URL(request.url);
  const model = query.get("model");
  const id = query.get("model_id");
  const wanted = services.table.deployments.filter(
    (each) => (model === null || each.group === model) && (id === null || each.id === id),
  );
  if (wanted.length === 0 && (model ?? id) !== null) {
    const name = excerpt(model ?? id ?? "");
    throw new GatewayError("model_not_found", `No deployment of "${name}" is configured.`, {
      param: model === null ? "model_id" : "model",
    });
  }
  const results = await resultsOf(wanted, services, request.signal);
  const healthy = results.filter(({ error }) => !error).map(describe);
  const unhealthy = results.filter(({ error }) => error).map(describe);
  return Response.json({
    healthy_endpoints: healthy,
    unhealthy_endpoints: unhealthy,
    healthy_count: healthy.length,
    unhealthy_count: unhealthy.length,
  });
}

/** In rounds, the last round's answers are told, as LiteLLM has it; what none has asked yet is asked now. */
async function resultsOf(
  wanted: readonly Deployment[],
  services: Services,
  signal: AbortSignal,
): Promise<readonly ProbeResult[]> {
  const watch = services.healthWatch;
  const inRounds = services.config.general.healthCheckIntervalMs !== undefined;
  const known = new Map(
    (inRounds ? (watch?.latest() ?? []) : []).map((record) => [record.deployment.id, record]),
  );
  const unknown = wanted.filter(({ id }) => !known.has(id));
  const asked = await probeAll(unknown, services, signal);
  watch?.record(asked, "request");
  const fresh = new Map(asked.map((result) => [result.deployment.id, result]));
  return wanted.flatMap(({ id }) => known.get(id) ?? fresh.get(id) ?? []);
}

function describe({ deployment, durationMs, error }: ProbeResult) {
  return {
    model: deployment.candidate,
    model_name: deployment.group,
    model_id: deployment.id,
    mode: deployment.operation,
    custom_llm_provider: deployment.provider,
    response_time_ms: durationMs,
    ...(error
      ? { error: error.message, error_code: error.code, exception_status: error.status }
      : {}),
  };
}
