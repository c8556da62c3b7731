/** Models, deployments and what they can do. Words as in DESIGN: group, deployment, candidate. */
import type { Json, JsonObject } from "./json.ts";
import type { Price } from "./usage.ts";

export const operations = [
  "chat",
  "completion",
  "responses",
  "embedding",
  "moderation",
  "rerank",
  "image_generation",
  "image_edit",
  "image_variation",
  "audio_speech",
  "audio_transcription",
  "audio_translation",
  "realtime",
  "compaction",
  "pass_through",
] as const;
export type Operation = (typeof operations)[number];

/** What a short-lived token is got for, where a service takes no key: Google's and Azure's. */
export type TokenGrant =
  | { readonly kind: "fixed"; readonly token: string }
  /** Credentials as Google's tools write them: the JSON itself, or the path of its file. */
  | {
      readonly kind: "google";
      readonly credentials: string;
      /** Where the machine's own account is asked for, if there are no credentials. */
      readonly metadataHost?: string;
    }
  | {
      readonly kind: "entra";
      readonly tokenUrl: string;
      readonly clientId: string;
      /** One of the two: a secret, or an identity by its reference (`oidc/github/…`). */
      readonly clientSecret?: string;
      readonly identity?: string;
      readonly scope: string;
    };

/** How requests are signed (AWS Signature Version 4), where a service takes no key. */
export interface AwsGrant {
  readonly region: string;
  /** The signing name: "bedrock". */
  readonly service: string;
  /** Missing: the profile's, else the default chain (environment, files, container, instance). */
  readonly keys?: AwsKeys;
  readonly profile?: string;
  /** Assumed with the keys above, or with the web identity. */
  readonly role?: {
    readonly arn: string;
    readonly sessionName: string;
    readonly externalId?: string;
  };
  /** A token, the path of its file, or LiteLLM's `oidc/env/NAME`, `oidc/file/PATH`. */
  readonly webIdentityToken?: string;
  /** Missing: the region's own. */
  readonly stsEndpoint?: string;
}

export interface AwsKeys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

export type Capability = "tools" | "vision" | "json_schema" | "audio" | "reasoning";

/** What is known of an underlying model: from the catalog, with the operator's `model_info` on top. */
export interface ModelFacts {
  /** What the model is for. Missing means unknown. */
  readonly mode?: Operation;
  readonly price?: Price;
  readonly maxInputTokens?: number;
  readonly maxOutputTokens?: number;
  /** Missing means unknown, and an unknown capability never filters a candidate out. */
  readonly capabilities?: Readonly<Partial<Record<Capability, boolean>>>;
  /** Billions of parameters, where published: `llmrouter-smallest`, `-largest`. */
  readonly sizeB?: number;
}

/** An answer in a provider's place: LiteLLM's `mock_response` and its kin. */
export interface Mock {
  /** Text, a whole reply, numbers of an embedding, or a failure in LiteLLM's words. */
  readonly response?: Json;
  /** No answer comes: the call's own timers end it. */
  readonly hangs?: boolean;
  readonly delayMs?: number;
}

/** What of a request's parameters reaches a model: paths left out, names let through, repairs. */
export interface ParamRules {
  readonly drop?: readonly string[];
  readonly allow?: readonly string[];
  readonly modify?: boolean;
}

/** What of its access a row lets callers set: its key, its address (all, or by pattern). */
export interface OwnAccessRule {
  readonly key: boolean;
  readonly base: boolean | RegExp;
}

/** When failures take a deployment out of rotation; over the router's rules. */
export interface CooldownRules {
  readonly allowedFails?: number;
  readonly allowedFailsPolicy?: Readonly<Record<string, number>>;
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
  /** May hold `{model}`, which becomes the upstream model's name. */
  readonly apiBase: string;
  readonly apiKey?: string;
  /** In place of the key: sent as Bearer, got anew before it expires. */
  readonly token?: TokenGrant;
  /** In place of both: every request is signed. */
  readonly signs?: AwsGrant;
  /** Appended to every URL: `api-version=2025-02-01-preview`. */
  readonly query?: string;
  /** What it is for: `model_info.mode`, else the catalog's word, else chat. */
  readonly operation: Operation;
  /** Whose word `operation` is; missing where nobody said it, and then anything may be asked. */
  readonly operationFrom?: "operator" | "catalog";
  readonly facts: ModelFacts;
  readonly weight?: number;
  readonly rpm?: number;
  readonly tpm?: number;
  readonly order?: number;
  readonly maxParallelRequests?: number;
  readonly timeoutMs?: number;
  readonly streamTimeoutMs?: number;
  /** Above `streamTimeoutMs`, each for its own silence: `ttft_timeout`, `stream_idle_timeout`. */
  readonly firstTokenMs?: number;
  readonly streamIdleMs?: number;
  readonly numRetries?: number;
  readonly cooldownS?: number;
  readonly cooldownRules?: CooldownRules;
  readonly tags?: readonly string[];
  /** Where its data stays, in the operator's word: `eu`, `us-east-1`. */
  readonly region?: string;
  readonly mock?: Mock;
  /** Sent with every request: `extra_headers`, `headers`. */
  readonly headers: Readonly<Record<string, string>>;
  /** Default body fields: unknown `litellm_params`, `extra_body`. The caller's own win. */
  readonly body: JsonObject;
  /** The operator's `model_info`, as written: for those who ask what a model is. */
  readonly info?: JsonObject;
  readonly simulated?: boolean;
  /** Of a wildcard row, for the name that was asked for: the row's id, health and limits are shared. */
  readonly wildcard?: boolean;
  /** Its key and base serve the way through to its provider, too. */
  readonly usedInPassThrough?: boolean;
  /** Chat is asked of it through the Responses API too: `openai/responses/…`, `mode: responses`. */
  readonly speaksResponses?: boolean;
  /** Parameters that the model cannot take are left out instead of refused: `drop_params`. */
  readonly dropParams?: boolean;
  readonly paramRules?: ParamRules;
  /** Silence after which a stream of it says `: ping`; missing: never. */
  readonly keepaliveMs?: number;
  /** Reasoning stands in a chat's content: `merge_reasoning_content_in_choices`. */
  readonly mergesReasoning?: true;
  readonly ownAccess?: OwnAccessRule;
  /** Its address came by request: the strict rule of addresses holds. */
  readonly strict?: boolean;
  /** The caller's `x-…` headers go along: `forward_client_headers_to_llm_api`. */
  readonly forwardsHeaders?: true;
  /** As one call sees it (mocked, or by the caller's own key): says nothing of the row's health. */
  readonly uncounted?: boolean;
}

/** What a model of one kind serves beside that itself. */
const alsoServes: Readonly<Partial<Record<Operation, readonly Operation[]>>> = {
  chat: ["completion", "responses", "realtime", "compaction"],
  image_generation: ["image_edit", "image_variation"],
  image_edit: ["image_generation", "image_variation"],
  audio_transcription: ["audio_translation"],
};

/** Whether a deployment is meant for an operation; where nobody said what it is for, it may be. */
export function isFor(
  { operation, operationFrom }: Pick<Deployment, "operation" | "operationFrom">,
  wanted: Operation,
): boolean {
  return (
    operation === wanted ||
    operationFrom === undefined ||
    (alsoServes[operation]?.includes(wanted) ?? false)
  );
}

/** LiteLLM's `mode` as an operation. Undefined for what is not served under a name of its own. */
export function toOperation(mode: unknown): Operation | undefined {
  if (mode === "responses") return "chat";
  return operations.find((operation) => operation === mode && operation !== "pass_through");
}

/** `anthropic/claude-x` → `claude-x`; a name without prefix stays. */
export function withoutPrefix(candidate: string): string {
  const slash = candidate.indexOf("/");
  return slash < 0 ? candidate : candidate.slice(slash + 1);
}
