/** Whole replies of Ollama's chat. */
import type { ChatReply } from "../../domain/chat.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import {
  ChatResponse,
  createdOf,
  toCalls,
  toFinishReason,
  toLogprobs,
  toWireUsage,
} from "./wire.ts";

/** @throws GatewayError upstream_invalid */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  const { message, model, done_reason: reason } = decodeWire(ChatResponse, body, "chat response");
  const calls = toCalls(message.tool_calls, context);
  const usage = toWireUsage(body);
  const { content, thinking } = message;
  return {
    id: `chatcmpl-${context.callId ?? ""}`,
    object: "chat.completion",
    created: createdOf(body, context),
    model: model ?? context.model ?? "",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: content || (calls.length > 0 ? null : ""),
          ...(thinking ? { reasoning_content: thinking } : {}),
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
        },
        finish_reason: toFinishReason(reason, calls.length > 0),
        ...toLogprobs(body),
      },
    ],
    ...(usage ? { usage } : {}),
  };
}

export function finishReasonOf(reply: JsonObject): string | undefined {
  const { done, done_reason: reason, message } = reply;
  if (done !== true) return undefined;
  const calls = isObject(message) ? message["tool_calls"] : undefined;
  const hasCalls = Array.isArray(calls) && calls.length > 0;
  return toFinishReason(typeof reason === "string" ? reason : undefined, hasCalls);
}
