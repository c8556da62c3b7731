/** OpenAI's own API. Source: https://platform.openai.com/docs/api-reference */
import { isOpenaiReasoner } from "../dialects/openai-chat/models.ts";
import { dialects } from "../dialects/registry.ts";
import { dropInMessages, dropUnlessOne, rename, when } from "./adapt.ts";
import { defineProvider } from "./provider.ts";

export const openai = defineProvider({
  name: "openai",
  dialect: dialects["openai-chat"],
  baseUrl: "https://api.openai.com/v1",
  baseUrlEnv: ["OPENAI_BASE_URL", "OPENAI_API_BASE"],
  auth: { kind: "bearer", env: ["OPENAI_API_KEY"] },
  paths: { chat: "/chat/completions", embedding: "/embeddings" },
  adapt: [
    // Reasoning models answer 400 to the old name.
    when(isOpenaiReasoner, rename("max_tokens", "max_completion_tokens")),
    // ... and to sampling parameters.
    when(isOpenaiReasoner, dropUnlessOne("temperature", "top_p")),
    // A conversation that another provider began may hold it; OpenAI has no such field.
    when((model) => /^(gpt-|o[1-9]|chatgpt-)/.test(model), dropInMessages("reasoning_content")),
  ],
  source: "https://platform.openai.com/docs/api-reference",
});
