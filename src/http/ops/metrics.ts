/** `GET /metrics`: Prometheus. Open where only this machine reaches the port, else for admins. */
import type { GatewayTelemetry } from "../../telemetry/create.ts";
import { prometheusContentType } from "../../telemetry/prometheus.ts";
import type { Route } from "../route.ts";

export interface MetricRouteParts {
  readonly telemetry: Pick<GatewayTelemetry, "prometheus">;
  readonly onLoopback: boolean;
}

export function metricRoutes({ telemetry, onLoopback }: MetricRouteParts): readonly Route[] {
  const headers = { "content-type": prometheusContentType };
  return [
    {
      method: "GET",
      path: "/metrics",
      who: onLoopback ? "anyone" : "admin",
      errors: "openai",
      summary: "Metrics as Prometheus reads them. Keyed where other machines reach the port.",
      docs: { reply: "text/plain" },
      handle: () => new Response(telemetry.prometheus(), { headers }),
    },
  ];
}
