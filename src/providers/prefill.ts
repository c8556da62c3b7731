/**
 * Who goes on from the beginning of an answer that is given with the request, and how it is told to.
 * `model_info.supports_assistant_prefill` (LiteLLM's key) stands above the table.
 */
import type { JsonObject } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";

export interface Prefill {
  /** Fields of the last message, the assistant's. */
  readonly message?: JsonObject;
  /** Fields of the body. */
  readonly body?: JsonObject;
}

/** They go on from a last message of the assistant's as it is. */
const plain: Prefill = {};
const byProvider: Readonly<Record<string, Prefill>> = {
  // https://platform.claude.com/docs/en/build-with-claude/prompt-engineering/prefill-claudes-response
  anthropic: plain,
  vertex_ai_anthropic: plain,
  bedrock: plain,
  // https://console.groq.com/docs/prefilling
  groq: plain,
  // https://openrouter.ai/docs/api-reference/overview#assistant-prefill
  openrouter: plain,
  // Ollama's and llama.cpp's templates leave a last message of the assistant's open.
  ollama: plain,
  llamafile: plain,
  // https://docs.mistral.ai/capabilities/completion/usage (prefix)
  mistral: { message: { prefix: true } },
  // https://platform.moonshot.ai/docs/guide/use-partial-mode-feature-of-kimi-api
  moonshot: { message: { partial: true } },
  // https://www.alibabacloud.com/help/en/model-studio/partial-mode
  dashscope: { message: { partial: true } },
  // https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html (extra parameters)
  hosted_vllm: { body: { continue_final_message: true, add_generation_prompt: false } },
  // https://api-docs.deepseek.com/guides/chat_prefix_completion : under /beta alone
  deepseek: { message: { prefix: true } },
};

/** Claude 4.6 and later refuse it. Source: Anthropic's migration guide, "Prefill removal". */
const refusing =
  /claude-(?:opus|sonnet|haiku)-(?:4[-.](?:[6-9]|\d\d)(?!\d)|[5-9])|claude-[a-z]+-[5-9]/;
const claude = /claude/;

/** Undefined where a beginning would be answered, not continued. */
export function prefillOf({
  provider,
  upstreamModel,
  apiBase,
  info,
}: Deployment): Prefill | undefined {
  const known = Object.hasOwn(byProvider, provider) ? byProvider[provider] : undefined;
  const said = info?.["supports_assistant_prefill"];
  if (typeof said === "boolean") return said ? (known ?? plain) : undefined;
  if (!known || refusing.test(upstreamModel)) return undefined;
  if (provider === "bedrock" && !claude.test(upstreamModel)) return undefined;
  // A reseller's other models may or may not.
  if (provider === "openrouter" && /^openai\/|^google\//.test(upstreamModel)) return undefined;
  if (provider === "deepseek" && !apiBase.includes("/beta")) return undefined;
  return known;
}
