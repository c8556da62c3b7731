/** Routes of an API with memory, a line each: who asks, with which body and query, and what is answered. */
import type { Caller } from "../domain/call.ts";
import type { JsonObject } from "../domain/json.ts";
import { readJsonObject } from "./json-body.ts";
import { callerOf, type Route, type RouteContext } from "./route.ts";

export interface Asked {
  readonly caller: Caller;
  /** Empty where none came: some are posted without one. */
  readonly body: JsonObject;
  readonly query: URLSearchParams;
  /** A value of the path. */
  readonly at: (name: string) => string;
  readonly context: RouteContext;
}

export type Answer = (asked: Asked) => Promise<JsonObject | Response>;

export type StoredRoute = readonly [
  method: Route["method"],
  path: string,
  summary: string,
  answer: Answer,
];

/** Under `/v1` and without it, as OpenAI's clients are configured. */
export function storedRoutes(source: string, rows: readonly StoredRoute[]): readonly Route[] {
  return rows.flatMap(([method, path, summary, answer]) =>
    [`/v1${path}`, path].map(
      (each): Route => ({
        method,
        path: each,
        who: "caller-or-admin",
        errors: "openai",
        summary,
        docs: { source },
        handle: (request, context) => run(request, context, answer),
      }),
    ),
  );
}

async function run(request: Request, context: RouteContext, answer: Answer): Promise<Response> {
  const { services, params } = context;
  const caller = callerOf(request, services);
  const body = hasBody(request) ? await readJsonObject(request, services) : {};
  const query = new URL(request.url).searchParams;
  const answered = await answer({ caller, body, query, at: (name) => params[name] ?? "", context });
  return answered instanceof Response ? answered : Response.json(answered);
}

function hasBody({ method, headers }: Request): boolean {
  if (method !== "POST") return false;
  const length = headers.get("content-length");
  return length === null ? headers.has("transfer-encoding") : length !== "0";
}
