/**
 * Answers in a provider's place: LiteLLM's `mock_response` and its kin, of a row or of a request.
 * Source: https://docs.litellm.ai/docs/completion/mock_requests
 */
import { toProviderError } from "../dialects/provider-error.ts";
import { dialects } from "../dialects/registry.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Mock } from "../domain/model.ts";
import { type Clock, sleep } from "../std/clock.ts";
import type { ProviderClient, UpstreamReply, UpstreamRequest } from "./client.ts";

/** The client, but for deployments that are mocked. Costs one look at the deployment. */
export function withMocks(client: ProviderClient, clock: Clock): ProviderClient {
  return {
    ...client,
    send: (request) =>
      request.deployment.mock
        ? answer(request, request.deployment.mock, clock)
        : client.send(request),
  };
}

async function answer(request: UpstreamRequest, mock: Mock, clock: Clock): Promise<UpstreamReply> {
  const { signal } = request.cancel;
  if (mock.hangs) await sleep(clock, foreverMs, signal);
  if (mock.delayMs) await sleep(clock, mock.delayMs, signal);
  const { response } = mock;
  if (typeof response === "string") throwNamed(response);
  const { operation } = request.call;
  if (operation === "embedding") return whole(embeddingOf(response, request), request);
  if (operation === "chat" || operation === "completion" || operation === "responses") {
    return request.call.stream
      ? streamed(response, request)
      : whole(chatOf(response, request), request);
  }
  throw new GatewayError(
    "unsupported_capability",
    `A mock answers chat and embeddings, not ${operation}. Leave mock_response out.`,
    { param: "mock_response" },
  );
}

/** Longer than any timer of a call. */
const foreverMs = 2_147_483_647;

const statuses: Readonly<Record<string, number>> = {
  BadRequestError: 400,
  AuthenticationError: 401,
  PermissionDeniedError: 403,
  NotFoundError: 404,
  Timeout: 408,
  UnprocessableEntityError: 422,
  RateLimitError: 429,
  InternalServerError: 500,
  APIError: 500,
  BadGatewayError: 502,
  ServiceUnavailableError: 503,
};

/** LiteLLM's words for a failure: `litellm.RateLimitError`, `Exception: …`. */
function throwNamed(text: string): void {
  const [, name] = /^litellm\.(\w+)$/.exec(text) ?? [];
  const message = `this is a mock ${name ?? "exception"}`;
  if (name === "ContextWindowExceededError") {
    throw new GatewayError("context_length_exceeded", message);
  }
  if (name === "ContentPolicyViolationError" || text === "Exception: content_filter_policy") {
    throw new GatewayError("content_policy_violation", message);
  }
  if (name === "APIConnectionError") throw new GatewayError("upstream_unreachable", message);
  const status = statuses[name ?? ""];
  if (status !== undefined) throw toProviderError({ status, message });
  if (!text.startsWith("Exception: ") || text.startsWith(breaksStream)) return;
  throw toProviderError({ status: 500, message: text.slice("Exception: ".length) });
}

const breaksStream = "Exception: mock_streaming_error";

function whole(body: JsonObject, { callerDialect }: UpstreamRequest): UpstreamReply {
  const dialect = dialects["openai-chat"];
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return { kind: "whole", dialect, passes: callerDialect.name === dialect.name, bytes, body };
}

/** LiteLLM's figures. */
const usage = { prompt_tokens: 10, completion_tokens: 20, total_tokens: 30 };

function chatOf(response: Json | undefined, { call, deployment }: UpstreamRequest): JsonObject {
  const message = messageOf(response);
  const finish = message["tool_calls"] === undefined ? "stop" : "tool_calls";
  const count = typeof call.body["n"] === "number" ? call.body["n"] : 1;
  const base = {
    id: `chatcmpl-${call.id}`,
    object: "chat.completion",
    created: Math.floor(call.startedAtMs / 1000),
    model: deployment.upstreamModel,
    usage,
  };
  if (isObject(response) && Array.isArray(response["choices"])) return { ...base, ...response };
  return {
    ...base,
    choices: Array.from({ length: Math.min(Math.max(1, count), choiceLimit) }, (_, index) => ({
      index,
      message,
      logprobs: null,
      finish_reason: finish,
    })),
  };
}

const choiceLimit = 128;

function messageOf(response: Json | undefined): JsonObject {
  const base = { role: "assistant", refusal: null };
  if (isObject(response)) return { ...base, content: null, ...response };
  const text = response === undefined || response === null ? "This is a mock request" : response;
  return { ...base, content: typeof text === "string" ? text : JSON.stringify(text) };
}

function embeddingOf(
  response: Json | undefined,
  { call, deployment }: UpstreamRequest,
): JsonObject {
  const { input } = call.body;
  const count = Array.isArray(input) && typeof input[0] !== "number" ? input.length : 1;
  const numbers = Array.isArray(response) ? response : [0, 0, 0];
  const embedding =
    call.body["encoding_format"] === "base64"
      ? Buffer.from(new Float32Array(numbers.map(Number)).buffer).toString("base64")
      : numbers;
  return {
    object: "list",
    model: deployment.upstreamModel,
    data: Array.from({ length: count }, (_, index) => ({ object: "embedding", index, embedding })),
    usage: { prompt_tokens: 10, total_tokens: 10 },
  };
}

function streamed(response: Json | undefined, request: UpstreamRequest): UpstreamReply {
  const breaks = typeof response === "string" && response.startsWith(breaksStream);
  const events = breaks ? brokenEvents(request) : chunksOf(chatOf(response, request));
  const pieces = events.map((event) => new TextEncoder().encode(`data: ${event}\n\n`));
  const dialect = dialects["openai-chat"];
  return {
    kind: "stream",
    dialect,
    passes: request.callerDialect.name === dialect.name,
    read: () => Promise.resolve(pieces.shift()),
    close: () => void pieces.splice(0),
  };
}

/** A whole reply as its stream: the role, a word at a time, the end, what was used. */
function chunksOf({ id, created, model, choices }: JsonObject): string[] {
  const base = { id: id ?? "chatcmpl-mock", object: "chat.completion.chunk", created, model };
  const chunk = (index: number, delta: JsonObject, finish: Json = null) =>
    JSON.stringify({ ...base, choices: [{ index, delta, finish_reason: finish }] });
  const events: string[] = [];
  for (const choice of Array.isArray(choices) ? choices.filter(isObject) : []) {
    const index = Number(choice["index"] ?? 0);
    const message = isObject(choice["message"]) ? choice["message"] : {};
    const { content, tool_calls: calls } = message;
    events.push(chunk(index, { role: "assistant", content: "" }));
    const text = typeof content === "string" ? content : "";
    for (const word of text.match(/\s*\S+\s*$|\s*\S+/g) ?? []) {
      events.push(chunk(index, { content: word }));
    }
    if (Array.isArray(calls)) {
      const numbered = calls.map((call: Json, i) =>
        isObject(call) ? { index: i, ...call } : call,
      );
      events.push(chunk(index, { tool_calls: numbered }));
    }
    events.push(chunk(index, {}, choice["finish_reason"] ?? "stop"));
  }
  return [...events, JSON.stringify({ ...base, choices: [], usage }), "[DONE]"];
}

function brokenEvents(request: UpstreamRequest): string[] {
  const [role = "", word = ""] = chunksOf(chatOf("This breaks", request));
  const error = { message: "this is a mock error in a stream", type: "server_error", code: "500" };
  return [role, word, JSON.stringify({ error })];
}
