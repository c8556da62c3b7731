/** Models, deployments and what they can do. Words as in DESIGN: group, deployment, candidate. */
import type { JsonObject } from "./json.ts";
import type { Price } from "./usage.ts";

export type Operation = "chat" | "embedding";
export type Capability = "tools" | "vision" | "json_schema" | "audio" | "reasoning";

/** What is known of an underlying model: from the catalog, with the operator's `model_info` on top. */
export interface ModelFacts {
  readonly price?: Price;
  readonly maxInputTokens?: number;
  readonly maxOutputTokens?: number;
  /** Missing means unknown, and an unknown capability never filters a candidate out. */
  readonly capabilities?: Readonly<Partial<Record<Capability, boolean>>>;
  /** Billions of parameters, where published: `llmrouter-smallest`, `-largest`. */
  readonly sizeB?: number;
}

/** One entry of `model_list`, resolved: a model at a provider, with a key. */
export interface Deployment {
  /** `model_info.id`, else a hash of the sorted litellm_params; stable over restarts. */
  readonly id: string;
  /** `model_name`: what callers ask for. */
  readonly group: string;
  /** `litellm_params.model`, prefix included: the candidate's name. */
  readonly candidate: string;
  /** Registry name of the provider: "openai", "anthropic", "groq" … */
  readonly provider: string;
  /** The name the provider knows the model by (no prefix). */
  readonly upstreamModel: string;
  readonly apiBase: string;
  readonly apiKey?: string;
  /** `configured`: the operator wrote the base, so it may be private; `catalog`: ours. */
  readonly operation: Operation;
  readonly facts: ModelFacts;
  readonly weight?: number;
  readonly rpm?: number;
  readonly tpm?: number;
  readonly order?: number;
  readonly maxParallelRequests?: number;
  readonly timeoutMs?: number;
  readonly streamTimeoutMs?: number;
  readonly numRetries?: number;
  readonly cooldownS?: number;
  readonly tags?: readonly string[];
  /** Sent with every request: `extra_headers`, `headers`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Default body fields: unknown `litellm_params`, `extra_body`. The caller's own win. */
  readonly body: JsonObject;
  readonly simulated?: boolean;
  /** Parameters that the model cannot take are left out instead of refused: `drop_params`. */
  readonly dropParams?: boolean;
}

/** `anthropic/claude-x` → `claude-x`; a name without prefix stays. */
export function withoutPrefix(candidate: string): string {
  const slash = candidate.indexOf("/");
  return slash < 0 ? candidate : candidate.slice(slash + 1);
}
