/** Every service we can call, and those that LiteLLM can and we cannot yet. */
import { anthropic } from "./anthropic.ts";
import { azure } from "./azure.ts";
import { bedrock } from "./bedrock.ts";
import { cohere } from "./cohere.ts";
import { compatible } from "./compatible.ts";
import { gemini } from "./gemini.ts";
import { codestral, mistral } from "./mistral.ts";
import { ollama } from "./ollama.ts";
import { openai, textCompletionOpenai } from "./openai.ts";
import { openaiLike } from "./openai-like.ts";
import type { Provider } from "./provider.ts";
import { rerankers } from "./rerankers.ts";
import {
  vertex,
  vertexAnthropic,
  vertexContentEmbedding,
  vertexEmbedding,
  vertexEndpoint,
  vertexGeminiEmbedding,
  vertexOpen,
} from "./vertex.ts";

export const providers: readonly Provider[] = [
  openai,
  textCompletionOpenai,
  anthropic,
  gemini,
  vertex,
  vertexAnthropic,
  vertexEndpoint,
  vertexOpen,
  vertexEmbedding,
  vertexGeminiEmbedding,
  vertexContentEmbedding,
  azure,
  bedrock,
  cohere,
  mistral,
  codestral,
  ollama,
  ...rerankers,
  ...compatible,
  ...openaiLike,
];

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
  ...["agentcore", "ai21_chat", "aiml", "aleph_alpha", "amazon_nova", "anyscale"],
  ...["assemblyai", "auto_router", "aws_polly", "azure_ai", "azure_text", "bytez"],
  ...[
    "bedrock/agent",
    "bedrock/agentcore",
    "bedrock/async_invoke",
    "bedrock/openai",
    "bedrock_mantle",
    "bigmodel",
    "black_forest_labs",
    "chatgpt",
    "clarifai",
  ],
  ...["cloudflare", "cometapi", "compactifai", "databricks", "datarobot", "deepgram"],
  ...["elevenlabs", "empower", "exa_ai", "fal_ai", "firecrawl", "galadriel"],
  ...["gigachat", "github_copilot", "gradient_ai", "heroku", "inception"],
  ...["langgraph", "lemonade", "maritalk", "milvus", "nlp_cloud"],
  ...["oci", "oobabooga", "opencode_go", "palm", "petals", "predibase"],
  ...["ragflow", "recraft", "replicate", "runwayml", "sagemaker", "sagemaker_chat", "sap"],
  ...["sarvam", "searxng", "snowflake", "soniox", "stability", "tavily", "tencent", "topaz"],
  ...["triton", "watsonx", "watsonx_text", "xinference"],
]);
