/**
 * Smaller services that speak OpenAI's chat dialect and differ in their address and key alone.
 * Source: LiteLLM 1.110.2 (MIT), its openai_like/providers.json and the chat classes of its providers:
 * bases, names of variables, and which
 * of them know only the older name of a parameter. A service worth more than a row goes to
 * compatible.ts.
 */

import { dialects } from "../dialects/registry.ts";
import { flattenText, rename } from "./adapt.ts";
import { defineProvider, type Provider } from "./provider.ts";

type Row = readonly [name: string, baseUrl: string, keyEnv: string, baseUrlEnv: string];

/** These know `max_tokens` only. */
const olderRows: readonly Row[] = [
  ["publicai", "https://api.publicai.co/v1", "PUBLICAI_API_KEY", "PUBLICAI_API_BASE"],
  ["xiaomi_mimo", "https://api.xiaomimimo.com/v1", "XIAOMI_MIMO_API_KEY", ""],
  ["synthetic", "https://api.synthetic.new/openai/v1", "SYNTHETIC_API_KEY", ""],
  ["apertis", "https://api.stima.tech/v1", "STIMA_API_KEY", ""],
  ["nano-gpt", "https://nano-gpt.com/api/v1", "NANOGPT_API_KEY", ""],
  ["poe", "https://api.poe.com/v1", "POE_API_KEY", ""],
  ["chutes", "https://llm.chutes.ai/v1", "CHUTES_API_KEY", ""],
  ["llamagate", "https://api.llamagate.dev/v1", "LLAMAGATE_API_KEY", ""],
  ["crusoe", "https://api.inference.crusoecloud.com/v1", "CRUSOE_API_KEY", "CRUSOE_API_BASE"],
  ["neosantara", "https://api.neosantara.xyz/v1", "NEOSANTARA_API_KEY", "NEOSANTARA_API_BASE"],
  [
    "tensormesh",
    "https://serverless.tensormesh.ai/v1",
    "TENSORMESH_INFERENCE_API_KEY",
    "TENSORMESH_SERVERLESS_BASE_URL",
  ],
  ["libertai", "https://api.libertai.io/v1", "LIBERTAI_API_KEY", "LIBERTAI_API_BASE"],
  ["empiriolabs", "https://api.empiriolabs.ai/v1", "EMPIRIOLABS_API_KEY", "EMPIRIOLABS_API_BASE"],
  ["pinstripes", "https://pinstripes.io/v1", "PINSTRIPES_API_KEY", "PINSTRIPES_API_BASE"],
  ["scx-ai", "https://api.scx.ai/v1", "SCX_API_KEY", "SCX_API_BASE"],
];

const newerRows: readonly Row[] = [
  ["ai21", "https://api.ai21.com/studio/v1", "AI21_API_KEY", "AI21_API_BASE"],
  [
    "featherless_ai",
    "https://api.featherless.ai/v1",
    "FEATHERLESS_AI_API_KEY",
    "FEATHERLESS_API_BASE",
  ],
  ["lambda_ai", "https://api.lambda.ai/v1", "LAMBDA_API_KEY", "LAMBDA_API_BASE"],
  ["minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY", "MINIMAX_API_BASE"],
  ["morph", "https://api.morphllm.com/v1", "MORPH_API_KEY", "MORPH_API_BASE"],
  ["nscale", "https://inference.api.nscale.com/v1", "NSCALE_API_KEY", "NSCALE_API_BASE"],
  ["ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "OVHCLOUD_API_KEY", ""],
  ["v0", "https://api.v0.dev/v1", "V0_API_KEY", ""],
  ["helicone", "https://ai-gateway.helicone.ai", "HELICONE_API_KEY", ""],
  ["veniceai", "https://api.venice.ai/api/v1", "VENICE_AI_API_KEY", ""],
  ["scaleway", "https://api.scaleway.ai/v1", "SCW_SECRET_KEY", ""],
  ["zerogpu", "https://api.zerogpu.ai/v1", "ZEROGPU_API_KEY", "ZEROGPU_API_BASE"],
  ["abliteration", "https://api.abliteration.ai/v1", "ABLITERATION_API_KEY", ""],
  ["gmi", "https://api.gmi-serving.com/v1", "GMI_API_KEY", ""],
  ["aihubmix", "https://aihubmix.com/v1", "AIHUBMIX_API_KEY", "AIHUBMIX_API_BASE"],
  ["aiand", "https://api.aiand.com/v1", "AIAND_API_KEY", "AIAND_API_BASE"],
  ["parasail", "https://api.parasail.io/v1", "PARASAIL_API_KEY", "PARASAIL_API_BASE"],
  ["meta", "https://api.meta.ai/v1", "META_API_KEY", "META_API_BASE"],
  ["cognition", "https://api.cognition.ai/v1", "COGNITION_API_KEY", "COGNITION_API_BASE"],
  [
    "coralbricks",
    "https://inference.coralbricks.ai/v1",
    "CORALBRICKS_API_KEY",
    "CORALBRICKS_API_BASE",
  ],
  ["cortecs", "https://api.cortecs.ai/v1", "CORTECS_API_KEY", "CORTECS_API_BASE"],
  ["prism", "https://api.prisminference.com/v1", "PRISM_API_KEY", "PRISM_API_BASE"],
  [
    "hostinger_router",
    "https://router.hostinger.com/v1",
    "HOSTINGER_ROUTER_API_KEY",
    "HOSTINGER_ROUTER_API_BASE",
  ],
  ["sail", "https://api.sailresearch.com/v1", "SAIL_API_KEY", "SAIL_API_BASE"],
  ["reka", "https://api.reka.ai/v1", "REKA_API_KEY", "REKA_API_BASE"],
  ["openinfer", "https://api.openinfer.ai/v1", "OPENINFER_API_KEY", "OPENINFER_API_BASE"],
  [
    "inferenceapis",
    "https://api.inferenceapis.com/v1",
    "INFERENCEAPIS_API_KEY",
    "INFERENCEAPIS_API_BASE",
  ],
  ["refuseless", "https://api.refuseless.com/v1", "REFUSELESS_API_KEY", ""],
  ["kyma", "https://kymaapi.com/v1", "KYMA_API_KEY", ""],
  ["wally", "https://inference.runanywhere.ai/v1", "WALLY_API_KEY", "WALLY_API_BASE"],
];

const oldLimit = rename("max_completion_tokens", "max_tokens");

function toProvider(
  [name, baseUrl, keyEnv, baseUrlEnv]: Row,
  adapt: Provider["adapt"] = [],
): Provider {
  return defineProvider({
    name,
    dialect: dialects["openai-chat"],
    baseUrl,
    ...(baseUrlEnv ? { baseUrlEnv: [baseUrlEnv] } : {}),
    auth: { kind: "bearer", env: [keyEnv] },
    paths: { chat: "/chat/completions", embedding: "/embeddings" },
    // Public AI takes content only as one string.
    adapt: name === "publicai" ? [...adapt, flattenText] : adapt,
    source: "https://docs.litellm.ai/docs/providers",
  });
}

export const openaiLike: readonly Provider[] = [
  ...olderRows.map((row) => toProvider(row, [oldLimit])),
  ...newerRows.map((row) => toProvider(row)),
];
