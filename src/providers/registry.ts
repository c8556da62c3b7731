/** Every service we can call, and those that LiteLLM can and we cannot yet. */
import { anthropic } from "./anthropic.ts";
import { compatible } from "./compatible.ts";
import { openai } from "./openai.ts";
import type { Provider } from "./provider.ts";

export const providers: readonly Provider[] = [openai, anthropic, ...compatible];

const byPrefix: ReadonlyMap<string, Provider> = new Map(
  providers.flatMap((provider) =>
    [provider.name, ...(provider.aliases ?? [])].map((prefix) => [prefix, provider] as const),
  ),
);

/** By name or alias, as written before the "/" of `litellm_params.model`. */
export function findProvider(prefix: string): Provider | undefined {
  return byPrefix.get(prefix);
}

/** Every prefix that is served. */
export const prefixes: readonly string[] = [...byPrefix.keys()];

/**
 * Prefixes that LiteLLM knows and we do not serve yet, so that a configuration that names one still
 * starts, with that deployment off and a warning. Source: LiteLLM's list of providers.
 */
export const notServedYet: ReadonlySet<string> = new Set([
  ...["ai21", "ai21_chat", "aiml", "aleph_alpha", "amazon_nova", "assemblyai", "auto_router"],
  ...["azure", "azure_ai", "azure_text", "bedrock", "bedrock_converse", "bytez", "chutes"],
  ...["clarifai", "cloudflare", "codestral", "cometapi", "compactifai", "databricks", "datarobot"],
  ...["deepgram", "elevenlabs", "empower", "exa_ai", "fal_ai", "featherless_ai", "firecrawl"],
  ...["galadriel", "gigachat", "github_copilot", "gradient_ai", "helicone", "heroku", "infinity"],
  ...["jina_ai", "lambda_ai", "langgraph", "lemonade", "maritalk", "milvus", "minimax", "morph"],
  ...["nlp_cloud", "nscale", "oci", "oobabooga", "ovhcloud", "palm", "petals", "poe", "predibase"],
  ...["publicai", "ragflow", "recraft", "replicate", "runwayml", "sagemaker", "sagemaker_chat"],
  ...["sap", "searxng", "snowflake", "stability", "tavily", "text-completion-openai", "topaz"],
  ...["text-completion-codestral", "triton", "v0", "venice", "veniceai", "vertex_ai"],
  ...["vertex_ai_beta", "voyage", "watsonx", "watsonx_text", "xinference", "xiaomi_mimo"],
]);
