/**
 * LiteLLM's `POST /health/test_connection` and `GET /health/services`: one row is tried, whether it is
 * configured or not; one service that takes the gateway's telemetry is tried, or all are told.
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import { probeAll } from "../../pipeline/probe.ts";
import type { Services } from "../../pipeline/services.ts";
import { toAskedRow } from "../../providers/asked-row.ts";
import { readAdminBody } from "../admin/read-admin-body.ts";
import type { Route } from "../route.ts";

export const connectionRoutes: readonly Route[] = [
  {
    method: "POST",
    path: "/health/test_connection",
    who: "admin",
    errors: "detail",
    summary:
      "Tries a row before it is configured: `litellm_params`, `mode`. It costs the smallest call of its kind. Configured keys go to configured addresses alone.",
    docs: { body: "ConnectionTestRequest" },
    handle: (request, { services }) => testConnection(request, services),
  },
  {
    method: "GET",
    path: "/health/services",
    who: "admin",
    errors: "detail",
    summary: "What takes the gateway's telemetry. `?service=otel` sends a span to look for.",
    docs: { query: { service: "One of them; without it all are told." } },
    handle: (request, { services }) => testServices(request, services),
  },
];

async function testConnection(request: Request, services: Services): Promise<Response> {
  const body = await readAdminBody(request, services);
  const { litellm_params: params, model_info: info, mode } = body;
  const id = isObject(info) ? info["id"] : undefined;
  const told = mode ?? (isObject(params) ? params["mode"] : undefined);
  const row = toAskedRow(
    {
      params: isObject(params) ? params : {},
      mode: typeof told === "string" ? told : undefined,
      id: typeof id === "string" ? id : undefined,
    },
    {
      config: services.config,
      configured: services.table.deployments,
      factsOf: services.factsOf,
    },
  );
  const [probed] = await probeAll([row], services, request.signal);
  const error = probed?.error;
  return Response.json({
    status: error ? "error" : "success",
    result: {
      model: row.candidate,
      custom_llm_provider: row.provider,
      api_base: row.apiBase,
      mode: row.operation,
      response_time_ms: probed?.durationMs ?? 0,
      ...(error
        ? { error: error.message, error_code: error.code, exception_status: error.status }
        : {}),
    },
  });
}

function testServices(request: Request, services: Services): Response {
  const asked = new URL(request.url).searchParams.get("service");
  const { events, telemetry } = services;
  const log = events.status();
  const all = {
    event_log: {
      status: log.error === undefined ? "success" : "unhealthy",
      message:
        log.error === undefined
          ? `Events are kept (${log.backend}).`
          : "Events are kept in memory, the last ones only. The gateway's log says what is wrong.",
    },
    otel: telemetry.spansOn
      ? { status: "success", message: "Spans and metrics are sent by OTLP." }
      : { status: "off", message: notSetUp },
    prometheus: { status: "success", message: "Metrics are read at /metrics." },
  };
  if (asked === null) return Response.json({ status: "success", services: all });
  if (asked !== "otel") {
    const one = Object.entries(all).find(([name]) => name === asked)?.[1];
    if (one) return Response.json(one);
    const known = Object.keys(all).join(", ");
    const message = `service must be one of ${known}; the gateway sends nothing to others itself. Langfuse, Datadog and their like take OTLP: ${notSetUp}`;
    throw new GatewayError("invalid_request", message, { param: "service" });
  }
  if (!telemetry.spansOn) {
    throw new GatewayError("invalid_request", notSetUp, { param: "service", status: 422 });
  }
  sendSpan(services);
  return Response.json({ status: "success", message: `A span was sent - look for "${spanName}".` });
}

const spanName = "routeiq.health_check";
const notSetUp = "set OTEL_EXPORTER_OTLP_ENDPOINT, or routeiq_settings.telemetry.otlp_endpoint.";

function sendSpan({ clock, telemetry }: Services): void {
  const startMs = clock.now();
  const id = Bun.randomUUIDv7().replaceAll("-", "");
  telemetry.span({
    name: spanName,
    traceId: id,
    spanId: id.slice(-16),
    kind: "internal",
    startMs,
    endMs: startMs,
    attributes: { "routeiq.health_check": true },
  });
}
