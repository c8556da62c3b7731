/** Every wire format, by name. */
import { anthropic } from "./anthropic/dialect.ts";
import { bedrockConverse } from "./bedrock-converse/dialect.ts";
import { cohere } from "./cohere/dialect.ts";
import type {
  Dialect,
  DialectName,
  NarrowDialectName,
  ProviderDialect,
  ProviderDialectName,
  WideDialect,
} from "./dialect.ts";
import { gemini } from "./gemini/dialect.ts";
import { ollama } from "./ollama/dialect.ts";
import { openaiChat } from "./openai-chat/dialect.ts";
import { openaiCompletions } from "./openai-completions/dialect.ts";
import { openaiResponses } from "./openai-responses/dialect.ts";

export const dialects: Readonly<Record<DialectName, WideDialect>> = {
  "openai-chat": openaiChat,
  "openai-responses": openaiResponses,
  anthropic,
  gemini,
};

/** Those that a caller may speak. */
export const callerDialects: Readonly<Record<DialectName | NarrowDialectName, Dialect>> = {
  ...dialects,
  "openai-completions": openaiCompletions,
};

/** Those that only providers speak. */
export const providerDialects: Readonly<Record<ProviderDialectName, ProviderDialect>> = {
  "bedrock-converse": bedrockConverse,
  cohere,
  ollama,
};
