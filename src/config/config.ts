/** Typed configuration: what `load.ts` makes of the operator's file, environment and defaults. */
import type { Static } from "@sinclair/typebox";
import type { FallbackList, RetryPolicy } from "../domain/call.ts";
import type { ExplorationMode } from "../domain/decision.ts";
import type { GatewayKey } from "../domain/grants.ts";
import type { HostedToolSettings } from "../domain/hosted-tool.ts";
import type { JsonObject } from "../domain/json.ts";
import type { McpServer, McpSettings } from "../domain/mcp.ts";
import type { Operation } from "../domain/model.ts";
import type { EventRetention } from "../storage/event-log.ts";
import type { FileLimits } from "../storage/file-limits.ts";
import type { ResponseLimits } from "../storage/response-store.ts";
import type { AgentEntry } from "./agents.ts";
import type { FinetuneProvider } from "./finetune.ts";
import type { RolloutSettings } from "./sections/rollout-settings.ts";
import type { VectorProvider } from "./sections/vector-store-settings.ts";
import type { SurvivalSettings } from "./survival.ts";
import type { RegisteredStore } from "./vector-registry.ts";

export interface ModelEntry {
  readonly modelName: string;
  /** `litellm_params`, references resolved. */
  readonly params: JsonObject & { readonly model: string };
  readonly info: JsonObject;
  readonly file: string;
  readonly line: number;
}

export interface ExplorationArgs extends JsonObject {
  readonly mode: ExplorationMode;
  readonly rate: number;
  readonly width: number;
  readonly max_arms: number;
  readonly online?: boolean;
  readonly max_usd_per_hour?: number;
  readonly max_usd_per_day: number;
}

export type RolloutArgs = Static<typeof RolloutSettings>;

export interface RoutingStrategyArgs extends JsonObject {
  readonly model_path?: string;
  readonly model_root?: string;
  readonly model_name?: string;
  readonly hot_reload?: boolean;
  /** Seconds. */
  readonly reload_interval?: number;
  readonly max_stale?: string;
  readonly fallback_strategy?: string;
  readonly tradeoff?: number;
  readonly floor?: string;
  readonly latency_weight?: number;
  readonly exploration?: ExplorationArgs;
  readonly drift_detection?: boolean;
  readonly balancer?: string;
  readonly label_mapping?: JsonObject;
  readonly allow_unsigned_local?: boolean;
  /** `llmrouter-cost-aware`. */
  readonly quality_threshold?: number;
  readonly cost_weight?: number;
  readonly quality_weight?: number;
  readonly max_cost_per_1k_tokens?: number;
  readonly inner_strategy?: string;
  readonly inner_strategy_name?: string;
  readonly rollout?: RolloutArgs;
}

export interface RouterSettings {
  readonly routingStrategy: string;
  readonly routingStrategyArgs: RoutingStrategyArgs;
  /** `LLMROUTER_ALLOW_PICKLE_MODELS`: a predecessor's file at `model_path` is converted at start. */
  readonly importsPickles: boolean;
  readonly numRetries: number;
  readonly retryAfterS: number;
  readonly retryPolicy?: RetryPolicy;
  readonly modelGroupRetryPolicy?: Readonly<Record<string, RetryPolicy>>;
  readonly fallbacks: FallbackList;
  readonly contextWindowFallbacks: FallbackList;
  readonly contentPolicyFallbacks: FallbackList;
  readonly defaultFallbacks: readonly string[];
  readonly maxFallbacks: number;
  readonly allowedFails?: number;
  readonly allowedFailsPolicy?: Readonly<Record<string, number>>;
  readonly cooldownTimeS: number;
  readonly disableCooldowns: boolean;
  /** LiteLLM's `timeout`, `stream_timeout`, in ms; undefined where not set. */
  readonly timeoutMs?: number;
  readonly streamTimeoutMs?: number;
  /** Above `stream_timeout`, each for its own silence. */
  readonly firstTokenMs?: number;
  readonly streamIdleMs?: number;
  readonly modelGroupAlias: Readonly<
    Record<string, { readonly model: string; readonly hidden: boolean }>
  >;
  readonly enablePreCallChecks: boolean;
  /** `optional_pre_call_checks: [enforce_model_rate_limits]`. */
  readonly enforceRateLimits: boolean;
  /** Set where tags choose deployments. */
  readonly tagFiltering?: { readonly matchAny: boolean };
  /** Calls in flight to a deployment that has no limit of its own. */
  readonly maxParallelRequests?: number;
}

/** The operator's terms over list prices, by provider; a margin may be `global`. */
export interface CostTerms {
  /** Share of the price, 0..1. */
  readonly discounts: Readonly<Record<string, number>>;
  readonly margins: Readonly<Record<string, { readonly share: number; readonly fixedUsd: number }>>;
}

export interface Timeouts {
  readonly connectMs: number;
  readonly firstTokenMs: number;
  readonly idleMs: number;
  readonly totalMs: number;
  readonly writeStallMs: number;
  /** For a request's head and body; from the start of the process, as the server has it. */
  readonly receiveMs: number;
}

export interface AutoModel {
  /** Groups it ranks over; undefined: every chat group that the caller may use. */
  readonly candidates?: readonly string[];
}

/** Calls shared between variants, so that one can be held against another. */
export interface ExperimentConfig {
  readonly id: string;
  readonly description?: string;
  readonly enabled: boolean;
  /** In the order in which buckets are walked. */
  readonly variants: readonly VariantConfig[];
  /** A variant's name. */
  readonly control: string;
  /** Names that calls ask for; undefined: all. */
  readonly models?: readonly string[];
  /** Milliseconds since the epoch; NaN where the file has no time there. */
  readonly startMs?: number;
  readonly endMs?: number;
  /** In what a variant that proves worse is stopped. */
  readonly stopOn: readonly ("errors" | "latency" | "cost" | "quality")[];
  /** Weights that no variant has. */
  readonly unknownWeights: readonly string[];
}

export interface VariantConfig {
  readonly name: string;
  readonly weight: number;
  /** A balancer, or the learned strategy that is configured; undefined: as configured. */
  readonly strategy?: string;
  readonly tradeoff?: number;
  readonly floor?: string;
  /** Trained routers of its own. */
  readonly model?: Pick<
    RoutingStrategyArgs,
    "model_path" | "model_root" | "model_name" | "allow_unsigned_local"
  >;
}

export interface ReloadSettings {
  /** Files of this machine. */
  readonly watch: boolean;
  readonly intervalMs: number;
  /** Undefined: buckets are read at start, and on demand. */
  readonly remoteIntervalMs?: number;
}

export interface EmbeddingSettings {
  readonly onnxPath?: string;
  /** A group of `model_list`, and the length of its vectors. */
  readonly model?: { readonly name: string; readonly dimensions: number };
  readonly normalize: boolean;
  readonly timeoutMs: number;
}

export interface EventExport {
  readonly to: string;
  readonly format: "parquet" | "jsonl";
  readonly intervalMs: number;
}

export interface RouteiqSettings extends SurvivalSettings {
  readonly experiments: readonly ExperimentConfig[];
  /** Where gateways share what their experiments came to: a folder or `s3://bucket/prefix`. */
  readonly experimentFigures?: string;
  readonly autoModels: Readonly<Record<string, AutoModel>>;
  readonly timeouts: Timeouts;
  readonly maxAttempts: number;
  readonly bodyLimitBytes: number;
  /** Exact origins, or ["*"]; empty: no CORS headers. */
  readonly corsOrigins: readonly string[];
  readonly telemetry: {
    readonly storePrompts: boolean;
    readonly events: boolean;
    /** OTLP/HTTP endpoint; undefined: off. */
    readonly otlpEndpoint?: string;
    readonly otlpHeaders: Readonly<Record<string, string>>;
    readonly sampleRatio: number;
    /** What the event log keeps; the oldest rows go first. */
    readonly retention: EventRetention;
    /** Where the event log is copied to as segments; undefined: nowhere. */
    readonly export?: EventExport;
    readonly serviceName: string;
  };
  /** What is kept of the Responses API. */
  readonly responses: ResponseLimits & { readonly maxBackground: number };
  /** What is kept of the Files API, of one caller. */
  readonly files: FileLimits & {
    /** `s3://…`; undefined: the data folder. */ readonly to?: string;
  };
  readonly skills: {
    readonly folder?: string;
    readonly timeoutMs: number;
    readonly memoryMb: number;
    readonly outputBytes: number;
    readonly concurrency: number;
    readonly hosts: readonly string[];
    /** Python's runtime, an archive or a folder; undefined: where it is looked for by itself. */
    readonly pythonRuntime?: string;
  };
  /** What credentials are sealed with at rest; where no key is named, the master key's is derived. */
  readonly encryption: { readonly saltKey?: string; readonly previousSaltKeys: readonly string[] };
  /** The group that embeds where a store names none; undefined: the built-in embedder. */
  readonly vectorStores: {
    readonly embeddingModel?: string;
    /** A document that is not read in so long is ended. */
    readonly documentTimeoutMs: number;
    /** Of `backends`; undefined: the embedded one. */
    readonly backend?: string;
    readonly backends: Readonly<Record<string, VectorBackend>>;
  };
  readonly a2a: {
    /** What cards say of the gateway's address; undefined: what the request was sent to. */
    readonly baseUrl?: string;
    /** PEM; undefined: the gateway makes one of its own. */
    readonly cardKey?: string;
    /** A task is kept so long after it last changed. */
    readonly taskTtlMs: number;
    readonly maxTasks: number;
    readonly maxRunning: number;
    readonly maxTasksOfCaller: number;
    readonly maxRunningOfCaller: number;
    /** New tasks of one agent. */
    readonly tasksPerMinute: number;
    /** What one message may take. */
    readonly runMs: number;
  };
  readonly batches: {
    /** Requests of one batch at once. */
    readonly concurrency: number;
    readonly maxRunning: number;
    readonly maxRequests: number;
    readonly priority: number;
    /** Live calls in flight above which no request of a batch is begun. */
    readonly yieldAbove: number;
  };
  /** Exploration (part 3 widens it): 0 turns it off. */
  readonly embedding: EmbeddingSettings;
  readonly mcp: McpSettings;
  readonly hostedTools: HostedToolSettings;
  /** Callers' keys of the file, by name. */
  readonly keys: Readonly<Record<string, GatewayKey>>;
  /** Address ranges (CIDR) and hosts opened by name for addresses that come by request. */
  readonly outbound: {
    readonly allowCidrs: readonly string[];
    readonly allowHosts: readonly string[];
  };
  readonly realtime: {
    readonly idleMs: number;
    readonly maxSessionMs: number;
    readonly maxMessageBytes: number;
  };
  readonly upstreamProtocol: "http1" | "http2";
  readonly reload: ReloadSettings;
  readonly httpClient: "own" | "fetch";
  readonly upstreamIdleMs: number;
  /** Who may ask for `mock_response` and its kin. */
  readonly mockRequests: "anyone" | "admin" | "nobody";
  readonly drainMs: number;
}

/** One of `general_settings.pass_through_endpoints`. */
export interface PassThroughEndpoint {
  /** Begins with "/", does not end with it. */
  readonly path: string;
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly auth: boolean;
  readonly forwardHeaders: boolean;
  readonly includeSubpath: boolean;
  readonly costPerRequestUsd?: number;
  readonly timeoutMs?: number;
}

/** A vector database that stores may lie on. */
export interface VectorBackend {
  readonly provider: VectorProvider;
  /** With no "/" at its end. */
  readonly url: string;
  readonly apiKey?: string;
  readonly prefix: string;
  readonly table: string;
  readonly connections: number;
}

export interface GeneralSettings {
  readonly masterKey?: string;
  readonly adminApiKeys: readonly string[];
  /** `litellm_key_header_name`, lower-cased: looked at before the usual headers. */
  readonly keyHeader?: string;
  /** Streams tell what was used, whether their callers ask or not. */
  readonly alwaysIncludeStreamUsage?: true;
  /** `max_response_size_mb`: bytes of a provider's whole answer; undefined: the client's own limit. */
  readonly replyLimitBytes?: number;
  /** Silence after which a stream says `: ping`; undefined: never. */
  readonly keepaliveMs?: number;
  /** `completion_model` and its kin: what answers, whatever the request names. */
  readonly forcedModels?: Readonly<Partial<Record<Operation, string>>>;
  readonly passThroughEndpoints: readonly PassThroughEndpoint[];
  readonly passThroughTimeoutMs: number;
  /** `forward_client_headers_to_llm_api`: the caller's `x-…` headers go along to providers. */
  readonly forwardClientHeaders?: true;
  /** Undefined: deployments are asked for their health only when somebody wants to know. */
  readonly healthCheckIntervalMs?: number;
  /** `LITELLM_ENVIRONMENT`: rows that name `supported_environments` without it are left out. */
  readonly environment?: string;
}

export interface LitellmSettings {
  readonly dropParams: boolean;
  readonly modifyParams: boolean;
  /** `request_timeout`, ms. */
  readonly requestTimeoutMs?: number;
  readonly includeCostInStreamingUsage: boolean;
  readonly returnResponseHeaders: boolean;
  /** Missing: list prices count as they are. */
  readonly costTerms?: CostTerms;
  readonly raw: JsonObject;
}

/** A price file in LiteLLM's format: a model's name → its entry. */
export type PriceFile = Readonly<Record<string, JsonObject>>;

export interface Config {
  /** `routeiq_settings.price_file`, read; it stands above the catalog. */
  readonly prices: PriceFile;
  readonly models: readonly ModelEntry[];
  /** `mcp_servers`, in the order of the file. */
  readonly mcpServers: readonly McpServer[];
  readonly agents: readonly AgentEntry[];
  /** `finetune_settings`. */
  readonly finetune: readonly FinetuneProvider[];
  /** `vector_store_registry`: stores that lie at a provider. */
  readonly vectorRegistry: readonly RegisteredStore[];
  readonly router: RouterSettings;
  readonly general: GeneralSettings;
  readonly litellm: LitellmSettings;
  readonly routeiq: RouteiqSettings;
  /** `environment_variables`, resolved: they stand above the process environment wherever a
   * provider looks for its key or base URL. */
  readonly environment: Readonly<Record<string, string>>;
  /** Files it came from, the main one first; empty where it came from the environment alone. */
  readonly files: readonly string[];
  /** How it came about: a file, well-known environment keys, or the demo's simulated providers. */
  readonly origin: "file" | "environment" | "simulated";
}
