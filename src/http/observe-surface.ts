/** What a request beside the hot routes leaves behind: a count, and a receipt where its surface says so. */

import { drainingError } from "../pipeline/activity.ts";
import type { Services } from "../pipeline/services.ts";
import { recordTool } from "../pipeline/tool-receipt.ts";
import { callerOf, type Route } from "./route.ts";
import type { Surface } from "./surfaces.ts";

export interface SurfaceRequest {
  readonly surface: Surface | undefined;
  readonly route: Pick<Route, "method" | "path">;
  readonly request: Request;
  readonly callId: string;
  readonly requestId: string;
  readonly startedAtMs: number;
}

/** What only reads is let through to the end. @throws GatewayError draining */
export function assertNotDraining({ surface, request }: SurfaceRequest, services: Services): void {
  const begins = surface?.operation !== undefined && request.method === "POST";
  if (begins && services.activity.draining) throw drainingError();
}

/** @param error of a request that was let in and failed: its code */
export function observeSurface(
  of: SurfaceRequest,
  end: { readonly status: number; readonly wasLetIn: boolean; readonly error?: string },
  services: Services,
): void {
  const { surface, route, request, callId, requestId, startedAtMs } = of;
  if (!surface) return;
  services.telemetry
    .counter("routeiq.http.requests", "Requests beside the calls of models.", labels)
    .add(1, surface.name, request.method, String(end.status));
  const { operation } = surface;
  if (operation === undefined || !end.wasLetIn || !isTold(route)) return;
  recordTool(
    {
      callId,
      requestId,
      caller: callerOf(request, services),
      operation,
      name: `${route.method} ${route.path}`,
      provider: "routeiq",
      startedAtMs,
      outcome: end.status < 400 ? "success" : "failure",
      ...(end.error === undefined ? {} : { error: end.error }),
    },
    services,
  );
}

const labels = ["surface", "method", "status"];

/** Polling for a state would crowd the log; a download moves contents. */
const isTold = ({ method, path }: Pick<Route, "method" | "path">) =>
  method !== "GET" || path.endsWith("/content");
