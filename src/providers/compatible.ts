/**
 * Services that speak OpenAI's chat dialect: a row each, and what they differ in.
 * Bases and the names of environment variables are those that LiteLLM reads, so that its users'
 * configuration works; each row's `source` is the service's own page.
 */
import { dialects } from "../dialects/registry.ts";
import type { Operation } from "../domain/model.ts";
import { dropInMessages, flattenText, rename } from "./adapt.ts";
import { allPaths } from "./openai.ts";
import { defineProvider, type Provider } from "./provider.ts";
import { jinaRerank } from "./rerankers.ts";

type Row = Pick<
  Provider,
  | "aliases"
  | "baseUrl"
  | "baseUrlEnv"
  | "toBase"
  | "toModel"
  | "adapt"
  | "fit"
  | "embeddingBatch"
  | "embedsTokens"
  | "source"
> & {
  readonly name: string;
  /** Environment names of the key; none: the service asks for no key. */
  readonly keys: readonly string[];
  readonly embeddings?: false;
  /** Operations beside chat and embeddings, at OpenAI's paths. */
  readonly also?: readonly Operation[];
  /** Any of its models completes text as well as it chats. */
  readonly completes?: true;
};

/** Servers that are not OpenAI's mostly know the older name only, and ignore what they do not know. */
const oldLimit = rename("max_completion_tokens", "max_tokens");

const everything: readonly Operation[] = [
  "moderation",
  "rerank",
  "image_generation",
  "image_edit",
  "image_variation",
  "audio_speech",
  "audio_transcription",
  "audio_translation",
];

const rows: readonly Row[] = [
  {
    name: "groq",
    baseUrl: "https://api.groq.com/openai/v1",
    baseUrlEnv: ["GROQ_API_BASE"],
    keys: ["GROQ_API_KEY"],
    embeddings: false,
    // Groq answers 400 to a message's field that it does not know.
    adapt: [dropInMessages("reasoning_content")],
    also: ["audio_transcription", "audio_translation", "audio_speech"],
    source: "https://console.groq.com/docs/api-reference",
  },
  {
    name: "together_ai",
    aliases: ["together"],
    baseUrl: "https://api.together.ai/v1",
    baseUrlEnv: ["TOGETHER_AI_API_BASE"],
    keys: ["TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_API_KEY", "TOGETHER_AI_TOKEN"],
    adapt: [oldLimit],
    completes: true,
    also: [
      "image_generation",
      "rerank",
      "audio_speech",
      "audio_transcription",
      "audio_translation",
    ],
    fit: { rerank: jinaRerank },
    source: "https://docs.together.ai/reference/chat-completions-1",
  },
  {
    name: "fireworks_ai",
    aliases: ["fireworks"],
    baseUrl: "https://api.fireworks.ai/inference/v1",
    baseUrlEnv: ["FIREWORKS_API_BASE"],
    keys: [
      "FIREWORKS_API_KEY",
      "FIREWORKS_AI_API_KEY",
      "FIREWORKSAI_API_KEY",
      "FIREWORKS_AI_TOKEN",
    ],
    // LiteLLM lets the account's path be left out.
    toModel: (model) =>
      /^accounts\/|[#/]/.test(model) ? model : `accounts/fireworks/models/${model}`,
    adapt: [oldLimit],
    completes: true,
    also: ["rerank"],
    fit: { rerank: jinaRerank },
    source: "https://docs.fireworks.ai/api-reference/post-chatcompletions",
  },
  {
    name: "deepseek",
    baseUrl: "https://api.deepseek.com/beta",
    baseUrlEnv: ["DEEPSEEK_API_BASE"],
    keys: ["DEEPSEEK_API_KEY"],
    embeddings: false,
    adapt: [oldLimit, flattenText],
    completes: true,
    source: "https://api-docs.deepseek.com/api/create-chat-completion",
  },
  {
    name: "openrouter",
    baseUrl: "https://openrouter.ai/api/v1",
    baseUrlEnv: ["OPENROUTER_API_BASE"],
    keys: ["OPENROUTER_API_KEY", "OR_API_KEY"],
    completes: true,
    source: "https://openrouter.ai/docs/api-reference/overview",
  },
  {
    name: "perplexity",
    baseUrl: "https://api.perplexity.ai",
    baseUrlEnv: ["PERPLEXITY_API_BASE"],
    keys: ["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
    embeddings: false,
    adapt: [oldLimit],
    source: "https://docs.perplexity.ai/api-reference/chat-completions-post",
  },
  {
    name: "xai",
    baseUrl: "https://api.x.ai/v1",
    baseUrlEnv: ["XAI_API_BASE"],
    keys: ["XAI_API_KEY"],
    embeddings: false,
    also: ["image_generation", "realtime"],
    source: "https://docs.x.ai/docs/api-reference",
  },
  {
    name: "cerebras",
    baseUrl: "https://api.cerebras.ai/v1",
    baseUrlEnv: ["CEREBRAS_API_BASE"],
    keys: ["CEREBRAS_API_KEY"],
    embeddings: false,
    source: "https://inference-docs.cerebras.ai/api-reference/chat-completions",
  },
  {
    name: "sambanova",
    baseUrl: "https://api.sambanova.ai/v1",
    baseUrlEnv: ["SAMBANOVA_API_BASE"],
    keys: ["SAMBANOVA_API_KEY"],
    adapt: [oldLimit],
    also: ["audio_transcription", "audio_translation"],
    source: "https://docs.sambanova.ai/docs/en/api-reference",
  },
  {
    name: "nvidia_nim",
    baseUrl: "https://integrate.api.nvidia.com/v1",
    baseUrlEnv: ["NVIDIA_NIM_API_BASE"],
    keys: ["NVIDIA_NIM_API_KEY"],
    adapt: [oldLimit],
    source: "https://docs.api.nvidia.com/nim/reference/llm-apis",
  },
  {
    name: "hosted_vllm",
    aliases: ["vllm"],
    baseUrlEnv: ["HOSTED_VLLM_API_BASE"],
    keys: ["HOSTED_VLLM_API_KEY"],
    completes: true,
    also: ["rerank", "audio_transcription", "audio_translation", "realtime"],
    fit: { rerank: jinaRerank },
    embedsTokens: true,
    source: "https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html",
  },
  {
    name: "lm_studio",
    baseUrl: "http://localhost:1234/v1",
    baseUrlEnv: ["LM_STUDIO_API_BASE"],
    keys: ["LM_STUDIO_API_KEY"],
    adapt: [oldLimit],
    completes: true,
    source: "https://lmstudio.ai/docs/app/api/endpoints/openai",
  },
  {
    name: "llamafile",
    baseUrl: "http://127.0.0.1:8080/v1",
    baseUrlEnv: ["LLAMAFILE_API_BASE"],
    keys: ["LLAMAFILE_API_KEY"],
    adapt: [oldLimit],
    completes: true,
    also: ["rerank"],
    fit: { rerank: jinaRerank },
    source: "https://github.com/Mozilla-Ocho/llamafile#json-api-quickstart",
  },
  {
    name: "docker_model_runner",
    baseUrl: "http://localhost:12434/engines/v1",
    baseUrlEnv: ["DOCKER_MODEL_RUNNER_API_BASE"],
    keys: ["DOCKER_MODEL_RUNNER_API_KEY"],
    adapt: [oldLimit],
    completes: true,
    source: "https://docs.docker.com/ai/model-runner/api-reference",
  },
  {
    name: "github",
    baseUrl: "https://models.inference.ai.azure.com",
    keys: ["GITHUB_API_KEY"],
    source: "https://docs.github.com/en/github-models/quickstart",
  },
  {
    name: "huggingface",
    baseUrl: "https://router.huggingface.co/v1",
    baseUrlEnv: ["HF_API_BASE", "HUGGINGFACE_API_BASE"],
    keys: ["HF_TOKEN", "HUGGINGFACE_API_KEY"],
    // LiteLLM writes provider/org/model; the router takes org/model:provider.
    toModel: (model) => model.replace(/^([^/]+)\/([^/]+\/[^/]+)$/, "$2:$1"),
    embeddings: false,
    adapt: [oldLimit],
    source: "https://huggingface.co/docs/inference-providers/tasks/chat-completion",
  },
  {
    name: "deepinfra",
    baseUrl: "https://api.deepinfra.com/v1/openai",
    baseUrlEnv: ["DEEPINFRA_API_BASE"],
    keys: ["DEEPINFRA_API_KEY"],
    adapt: [oldLimit],
    completes: true,
    also: ["image_generation", "audio_speech", "audio_transcription", "audio_translation"],
    source: "https://deepinfra.com/docs/openai_api",
  },
  {
    name: "moonshot",
    baseUrl: "https://api.moonshot.ai/v1",
    baseUrlEnv: ["MOONSHOT_API_BASE"],
    keys: ["MOONSHOT_API_KEY"],
    embeddings: false,
    adapt: [oldLimit],
    source: "https://platform.moonshot.ai/docs/api/chat",
  },
  {
    name: "dashscope",
    baseUrl: "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
    baseUrlEnv: ["DASHSCOPE_API_BASE"],
    keys: ["DASHSCOPE_API_KEY"],
    adapt: [oldLimit],
    embeddingBatch: 10,
    source:
      "https://www.alibabacloud.com/help/en/model-studio/compatibility-of-openai-with-dashscope",
  },
  {
    name: "zai",
    baseUrl: "https://api.z.ai/api/paas/v4",
    baseUrlEnv: ["ZAI_API_BASE"],
    keys: ["ZAI_API_KEY"],
    embeddings: false,
    adapt: [oldLimit],
    source: "https://docs.z.ai/api-reference/llm/chat-completion",
  },
  {
    name: "baseten",
    baseUrl: "https://inference.baseten.co/v1",
    baseUrlEnv: ["BASETEN_API_BASE"],
    keys: ["BASETEN_API_KEY"],
    embeddings: false,
    source: "https://docs.baseten.co/reference/inference-api/chat-completions",
  },
  {
    name: "nebius",
    baseUrl: "https://api.studio.nebius.ai/v1",
    baseUrlEnv: ["NEBIUS_API_BASE"],
    keys: ["NEBIUS_API_KEY"],
    adapt: [oldLimit],
    completes: true,
    also: ["image_generation"],
    source: "https://docs.studio.nebius.com/api-reference",
  },
  {
    name: "novita",
    baseUrl: "https://api.novita.ai/v3/openai",
    baseUrlEnv: ["NOVITA_API_BASE"],
    keys: ["NOVITA_API_KEY"],
    adapt: [oldLimit],
    completes: true,
    source: "https://novita.ai/docs/api-reference/model-apis-llm-create-chat-completion",
  },
  {
    name: "hyperbolic",
    baseUrl: "https://api.hyperbolic.xyz/v1",
    baseUrlEnv: ["HYPERBOLIC_API_BASE"],
    keys: ["HYPERBOLIC_API_KEY"],
    embeddings: false,
    adapt: [oldLimit],
    source: "https://docs.hyperbolic.xyz/docs/rest-api",
  },
  {
    name: "volcengine",
    baseUrl: "https://ark.cn-beijing.volces.com/api/v3",
    keys: ["VOLCENGINE_API_KEY", "ARK_API_KEY"],
    source: "https://www.volcengine.com/docs/82379/1494384",
  },
  {
    name: "meta_llama",
    baseUrl: "https://api.llama.com/compat/v1",
    baseUrlEnv: ["LLAMA_API_BASE"],
    keys: ["LLAMA_API_KEY"],
    embeddings: false,
    source: "https://llama.developer.meta.com/docs/features/compatibility",
  },
  {
    name: "friendliai",
    baseUrl: "https://api.friendli.ai/serverless/v1",
    keys: ["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
    embeddings: false,
    adapt: [oldLimit],
    source: "https://friendli.ai/docs/openapi/serverless/chat-completions",
  },
  {
    name: "vercel_ai_gateway",
    baseUrl: "https://ai-gateway.vercel.sh/v1",
    baseUrlEnv: ["VERCEL_AI_GATEWAY_API_BASE"],
    keys: ["VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"],
    source: "https://vercel.com/docs/ai-gateway/openai-compat",
  },
  {
    name: "wandb",
    baseUrl: "https://api.inference.wandb.ai/v1",
    baseUrlEnv: ["WANDB_API_BASE"],
    keys: ["WANDB_API_KEY"],
    embeddings: false,
    source: "https://docs.wandb.ai/inference",
  },
  {
    name: "litellm_proxy",
    baseUrlEnv: ["LITELLM_PROXY_API_BASE"],
    keys: ["LITELLM_PROXY_API_KEY"],
    completes: true,
    also: everything,
    embedsTokens: true,
    source: "https://docs.litellm.ai/docs/providers/litellm_proxy",
  },
  {
    name: "openai_like",
    aliases: ["custom_openai"],
    baseUrlEnv: ["OPENAI_LIKE_API_BASE"],
    keys: ["OPENAI_LIKE_API_KEY"],
    completes: true,
    also: everything,
    fit: { rerank: jinaRerank },
    embedsTokens: true,
    source: "https://docs.litellm.ai/docs/providers/openai_compatible",
  },
];

function pathsOf({ embeddings, also = [], completes }: Row): Provider["paths"] {
  const paths: Readonly<Record<string, string>> = { ...allPaths, rerank: "/rerank" };
  const served: Operation[] = [
    "chat",
    ...(completes ? (["completion"] as const) : []),
    ...(embeddings === false ? [] : (["embedding"] as const)),
    ...also,
  ];
  return Object.fromEntries(served.map((operation) => [operation, paths[operation]]));
}

export const compatible: readonly Provider[] = rows.map((row): Provider => {
  const { name, keys, embeddings: _, also: __, completes, ...rest } = row;
  return defineProvider({
    ...rest,
    name,
    dialect: dialects["openai-chat"],
    auth: { kind: "bearer", env: keys },
    paths: pathsOf(row),
    ...(completes ? { completes: () => true } : {}),
  });
});
