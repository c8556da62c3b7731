/** Every wire format, by name. */
import { anthropic } from "./anthropic/dialect.ts";
import type { Dialect, DialectName } from "./dialect.ts";
import { openaiChat } from "./openai-chat/dialect.ts";

export const dialects: Readonly<Record<DialectName, Dialect>> = {
  "openai-chat": openaiChat,
  anthropic,
};
