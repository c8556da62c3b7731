/** What may be asked for: OpenAI's list, Anthropic's form of it, and LiteLLM's `/model/info`. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Route } from "../route.ts";
import { modelInfoRoutes } from "./model-info.ts";

/** LiteLLM's constant: the models have no date of their own, and clients compare lists. */
const created = 1677610602;

const caller = { method: "GET", who: "caller", errors: "openai" } as const;

export const modelRoutes: readonly Route[] = [
  ...["/v1/models", "/models"].map(
    (path): Route => ({
      ...caller,
      path,
      summary: "The models that may be asked for. `?return_wildcard_routes=true` adds patterns.",
      docs: { query: { return_wildcard_routes: "`true` adds patterns." } },
      handle: (request, { services }) => listModels(request, services),
    }),
  ),
  ...["/v1/models/*", "/models/*"].map(
    (path): Route => ({
      ...caller,
      path,
      summary: "One model, also of a wildcard row.",
      handle: (request, { services, params }) => oneModel(request, services, params["*"] ?? ""),
    }),
  ),
  ...modelInfoRoutes,
];

function listModels(request: Request, { table }: Services): Response {
  const wildcards = new URL(request.url).searchParams.get("return_wildcard_routes") === "true";
  const patterns = table.groups.map(({ name }) => name).filter((name) => name.includes("*"));
  const names = wildcards ? [...table.names, ...patterns] : table.names;
  if (!isAnthropic(request)) {
    const data = names.map((name) => toModel(name, ownerOf(name, table)));
    return Response.json({ object: "list", data });
  }
  const data = names.map(toAnthropicModel);
  const ends = { first_id: names[0] ?? null, last_id: names.at(-1) ?? null };
  return Response.json({ data, has_more: false, ...ends });
}

function oneModel(request: Request, { table }: Services, name: string): Response {
  const found = table.find(name);
  if (!found) {
    throw new GatewayError(
      "model_not_found",
      `The model "${excerpt(name)}" does not exist here. GET /v1/models lists those that do.`,
      { param: "model" },
    );
  }
  if (isAnthropic(request)) return Response.json(toAnthropicModel(name));
  return Response.json(toModel(name, found.deployments[0]?.provider ?? "routeiq"));
}

const isAnthropic = (request: Request) => request.headers.has("anthropic-version");

function ownerOf(name: string, table: Services["table"]): string {
  if (table.autoNames.includes(name)) return "routeiq";
  const found = table.find(name);
  return found?.deployments[0]?.provider ?? "routeiq";
}

function toModel(id: string, owner: string) {
  return { id, object: "model", created, owned_by: owner };
}

function toAnthropicModel(id: string) {
  const at = new Date(created * 1000).toISOString();
  return { type: "model", id, display_name: id, created_at: at };
}
