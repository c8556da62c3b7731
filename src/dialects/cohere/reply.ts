/** Whole replies of Cohere's chat. */
import type { ChatReply, ToolCall } from "../../domain/chat.ts";
import type { JsonObject } from "../../domain/json.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { assertFinished } from "./errors.ts";
import { type Call, ChatResponse, toFinishReason, toLogprobs, toWireUsage } from "./wire.ts";

/** @throws GatewayError upstream_invalid, and what the reply says that it failed of */
export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  const reply = decodeWire(ChatResponse, body, "chat response");
  const { message, finish_reason: reason } = reply;
  assertFinished(reason, undefined);
  const blocks = message.content ?? [];
  const content = blocks.map(({ text }) => text ?? "").join("");
  const thoughts = blocks.map(({ thinking }) => thinking ?? "").join("");
  // The plan before calls is reasoning: models that think say it there instead.
  const reasoning = thoughts || (message.tool_plan ?? "");
  const calls = (message.tool_calls ?? []).map(toCall);
  const usage = toWireUsage(body["usage"]);
  return {
    id: reply.id ?? `chatcmpl-${context.callId ?? ""}`,
    object: "chat.completion",
    created: context.createdS ?? 0,
    model: context.model ?? "",
    choices: [
      {
        index: 0,
        message: {
          role: "assistant",
          content: content || (calls.length > 0 ? null : ""),
          ...(reasoning ? { reasoning_content: reasoning } : {}),
          ...(calls.length > 0 ? { tool_calls: calls } : {}),
          ...(message.citations?.length
            ? { provider_specific_fields: { citations: message.citations as JsonObject[] } }
            : {}),
        },
        finish_reason: toFinishReason(reason),
        ...toLogprobs(body["logprobs"]),
      },
    ],
    ...(usage ? { usage } : {}),
  };
}

export function toCall({ id, function: called }: Call): ToolCall {
  return {
    id: id ?? "",
    type: "function",
    function: { name: called?.name ?? "", arguments: called?.arguments || "{}" },
  };
}

export function finishReasonOf(reply: JsonObject): string | undefined {
  const reason = reply["finish_reason"];
  return typeof reason === "string" ? toFinishReason(reason) : undefined;
}
