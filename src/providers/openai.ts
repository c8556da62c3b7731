/** OpenAI's own API. Source: https://platform.openai.com/docs/api-reference */
import { isOpenaiReasoner } from "../dialects/openai-chat/models.ts";
import { callerDialects, dialects } from "../dialects/registry.ts";
import { dropGoogleExtras, dropInMessages, dropUnlessOne, rename, when } from "./adapt.ts";
import { defineProvider } from "./provider.ts";

export const allPaths = {
  chat: "/chat/completions",
  completion: "/completions",
  embedding: "/embeddings",
  moderation: "/moderations",
  image_generation: "/images/generations",
  image_edit: "/images/edits",
  image_variation: "/images/variations",
  audio_speech: "/audio/speech",
  audio_transcription: "/audio/transcriptions",
  audio_translation: "/audio/translations",
  realtime: "/realtime?model={model}",
} as const;

export const openai = defineProvider({
  name: "openai",
  dialect: dialects["openai-chat"],
  baseUrl: "https://api.openai.com/v1",
  baseUrlEnv: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
  auth: { kind: "bearer", env: ["OPENAI_API_KEY"] },
  paths: { ...allPaths, responses: "/responses", compaction: "/responses/compact" },
  // The few of OpenAI's own that do; at other addresses under this prefix nobody knows.
  completes: (model) => /^(gpt-3\.5-turbo-instruct|davinci-002|babbage-002)/.test(model),
  embedsTokens: true,
  embeddingBatch: 2048,
  adapt: [
    // Reasoning models answer 400 to the old name.
    when(isOpenaiReasoner, rename("max_tokens", "max_completion_tokens")),
    // ... and to sampling parameters.
    when(isOpenaiReasoner, dropUnlessOne("temperature", "top_p")),
    // A conversation that another provider began may hold it; OpenAI has no such field.
    when((model) => /^(gpt-|o[1-9]|chatgpt-)/.test(model), dropInMessages("reasoning_content")),
    when((model) => /^(gpt-|o[1-9]|chatgpt-)/.test(model), dropGoogleExtras),
  ],
  source: "https://platform.openai.com/docs/api-reference",
});

/** LiteLLM's prefix for OpenAI's models that complete text and do not chat. */
export const textCompletionOpenai = defineProvider({
  ...openai,
  name: "text-completion-openai",
  dialect: callerDialects["openai-completions"],
  paths: { chat: "/completions", completion: "/completions" },
  completes: () => true,
  adapt: [],
});
