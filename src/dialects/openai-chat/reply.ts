/** Whole replies: ours are OpenAI's, so that reading is checking, and writing nothing. */
import {
  type ChatReply,
  fromWireUsage,
  type SentUsage,
  type WireUsage,
} from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Usage } from "../../domain/usage.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError, isError } from "./errors.ts";
import { Completion } from "./wire.ts";

/** @throws GatewayError upstream_invalid, or the error that some servers send with status 200. */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  if (isError(body)) throw decodeStreamError(body);
  const completion = decodeWire(Completion, body, "chat completion");
  if (completion.choices.length === 0) {
    throw new GatewayError(
      "upstream_invalid",
      "The provider sent a chat completion without choices.",
    );
  }
  const reply = {
    ...body,
    id: typeof body["id"] === "string" ? body["id"] : "",
    object: "chat.completion",
    created: typeof body["created"] === "number" ? body["created"] : (context.createdS ?? 0),
    model: typeof body["model"] === "string" ? body["model"] : "",
    choices: completion.choices.map((choice: JsonObject, i) => ({
      ...choice,
      index: typeof choice["index"] === "number" ? choice["index"] : i,
      finish_reason: choice["finish_reason"] ?? null,
      message: toMessage(choice["message"]),
    })),
    ...usageField(body["usage"]),
  };
  return reply as unknown as ChatReply; // checked above as far as we read it
}

/** What OpenAI's replies always have, null where there is nothing to say: strict clients look for it. */
export function encodeReply(reply: ChatReply): ChatReply {
  const choices = reply.choices.map((choice) => {
    const { message, logprobs = null } = choice;
    const { content = null, refusal = null } = message;
    return { ...choice, logprobs, message: { ...message, content, refusal } };
  });
  return { ...reply, choices };
}

/** Calls with an id and with arguments as text, however the server sent them. */
function toMessage(sent: unknown): JsonObject {
  const message = withReasoning(sent);
  const calls = message["tool_calls"];
  if (!Array.isArray(calls)) return message;
  const fixed = calls.filter(isObject).map((call, i) => {
    const { function: called } = withTextArguments(call);
    return {
      ...call,
      id: call["id"] ?? `call_${i}`,
      type: call["type"] ?? "function",
      function: called,
    };
  });
  return { ...message, tool_calls: fixed };
}

/** A tool call, whole or a piece of one, whose arguments are text. */
export function withTextArguments(call: JsonObject): JsonObject {
  const called = isObject(call["function"]) ? call["function"] : {};
  const args = called["arguments"];
  if (isObject(args)) return { ...call, function: { ...called, arguments: JSON.stringify(args) } };
  return { ...call, function: called };
}

/** vLLM, Groq and OpenRouter say `reasoning` for what DeepSeek and LiteLLM call `reasoning_content`. */
export function withReasoning(message: unknown): JsonObject {
  if (!isObject(message)) return {};
  const { reasoning } = message;
  if (typeof reasoning !== "string" || message["reasoning_content"] !== undefined) return message;
  return { ...message, reasoning_content: reasoning };
}

function usageField(usage: unknown): JsonObject {
  const read = readUsage(usage);
  return read ? { usage: read } : { usage: undefined };
}

/** A `usage` object with its sums in place; null and what is no usage give none. */
export function readUsage(usage: unknown): WireUsage | undefined {
  if (!isWireUsage(usage)) return undefined;
  const completion = usage.completion_tokens ?? 0;
  return {
    ...(usage as JsonObject),
    prompt_tokens: usage.prompt_tokens,
    completion_tokens: completion,
    total_tokens: usage.prompt_tokens + completion,
  };
}

/** By hand: every reply passes here, and walking a schema costs more than all the rest of reading it. */
function isWireUsage(usage: unknown): usage is SentUsage {
  if (!isObject(usage) || !Number.isFinite(usage["prompt_tokens"])) return false;
  const completion = usage["completion_tokens"];
  return completion === undefined || Number.isFinite(completion);
}

export function usageOf(reply: JsonObject): Usage | undefined {
  const usage = reply["usage"];
  return isWireUsage(usage) ? withService(fromWireUsage(usage), reply) : undefined;
}

/** Flex and priority have prices of their own. */
export function withService(usage: Usage, { service_tier: tier }: JsonObject): Usage {
  return tier === "flex" || tier === "priority" ? { ...usage, service: tier } : usage;
}

export function finishReasonOf(reply: JsonObject): string | undefined {
  const choices = reply["choices"];
  const first: unknown = Array.isArray(choices) ? choices[0] : undefined;
  const reason = isObject(first) ? first["finish_reason"] : undefined;
  return typeof reason === "string" ? reason : undefined;
}
