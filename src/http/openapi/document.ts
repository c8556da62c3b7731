/**
 * The API's own description, made from the route tables: OpenAPI 3.1, every route with who may call
 * it, what it takes and how it fails. What a provider decides is left to the provider's reference.
 * Source: https://spec.openapis.org/oas/v3.1.1
 */
import type { TSchema } from "@sinclair/typebox";
import type { JsonObject } from "../../domain/json.ts";
import { version } from "../../std/version.ts";
import type { Route } from "../route.ts";
import type { RouteGroup } from "../routes.ts";
import { type BodyName, bodies, gatewayBody } from "./bodies.ts";
import { components, errorsOf, parametersOfCall, securityOf } from "./components.ts";

export interface ApiTables {
  readonly calls: readonly RouteGroup[];
  readonly slow: readonly Route[];
}

type Operation = Record<string, unknown>;

export interface ApiDocument {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string; readonly description: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly [key: string]: unknown;
}

/** Costs about a millisecond; the tables do not change while a gateway runs. */
export function createDocument({ calls, slow }: ApiTables): ApiDocument {
  const paths: Record<string, Record<string, Operation>> = {};
  const add = (path: string, method: string, operation: Operation) => {
    const words = `${method}${path}`.replace(/[^A-Za-z0-9]+/g, "_");
    const id = path.endsWith("}") ? words.slice(0, -1) : words;
    paths[path] = { ...paths[path], [method]: { operationId: id, ...operation } };
  };
  for (const group of calls) {
    for (const path of [...group.paths, ...(group.docs.templates ?? [])]) {
      add(path, "post", ofCall(group, path));
    }
  }
  for (const route of slow) {
    const path = toTemplate(route);
    add(path, route.method.toLowerCase(), ofRoute(route, path));
  }
  for (const method of ["get", "post", "put", "patch", "delete"]) {
    add(passThroughPath, method, ofPassThrough());
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "RouteIQ",
      version,
      description:
        "An AI gateway: OpenAI's, Anthropic's and Gemini's APIs for every model it has. A call's own fields are its provider's; `x-routeiq-call-id` of an answer leads to its receipt.",
    },
    servers: [{ url: "/" }],
    paths,
    components: { ...components, schemas: schemas() },
    tags: tags.map(([name, description]) => ({ name, description })),
  };
}

const tags = [
  ["calls", "Calls to models."],
  ["models", "What may be asked for, and what it is."],
  ["tokens", "Tokens counted before a call."],
  ["responses", "Responses that are kept."],
  ["routing", "Why a call went where it went, and what its answer was worth."],
  ["pass-through", "Providers' own APIs, under this gateway's keys."],
  ["health", "Whether it lives, and whether it takes calls."],
  ["admin", "The operator's."],
  ["pages", "For people."],
] as const;

function tagOf({ path, who }: Route): (typeof tags)[number][0] {
  if (/openapi|^\/docs|^\/(ui\/?)?$/.test(path)) return "pages";
  if (/health/.test(path)) return "health";
  if (who === "admin" || path === "/metrics") return "admin";
  if (/feedback|routing/.test(path)) return "routing";
  if (/responses/.test(path)) return "responses";
  return /model/.test(path) && !/token/i.test(path) ? "models" : "tokens";
}

function schemas(): JsonObject {
  const all: Record<string, TSchema> = { ...bodies, GatewayFields: gatewayBody };
  return JSON.parse(JSON.stringify(all)); // without TypeBox's symbols
}

const refTo = (name: BodyName | "GatewayFields") => ({ $ref: `#/components/schemas/${name}` });

function ofCall({ route, docs }: RouteGroup, path: string): Operation {
  const { body, replies, source, summary } = docs;
  const takes: string[] = [];
  if (route.form !== "always") takes.push("application/json");
  if (route.form) takes.push("multipart/form-data");
  const schema = { allOf: [refTo(body), refTo("GatewayFields")] };
  const model = /\{model\}/.test(path) ? "The path's model wins over the body's." : "";
  return {
    tags: ["calls"],
    summary,
    description: ["What is not described here is as the reference says.", model].join(" ").trim(),
    externalDocs: { url: source },
    security: securityOf("caller"),
    parameters: [...pathParameters(path), ...parametersOfCall],
    requestBody: { required: true, content: contentOf(takes, schema) },
    responses: {
      "200": {
        description: "As the reference says, whatever the provider.",
        headers: {
          "x-routeiq-call-id": { $ref: "#/components/headers/CallId" },
          "x-routeiq-model": { $ref: "#/components/headers/Model" },
        },
        content: contentOf(replies),
      },
      ...errorsOf(
        route.dialect === "anthropic" || route.dialect === "gemini" ? route.dialect : "openai",
      ),
    },
  };
}

function ofRoute(route: Route, path: string): Operation {
  const { summary, who, errors, docs = {} } = route;
  const { body, query = {}, reply = "application/json", source, status = "200" } = docs;
  const asked = Object.entries(query).map(([name, description]) => ({
    name,
    in: "query",
    description,
    schema: { type: "string" },
  }));
  return {
    tags: [tagOf(route)],
    summary,
    ...(source ? { externalDocs: { url: source } } : {}),
    security: securityOf(who),
    parameters: [...pathParameters(path), ...asked],
    ...(body ? { requestBody: { content: contentOf(["application/json"], refTo(body)) } } : {}),
    responses: {
      [status]: { description: "Done.", content: contentOf([reply]) },
      ...(who === "anyone" ? {} : errorsOf(errors)),
    },
  };
}

const passThroughPath = "/{provider}/{path}";

function ofPassThrough(): Operation {
  return {
    tags: ["pass-through"],
    summary: "The provider's own API, with the provider's key for the gateway's.",
    description:
      "Open where the provider's key (or base) is in the environment, or a model says `use_in_pass_through`. `path` may hold slashes. Under `/openai/v1`, and with `api-version`, a model that is configured here is answered here. The operator's own ways (`general_settings.pass_through_endpoints`) stand above every other path.",
    security: securityOf("caller"),
    parameters: pathParameters(passThroughPath),
    responses: { default: { description: "What the provider answers." } },
  };
}

function contentOf(types: readonly string[], schema: object = {}): Record<string, object> {
  return Object.fromEntries(types.map((type) => [type, { schema }]));
}

/** Elysia's form of a path in OpenAPI's. */
function toTemplate({ path, suffix = "" }: Route): string {
  return `${path.replace(/:(\w+)/g, "{$1}").replace("*", path.includes("/skills/") ? "{path}" : "{model}")}${suffix}`;
}

function pathParameters(path: string): object[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    ...(name === "model" ? { description: "May hold slashes." } : {}),
    schema: { type: "string" },
  }));
}
