/** Everything but the hot routes, through Elysia: health, models, admin, metrics. */
import { Elysia } from "elysia";
import type { Services } from "../pipeline/services.ts";
import { notFound, refuse, type SlowRoutes } from "./app.ts";
import { pathOf } from "./routes.ts";

export interface SlowRouteParts {
  readonly services: () => Services;
}

export function createSlowRoutes({ services }: SlowRouteParts): SlowRoutes {
  return new Elysia({ aot: false }).all("/*", ({ request }) =>
    refuse(request, notFound(pathOf(request.url)), undefined, services()),
  );
}
