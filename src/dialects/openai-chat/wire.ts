/**
 * OpenAI's chat API as far as we read it. Compatible servers leave much out, so nearly all is
 * optional. Source: https://platform.openai.com/docs/api-reference/chat/object
 */
import { Type } from "@sinclair/typebox";

export const WireUsageSchema = Type.Object({
  prompt_tokens: Type.Number(),
  completion_tokens: Type.Optional(Type.Number()), // absent at some servers when nothing was said
});

export const Completion = Type.Object({
  choices: Type.Array(
    Type.Object({
      message: Type.Object({}),
      finish_reason: Type.Optional(Type.Union([Type.String(), Type.Null()])),
    }),
  ),
});

export const Chunk = Type.Object({
  choices: Type.Array(Type.Object({ delta: Type.Optional(Type.Object({})) })),
});
