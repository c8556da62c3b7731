/** `/v1/batches`. */
import type { Batches } from "../../resources/batches/batches.ts";
import { readJsonObject } from "../json-body.ts";
import { callerOf, type Route } from "../route.ts";

const source = "https://platform.openai.com/docs/api-reference/batch";
const bodyLimitBytes = 64 * 1024;

export function batchRoutes(batches: Batches): readonly Route[] {
  const at = (path: string, route: Omit<Route, "path" | "who" | "errors">): readonly Route[] =>
    [`/v1${path}`, path].map((each) => ({
      path: each,
      who: "caller-or-admin",
      errors: "openai",
      ...route,
    }));
  return [
    ...at("/batches", {
      method: "POST",
      summary: "Ask many requests at leisure: a file of purpose `batch`, an endpoint, a window.",
      docs: { body: "BatchRequest", source },
      async handle(request, { services }) {
        const caller = callerOf(request, services);
        const body = await readJsonObject(request, services, bodyLimitBytes);
        return Response.json(await batches.create(body, caller));
      },
    }),
    ...at("/batches", {
      method: "GET",
      summary: "Your batches, newest first.",
      docs: { source, query: { limit: "How many; 20 by default.", after: "A batch's id." } },
      handle: async (request, { services }) =>
        Response.json(
          await batches.list(new URL(request.url).searchParams, callerOf(request, services)),
        ),
    }),
    ...at("/batches/:id", {
      method: "GET",
      summary: "How a batch stands, and its output files once there are any.",
      docs: { source },
      handle: async (request, { services, params }) =>
        Response.json(await batches.get(params["id"] ?? "", callerOf(request, services))),
    }),
    ...at("/batches/:id/cancel", {
      method: "POST",
      summary: "Stop a batch. What was answered so far is laid down.",
      docs: { source },
      handle: async (request, { services, params }) =>
        Response.json(await batches.cancel(params["id"] ?? "", callerOf(request, services))),
    }),
  ];
}
