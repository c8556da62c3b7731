/** OpenAI's Responses API: creation on the hot path, the rest about what is stored. */
import { CallFailed } from "../../pipeline/handle.ts";
import type { Arrival } from "../../pipeline/read-call.ts";
import type { ReplyStream } from "../../pipeline/reply.ts";
import type { Asking, Responses } from "../../resources/responses/responses.ts";
import { respondCount } from "../count-tokens.ts";
import { readBytes } from "../read-body.ts";
import { toReadable } from "../reply-body.ts";
import { callerOf, type Route, type RouteContext } from "../route.ts";
import { events, json, type RouteGroup } from "../routes.ts";

const prefixes = ["/v1", "", "/openai/v1"];

export function responseRoutes(responses: Responses): RouteGroup {
  return {
    route: { operation: "responses", dialect: "openai-responses", handle: responses.create },
    paths: prefixes.map((prefix) => `${prefix}/responses`),
    docs: {
      summary: "OpenAI's responses, JSON or SSE, for every model.",
      body: "ResponseRequest",
      replies: [json, events],
      source: "https://platform.openai.com/docs/api-reference/responses/create",
    },
  };
}

export function compactRoutes(responses: Responses): RouteGroup {
  return {
    route: { operation: "compaction", dialect: "openai-responses", handle: responses.compact },
    paths: prefixes.map((prefix) => `${prefix}/responses/compact`),
    docs: {
      summary: "A conversation made short: by OpenAI's own models, or by any other's summary.",
      body: "ResponseRequest",
      replies: [json],
      source: "https://platform.openai.com/docs/api-reference/responses/compact",
    },
  };
}

/** How many tokens a request has. */
function countRoutes(responses: Responses): readonly Route[] {
  return prefixes.map((prefix) => ({
    method: "POST",
    path: `${prefix}/responses/input_tokens`,
    who: "caller",
    errors: "openai",
    summary: "OpenAI's count of a response's input; an estimate for other providers' models.",
    docs: {
      body: "ResponseRequest",
      source: "https://platform.openai.com/docs/api-reference/responses/input-tokens",
    },
    async handle(request, { services, requestId }) {
      const arrival: Arrival = {
        id: Bun.randomUUIDv7(),
        requestId,
        operation: "responses",
        dialect: "openai-responses",
        headers: request.headers,
        signal: request.signal,
        atMs: services.clock.now(),
        atUs: services.clock.monotonicUs(),
        bytes: () => readBytes(request, services),
      };
      const count = await responses.countInput(arrival, services).catch((thrown: unknown) => {
        throw thrown instanceof CallFailed ? thrown.error : thrown;
      });
      return respondCount(count, (tokens) => ({
        object: "response.input_tokens",
        input_tokens: tokens,
      }));
    },
  }));
}

type Answer = object | ReplyStream | Response;

export function storedResponseRoutes(responses: Responses): readonly Route[] {
  const route = (
    method: Route["method"],
    path: string,
    summary: string,
    ask: (asking: Asking) => Promise<Answer>,
    query: Readonly<Record<string, string>> = {},
  ): Route[] =>
    prefixes.map((prefix) => ({
      method,
      path: `${prefix}/responses/:response_id${path}`,
      who: "caller",
      errors: "openai",
      summary,
      docs: { query, source: "https://platform.openai.com/docs/api-reference/responses" },
      handle: async (request, context) =>
        toResponse(await ask(toAsking(request, context)), context),
    }));
  return [
    ...countRoutes(responses),
    ...route(
      "GET",
      "",
      "A stored response; `stream=true` reads along with one in the background.",
      responses.retrieve,
      { stream: "`true`: as events.", starting_after: "Events after this number alone." },
    ),
    ...route("DELETE", "", "Deletes a stored response.", responses.remove),
    ...route(
      "GET",
      "/input_items",
      "What a response was made from, in pages.",
      responses.inputItems,
      { limit: "Items of a page.", order: "`asc` or `desc`.", after: "Items after this id." },
    ),
    ...route("POST", "/cancel", "Ends a response in the background.", responses.cancel),
  ];
}

function toAsking(request: Request, { services, params }: RouteContext): Asking {
  return {
    id: params["response_id"] ?? "",
    caller: callerOf(request, services),
    query: new URL(request.url).searchParams,
    signal: request.signal,
    services,
  };
}

const isStream = (answer: Answer): answer is ReplyStream =>
  "next" in answer && typeof answer.next === "function";

function toResponse(answer: Answer, { services }: RouteContext): Response {
  if (answer instanceof Response) {
    const type = answer.headers.get("content-type") ?? "application/json";
    return new Response(answer.body, { headers: { "content-type": type } });
  }
  if (!isStream(answer)) return Response.json(answer);
  return new Response(toReadable(answer, services), {
    headers: {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      "x-accel-buffering": "no",
    },
  });
}
