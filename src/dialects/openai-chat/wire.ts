/**
 * OpenAI's chat API as far as we read it. Compatible servers leave much out and send null for it, so
 * all is optional; what is there must be of its type. Source:
 * https://platform.openai.com/docs/api-reference/chat/object
 */
import { type TSchema, Type } from "@sinclair/typebox";

const optional = <T extends TSchema>(schema: T) => Type.Optional(Type.Union([schema, Type.Null()]));

const said = {
  content: optional(Type.Union([Type.String(), Type.Array(Type.Object({}))])),
  refusal: optional(Type.String()),
  reasoning_content: optional(Type.String()),
  thinking_blocks: optional(Type.Array(Type.Object({}))),
};

const called = optional(
  Type.Object({
    name: optional(Type.String()),
    // Some servers send the object itself.
    arguments: optional(Type.Union([Type.String(), Type.Object({})])),
  }),
);

const calls = optional(
  Type.Array(
    Type.Object({
      index: optional(Type.Number()),
      id: optional(Type.String()),
      function: called,
    }),
  ),
);

const choice = {
  index: optional(Type.Number()),
  finish_reason: optional(Type.String()),
};

export const Completion = Type.Object({
  choices: Type.Array(
    Type.Object({ ...choice, message: Type.Object({ ...said, tool_calls: calls }) }),
  ),
});

export const Chunk = Type.Object({
  choices: Type.Array(
    Type.Object({ ...choice, delta: optional(Type.Object({ ...said, tool_calls: calls })) }),
  ),
});
