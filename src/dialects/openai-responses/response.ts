/** The response object: what was answered, and what was asked, repeated as OpenAI repeats it. */
import type { WireUsage } from "../../domain/chat.ts";
import type { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Answer } from "../dialect.ts";
import { listOf, toResponseId } from "./wire.ts";

export interface ResponseParts {
  readonly id: string;
  readonly createdS: number;
  readonly model: string;
  readonly status: "queued" | "in_progress" | "completed" | "incomplete" | "failed" | "cancelled";
  readonly output: readonly JsonObject[];
  readonly usage?: WireUsage | undefined;
  readonly error?: { readonly code: string; readonly message: string };
  readonly incomplete?: "max_output_tokens" | "content_filter";
  readonly serviceTier?: Json | undefined;
}

/** @param answer the caller's own body is echoed from it */
export function toResponse(parts: ResponseParts, answer: Answer | undefined): JsonObject {
  const body = answer?.body ?? {};
  return {
    id: parts.id,
    object: "response",
    created_at: answer?.createdS ?? parts.createdS,
    status: parts.status,
    background: body["background"] ?? false,
    error: parts.error ? { ...parts.error } : null,
    incomplete_details: parts.incomplete ? { reason: parts.incomplete } : null,
    instructions: body["instructions"] ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    max_tool_calls: body["max_tool_calls"] ?? null,
    model: parts.model,
    output: parts.output,
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    previous_response_id: body["previous_response_id"] ?? null,
    reasoning: echoReasoning(body["reasoning"]),
    service_tier: parts.serviceTier ?? "default",
    store: body["store"] ?? true,
    temperature: body["temperature"] ?? 1,
    text: echoText(body["text"]),
    tool_choice: body["tool_choice"] ?? "auto",
    tools: listOf(body["tools"]).map(echoTool),
    top_logprobs: body["top_logprobs"] ?? 0,
    top_p: body["top_p"] ?? 1,
    truncation: body["truncation"] ?? "disabled",
    ...(parts.usage ? { usage: encodeUsage(parts.usage) } : {}),
    metadata: body["metadata"] ?? {},
    ...echoed(body, ["user", "safety_identifier", "prompt_cache_key"]),
    ...answer?.echo,
  };
}

/** The id that a call's response has, or would have. */
export const responseIdFor = (answer: Answer | undefined, upstreamId: string): string =>
  answer ? toResponseId(answer.callId) : `resp_${upstreamId}`;

function echoed(body: JsonObject, keys: readonly string[]): JsonObject {
  const found = keys.filter((key) => body[key] !== undefined && body[key] !== null);
  return Object.fromEntries(found.map((key) => [key, body[key]]));
}

function echoReasoning(sent: Json | undefined): JsonObject {
  return { effort: null, summary: null, ...(isObject(sent) ? sent : {}) };
}

function echoText(sent: Json | undefined): JsonObject {
  return { format: { type: "text" }, ...(isObject(sent) ? sent : {}) };
}

function echoTool(tool: Json): Json {
  if (!isObject(tool)) return tool;
  if (tool["type"] === "mcp") {
    const { headers: _, authorization: __, ...shown } = tool; // the caller's secrets, not kept either
    return shown;
  }
  if (tool["type"] !== "function") return tool;
  return { ...tool, parameters: tool["parameters"] ?? null, strict: tool["strict"] ?? false };
}

const whole = (value: unknown) => (typeof value === "number" && value > 0 ? value : 0);

export function encodeUsage(usage: WireUsage): JsonObject {
  const { prompt_tokens_details: input, completion_tokens_details: output } = usage;
  const cached = whole(input?.["cached_tokens"]) || whole(usage["prompt_cache_hit_tokens"]);
  return {
    input_tokens: usage.prompt_tokens,
    input_tokens_details: {
      cached_tokens: cached,
      cache_write_tokens: whole(usage["cache_creation_input_tokens"]),
    },
    output_tokens: usage.completion_tokens,
    output_tokens_details: { reasoning_tokens: whole(output?.["reasoning_tokens"]) },
    total_tokens: usage.total_tokens,
    ...(usage["cost"] === undefined ? {} : { cost: usage["cost"] }),
  };
}

/** A response's usage in chat's words; none where it has none. */
export function decodeUsage(usage: Json | undefined): WireUsage | undefined {
  if (!isObject(usage) || typeof usage["input_tokens"] !== "number") return undefined;
  const input = isObject(usage["input_tokens_details"]) ? usage["input_tokens_details"] : {};
  const output = isObject(usage["output_tokens_details"]) ? usage["output_tokens_details"] : {};
  const written = whole(input["cache_write_tokens"]);
  const said = whole(usage["output_tokens"]);
  return {
    prompt_tokens: usage["input_tokens"],
    completion_tokens: said,
    total_tokens: usage["input_tokens"] + said,
    prompt_tokens_details: { cached_tokens: whole(input["cached_tokens"]) },
    completion_tokens_details: { reasoning_tokens: whole(output["reasoning_tokens"]) },
    ...(written ? { cache_creation_input_tokens: written } : {}),
  };
}

/** A failure in the few words that a response's `error.code` knows. */
export function toResponseError(error: GatewayError): { code: string; message: string } {
  if (error.code === "rate_limited") {
    return { code: "rate_limit_exceeded", message: error.message };
  }
  const code = error.row.fault === "caller" ? "invalid_prompt" : "server_error";
  return { code, message: error.message };
}

/** What a finish reason makes of a response. */
export function statusFor(
  finishReason: string | null | undefined,
): Pick<ResponseParts, "status" | "incomplete"> {
  if (finishReason === "length") return { status: "incomplete", incomplete: "max_output_tokens" };
  if (finishReason === "content_filter") {
    return { status: "incomplete", incomplete: "content_filter" };
  }
  return { status: "completed" };
}
