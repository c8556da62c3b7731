/** Decoded sections and the environment to `Config`: whose word counts, and in which unit. */
import type { Static } from "@sinclair/typebox";
import type { FallbackList, RetryPolicy } from "../domain/call.ts";
import type { JsonObject } from "../domain/json.ts";
import type {
  Config,
  EmbeddingSettings,
  ModelEntry,
  PassThroughEndpoint,
  PriceFile,
  RouterSettings,
  RoutingStrategyArgs,
} from "./config.ts";
import { isTrue, otlpOfEnvironment } from "./environment.ts";
import { toExperimentConfigs } from "./experiments.ts";
import type { Environment } from "./files.ts";
import { toMcpSettings } from "./mcp.ts";
import type { GeneralSettings } from "./sections/general-settings.ts";
import { toHostedToolSettings } from "./sections/hosted-tools.ts";
import { toGatewayKeys } from "./sections/key-settings.ts";
import type { LitellmSettings } from "./sections/litellm-settings.ts";
import type { RouteiqSettings } from "./sections/routeiq-settings.ts";
import type { RouterSettings as RouterSection } from "./sections/router-settings.ts";
import { encryptionOf, vectorStoreSettings } from "./stored-settings.ts";
import { survivalSettings } from "./survival.ts";

export interface Sections {
  readonly router: Static<typeof RouterSection>;
  readonly general: Static<typeof GeneralSettings>;
  readonly litellm: Static<typeof LitellmSettings>;
  readonly litellmRaw: JsonObject;
  readonly routeiq: Static<typeof RouteiqSettings>;
}

interface Parts {
  readonly prices: PriceFile;
  readonly models: readonly ModelEntry[];
  readonly mcpServers: Config["mcpServers"];
  readonly agents: Config["agents"];
  readonly finetune: Config["finetune"];
  readonly vectorRegistry: Config["vectorRegistry"];
  readonly sections: Sections;
  readonly environment: Readonly<Record<string, string>>;
  /** The process environment with `environment` on top. */
  readonly env: Environment;
  readonly files: readonly string[];
  readonly origin: Config["origin"];
}

export function assembleConfig(parts: Parts): Config {
  const { sections, env } = parts;
  const masterKey = sections.general.master_key ?? (env["LITELLM_MASTER_KEY"] || undefined);
  const requestTimeout = sections.litellm.request_timeout;
  return {
    prices: parts.prices,
    models: parts.models,
    mcpServers: parts.mcpServers,
    agents: parts.agents,
    finetune: parts.finetune,
    vectorRegistry: parts.vectorRegistry,
    router: routerSettings(sections, env),
    general: {
      ...(masterKey === undefined ? {} : { masterKey }),
      ...keyHeaderOf(sections.general.litellm_key_header_name),
      ...forcedModelsOf(sections.general),
      ...(sections.general.always_include_stream_usage ? { alwaysIncludeStreamUsage: true } : {}),
      ...replyLimitOf(sections.general.max_response_size_mb),
      ...keepaliveOf(sections.general.sse_keepalive_ping_interval_seconds),
      ...(sections.general.forward_client_headers_to_llm_api ? { forwardClientHeaders: true } : {}),
      ...(sections.general.background_health_checks
        ? { healthCheckIntervalMs: sections.general.health_check_interval * 1000 }
        : {}),
      ...(env["LITELLM_ENVIRONMENT"] ? { environment: env["LITELLM_ENVIRONMENT"] } : {}),
      passThroughEndpoints: (sections.general.pass_through_endpoints ?? []).map((row) =>
        passThroughOf(row, env),
      ),
      passThroughTimeoutMs: sections.general.pass_through_request_timeout * 1000,
      adminApiKeys: splitList(`${env["ADMIN_API_KEYS"] ?? ""},${env["ADMIN_API_KEY"] ?? ""}`),
    },
    litellm: {
      dropParams: sections.litellm.drop_params,
      modifyParams: sections.litellm.modify_params,
      ...(requestTimeout === undefined ? {} : { requestTimeoutMs: requestTimeout * 1000 }),
      ...costTermsOf(sections.litellm),
      returnResponseHeaders: sections.litellm.return_response_headers,
      includeCostInStreamingUsage: sections.litellm.include_cost_in_streaming_usage,
      raw: sections.litellmRaw,
    },
    routeiq: routeiqSettings(sections, env),
    environment: parts.environment,
    files: parts.files,
    origin: parts.origin,
  };
}

function costTermsOf(section: Sections["litellm"]): Pick<Config["litellm"], "costTerms"> {
  const { cost_discount_config: discounts = {}, cost_margin_config: margins = {} } = section;
  if (Object.keys({ ...discounts, ...margins }).length === 0) return {};
  const readable = Object.entries(margins).map(([provider, margin]) => [
    provider,
    typeof margin === "number"
      ? { share: margin, fixedUsd: 0 }
      : { share: margin.percentage ?? 0, fixedUsd: margin.fixed_amount ?? 0 },
  ]);
  return { costTerms: { discounts, margins: Object.fromEntries(readable) } };
}

function keyHeaderOf(name: string | undefined): Pick<Config["general"], "keyHeader"> {
  return name === undefined ? {} : { keyHeader: name.toLowerCase() };
}

function forcedModelsOf(section: Sections["general"]): Pick<Config["general"], "forcedModels"> {
  const { completion_model: chat, embedding_model: embedding } = section;
  const { image_generation_model: image, moderation_model: moderation } = section;
  const forcedModels = {
    ...(chat ? { chat, completion: chat } : {}),
    ...(embedding ? { embedding } : {}),
    ...(image ? { image_generation: image } : {}),
    ...(moderation ? { moderation } : {}),
  };
  return Object.keys(forcedModels).length > 0 ? { forcedModels } : {};
}

type PassThroughSection = NonNullable<Sections["general"]["pass_through_endpoints"]>[number];

function passThroughOf(row: PassThroughSection, env: Environment): PassThroughEndpoint {
  return {
    path: row.path,
    target: row.target.replace(/\/+$/, ""),
    headers: Object.fromEntries(
      Object.entries(row.headers ?? {}).map(([name, value]) => [
        name.toLowerCase(),
        // LiteLLM's users write `Bearer os.environ/NAME`.
        value.replace(/os\.environ\/(\w+)/g, (_, variable: string) => env[variable] ?? ""),
      ]),
    ),
    auth: row.auth ?? true,
    forwardHeaders: row.forward_headers ?? false,
    includeSubpath: row.include_subpath ?? false,
    ...(row.cost_per_request === undefined ? {} : { costPerRequestUsd: row.cost_per_request }),
    ...(row.timeout === undefined ? {} : { timeoutMs: row.timeout * 1000 }),
  };
}

function routerSettings({ router, litellm }: Sections, env: Environment): RouterSettings {
  const optional = {
    retryPolicy: router.retry_policy as RetryPolicy | undefined,
    modelGroupRetryPolicy: router.model_group_retry_policy as
      | Record<string, RetryPolicy>
      | undefined,
    tagFiltering: router.enable_tag_filtering
      ? { matchAny: router.tag_filtering_match_any }
      : undefined,
    maxParallelRequests: router.default_max_parallel_requests,
    allowedFails: router.allowed_fails ?? litellm.allowed_fails,
    allowedFailsPolicy: router.allowed_fails_policy as Record<string, number> | undefined,
    timeoutMs: toMs(router.timeout),
    streamTimeoutMs: toMs(router.stream_timeout),
    firstTokenMs: toMs(router.ttft_timeout),
    streamIdleMs: toMs(router.stream_idle_timeout),
  };
  const aliases = Object.entries(router.model_group_alias ?? {}).map(([name, target]) => [
    name,
    typeof target === "string"
      ? { model: target, hidden: false }
      : { model: target.model, hidden: target.hidden ?? false },
  ]);
  return {
    routingStrategy: router.routing_strategy,
    routingStrategyArgs: strategyArgs(router.routing_strategy_args, env),
    importsPickles: isTrue(env["LLMROUTER_ALLOW_PICKLE_MODELS"]),
    numRetries: router.num_retries ?? litellm.num_retries ?? 2,
    retryAfterS: router.retry_after,
    fallbacks: (router.fallbacks ?? litellm.fallbacks ?? []) as FallbackList,
    contextWindowFallbacks: (router.context_window_fallbacks ??
      litellm.context_window_fallbacks ??
      []) as FallbackList,
    contentPolicyFallbacks: (router.content_policy_fallbacks ??
      litellm.content_policy_fallbacks ??
      []) as FallbackList,
    defaultFallbacks: router.default_fallbacks ?? litellm.default_fallbacks ?? [],
    maxFallbacks: router.max_fallbacks,
    cooldownTimeS: router.cooldown_time,
    disableCooldowns: router.disable_cooldowns,
    modelGroupAlias: Object.fromEntries(aliases),
    enablePreCallChecks: router.enable_pre_call_checks,
    enforceRateLimits: (router.optional_pre_call_checks ?? []).includes(
      "enforce_model_rate_limits",
    ),
    ...withoutUndefined(optional),
  };
}

/** The predecessor's bucket and key, in the file or the environment, become one `s3://` path. */
function strategyArgs(
  { model_s3_bucket, model_s3_key, ...args }: Sections["router"]["routing_strategy_args"],
  env: Environment,
): RoutingStrategyArgs {
  const bucket = model_s3_bucket ?? (env["LLMROUTER_MODEL_S3_BUCKET"] || undefined);
  const key = model_s3_key ?? (env["LLMROUTER_MODEL_S3_KEY"] || undefined);
  const s3 = bucket ? `s3://${bucket}/${key ?? ""}`.replace(/\/$/, "") : undefined;
  const path = args.model_path ?? s3 ?? (env["LLMROUTER_MODEL_PATH"] || undefined);
  const module = args.module_path ?? (env["LLMROUTER_CUSTOM_ROUTERS_PATH"] || undefined);
  return {
    ...args,
    ...(path === undefined ? {} : { model_path: path }),
    ...(module === undefined ? {} : { module_path: module }),
  } as RoutingStrategyArgs;
}

const keepaliveOf = (seconds: number | undefined) =>
  seconds === undefined ? {} : { keepaliveMs: seconds * 1000 };

const replyLimitOf = (megabytes: number | undefined) =>
  megabytes === undefined ? {} : { replyLimitBytes: Math.floor(megabytes * 1024 * 1024) };

function routeiqSettings(sections: Sections, env: Environment): Config["routeiq"] {
  const { routeiq, general } = sections;
  const { timeouts, telemetry, outbound } = routeiq;
  const megabytes = general.max_request_size_mb;
  const drain = Number(env["ROUTEIQ_DRAIN_TIMEOUT_SECONDS"] || Number.NaN);
  return {
    autoModels: routeiq.auto_models,
    experiments: toExperimentConfigs(routeiq.experiments, env),
    ...(routeiq.experiment_figures && { experimentFigures: routeiq.experiment_figures }),
    timeouts: {
      connectMs: timeouts.connect_ms,
      firstTokenMs: timeouts.first_token_ms,
      idleMs: timeouts.idle_ms,
      totalMs: timeouts.total_ms,
      writeStallMs: timeouts.write_stall_ms,
      receiveMs: timeouts.receive_ms,
    },
    maxAttempts: routeiq.max_attempts,
    bodyLimitBytes: megabytes ? Math.floor(megabytes * 1024 * 1024) : routeiq.body_limit_bytes,
    corsOrigins: routeiq.cors_origins,
    telemetry: {
      storePrompts: telemetry.store_prompts,
      events: telemetry.events,
      retention: {
        maxRows: telemetry.event_retention.max_rows,
        maxAgeDays: telemetry.event_retention.max_age_days,
        maxBytes: telemetry.event_retention.max_bytes,
      },
      ...(telemetry.export && {
        export: {
          to: telemetry.export.to,
          format: telemetry.export.format,
          intervalMs: telemetry.export.interval_seconds * 1000,
        },
      }),
      ...otlpOfEnvironment(telemetry, env),
    },
    responses: {
      maxRows: routeiq.responses.max_rows,
      maxAgeDays: routeiq.responses.max_age_days,
      maxBytes: routeiq.responses.max_bytes,
      maxBackground: routeiq.responses.max_background,
    },
    files: {
      ...(routeiq.files.to === undefined ? {} : { to: routeiq.files.to }),
      maxFileBytes: routeiq.files.max_file_bytes,
      maxTotalBytes: routeiq.files.max_total_bytes,
      maxFiles: routeiq.files.max_files,
    },
    encryption: encryptionOf(routeiq.encryption, env),
    skills: {
      ...skillFolderOf(routeiq.skills.folder, env),
      timeoutMs: routeiq.skills.timeout_ms,
      memoryMb: routeiq.skills.memory_mb,
      outputBytes: routeiq.skills.output_bytes,
      concurrency: routeiq.skills.concurrency,
      hosts: routeiq.skills.hosts,
      ...pythonRuntimeOf(routeiq.skills.python_runtime, env),
    },
    vectorStores: vectorStoreSettings(routeiq.vector_stores),
    a2a: agentSettings(routeiq.a2a, env),
    batches: {
      concurrency: routeiq.batches.concurrency,
      maxRunning: routeiq.batches.max_running,
      maxRequests: routeiq.batches.max_requests,
      priority: routeiq.batches.priority,
      yieldAbove: routeiq.batches.yield_above,
    },
    mcp: toMcpSettings(routeiq.mcp, env),
    hostedTools: toHostedToolSettings(routeiq.hosted_tools),
    keys: toGatewayKeys(routeiq.keys),
    embedding: toEmbedding(routeiq.embedding),
    outbound: outboundSettings(outbound, env),
    ...survivalSettings(sections, env),
    realtime: {
      idleMs: routeiq.realtime.idle_ms,
      maxSessionMs: routeiq.realtime.max_session_ms,
      maxMessageBytes: routeiq.realtime.max_message_bytes,
    },
    upstreamProtocol: routeiq.upstream_protocol,
    reload: reloadSettings(routeiq.reload, env),
    httpClient: routeiq.http_client,
    upstreamIdleMs: routeiq.upstream_idle_ms,
    mockRequests: routeiq.mock_requests,
    drainMs: Number.isFinite(drain) && drain > 0 ? drain * 1000 : routeiq.drain_ms,
  };
}

function skillFolderOf(named: string | undefined, env: Environment): { folder?: string } {
  const folder = named ?? (env["ROUTEIQ_SKILLS_DIR"] || undefined);
  return folder === undefined ? {} : { folder };
}

function pythonRuntimeOf(named: string | undefined, env: Environment): { pythonRuntime?: string } {
  const place = named ?? (env["ROUTEIQ_PYTHON_RUNTIME"] || undefined);
  return place === undefined ? {} : { pythonRuntime: place };
}

/** The predecessor's variables win, as they do there. */
function reloadSettings(
  section: Sections["routeiq"]["reload"],
  env: Environment,
): Config["routeiq"]["reload"] {
  const seconds = Number(env["CONFIG_SYNC_INTERVAL"] || Number.NaN);
  const remoteS = seconds >= 1 ? seconds : section.remote_interval_seconds;
  return {
    watch: env["CONFIG_HOT_RELOAD"] ? isOn(env["CONFIG_HOT_RELOAD"]) : section.watch,
    intervalMs: section.interval_seconds * 1000,
    ...(isOn(env["CONFIG_SYNC_ENABLED"] || "true") ? { remoteIntervalMs: remoteS * 1000 } : {}),
  };
}

const isOn = (text: string) => /^(true|1|yes|on)$/i.test(text);

const privateRanges = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

function outboundSettings(
  { allow_cidrs, allow_hosts }: Sections["routeiq"]["outbound"],
  env: Environment,
): Config["routeiq"]["outbound"] {
  const older = (name: string, legacy: string) => splitList(env[name] ?? env[legacy] ?? "");
  const flag = env["LLMROUTER_OUTBOUND_ALLOW_PRIVATE"] ?? env["LLMROUTER_ALLOW_PRIVATE_IPS"] ?? "";
  return {
    allowCidrs: [
      ...allow_cidrs,
      ...older("LLMROUTER_OUTBOUND_CIDR_ALLOWLIST", "LLMROUTER_SSRF_ALLOWLIST_CIDRS"),
      ...(isOn(flag) ? privateRanges : []),
    ],
    allowHosts: [
      ...allow_hosts,
      ...older("LLMROUTER_OUTBOUND_HOST_ALLOWLIST", "LLMROUTER_SSRF_ALLOWLIST_HOSTS"),
    ],
  };
}

const toMs = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);

function splitList(text: string): string[] {
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

type Present<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function withoutUndefined<T extends object>(value: T): Present<T> {
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(entries) as Present<T>;
}

function toEmbedding(section: Static<typeof RouteiqSettings>["embedding"]): EmbeddingSettings {
  const { onnx_path: onnxPath, model, dimensions = 0, normalize, timeout_ms: timeoutMs } = section;
  return {
    ...(onnxPath ? { onnxPath } : {}),
    ...(model ? { model: { name: model, dimensions } } : {}),
    normalize,
    timeoutMs,
  };
}

/** The predecessor's variables stand in where the file says nothing of its own. */
function agentSettings(
  a2a: Sections["routeiq"]["a2a"],
  env: Environment,
): Config["routeiq"]["a2a"] {
  const number = (name: string, otherwise: number) => {
    const value = Number(env[name] || Number.NaN);
    return Number.isFinite(value) && value > 0 ? value : otherwise;
  };
  const baseUrl = (a2a.base_url ?? env["A2A_BASE_URL"] ?? "").replace(/\/+$/, "");
  const maxTasks = a2a.max_tasks ?? number("A2A_TASK_STORE_MAX_TASKS", 10_000);
  const maxRunning = a2a.max_running;
  return {
    ...(baseUrl === "" ? {} : { baseUrl }),
    ...(a2a.card_key === undefined ? {} : { cardKey: a2a.card_key }),
    taskTtlMs: (a2a.task_ttl_s ?? number("A2A_TASK_TTL_SECONDS", 3_600)) * 1_000,
    ...{ maxTasks, maxRunning },
    maxTasksOfCaller: a2a.max_tasks_per_caller ?? Math.ceil(maxTasks / 2),
    maxRunningOfCaller: a2a.max_running_per_caller ?? Math.ceil(maxRunning / 2),
    tasksPerMinute: a2a.tasks_per_minute ?? number("A2A_TASK_RATE_LIMIT", 100),
    runMs: a2a.run_ms,
  };
}
