/** Whole answers: `text_completion` for `chat.completion`, and back. */
import { type TSchema, Type } from "@sinclair/typebox";
import type { ChatReply } from "../../domain/chat.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import { decodeWire } from "../decode-wire.ts";
import type { ReplyContext } from "../dialect.ts";
import { decodeStreamError, isError } from "../openai-chat/errors.ts";
import { readUsage } from "../openai-chat/reply.ts";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

export const TextCompletion = Type.Object({
  choices: Type.Array(
    Type.Object({
      text: optional(Type.String()),
      index: optional(Type.Number()),
      finish_reason: optional(Type.String()),
    }),
  ),
});

export function encodeReply(reply: ChatReply): JsonObject {
  return {
    id: toCompletionId(reply.id),
    object: "text_completion",
    created: reply.created,
    model: reply.model,
    choices: reply.choices.map(({ index, message, finish_reason }) => ({
      text: typeof message.content === "string" ? message.content : "",
      index,
      logprobs: null,
      // Some servers leave it out of a whole answer; OpenAI never does.
      finish_reason: toReason(finish_reason) ?? "stop",
    })),
    ...(reply["system_fingerprint"] ? { system_fingerprint: reply["system_fingerprint"] } : {}),
    ...(reply.usage ? { usage: reply.usage } : {}),
  };
}

/** OpenAI's completions end in one of three ways. */
export function toReason(reason: string | null | undefined): Json {
  if (reason === null || reason === undefined) return null;
  return reason === "length" || reason === "content_filter" ? reason : "stop";
}

export const toCompletionId = (id: string) =>
  id === "" ? id : id.replace(/^(chatcmpl-)?/, "cmpl-");

export function decodeReply(body: JsonObject, context: ReplyContext = {}): ChatReply {
  if (isError(body)) throw decodeStreamError(body);
  const { choices } = decodeWire(TextCompletion, body, "completion");
  if (choices.length === 0) {
    throw new GatewayError("upstream_invalid", "The provider sent a completion without choices.");
  }
  const usage = readUsage(body["usage"]);
  return {
    id: typeof body["id"] === "string" ? body["id"] : "",
    object: "chat.completion",
    created: typeof body["created"] === "number" ? body["created"] : (context.createdS ?? 0),
    model: typeof body["model"] === "string" ? body["model"] : "",
    choices: choices.map(({ text, index, finish_reason }, i) => ({
      index: index ?? i,
      message: { role: "assistant", content: text ?? "" },
      finish_reason: finish_reason ?? null,
    })),
    ...(usage ? { usage } : {}),
  };
}
