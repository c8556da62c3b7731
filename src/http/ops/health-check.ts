/** LiteLLM's `GET /health`: every deployment is asked, over the network, and costs what that costs. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { type ProbeResult, probeAll } from "../../pipeline/probe.ts";
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
];

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
  const results = await probeAll(wanted, services, request.signal);
  const healthy = results.filter(({ error }) => !error).map(describe);
  const unhealthy = results.filter(({ error }) => error).map(describe);
  return Response.json({
    healthy_endpoints: healthy,
    unhealthy_endpoints: unhealthy,
    healthy_count: healthy.length,
    unhealthy_count: unhealthy.length,
  });
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
