/** What the environment says: providers by their well-known keys, telemetry, and the predecessor's names. */
import type { ModelEntry, RouteiqSettings } from "./config.ts";
import type { Environment } from "./files.ts";
import type { Report } from "./report.ts";
import { emptySource } from "./yaml.ts";

interface KnownProvider {
  /** LiteLLM's prefix. */
  readonly prefix: string;
  readonly keys: readonly string[];
  /** Groups made for it; everything else is reached as `prefix/model`. */
  readonly models: readonly string[];
  readonly embeddings?: readonly string[];
}

/**
 * Providers that a key in the environment makes usable without a file. Names: LiteLLM's. The models
 * are those of the catalog that are asked for most, from the best to the cheapest.
 */
export const knownProviders: readonly KnownProvider[] = [
  {
    prefix: "openai",
    keys: ["OPENAI_API_KEY"],
    models: [
      "gpt-5.6",
      "gpt-5.6-terra",
      "gpt-5.6-luna",
      "gpt-5.4-mini",
      "gpt-5.4-nano",
      "gpt-4.1",
      "gpt-4.1-mini",
      "gpt-4o",
      "gpt-4o-mini",
    ],
    embeddings: ["text-embedding-3-small", "text-embedding-3-large"],
  },
  {
    prefix: "anthropic",
    keys: ["ANTHROPIC_API_KEY"],
    models: [
      "claude-opus-5-5",
      "claude-sonnet-5-5",
      "claude-haiku-5-5",
      "claude-sonnet-4-5",
      "claude-haiku-4-5",
    ],
  },
  {
    prefix: "gemini",
    keys: ["GEMINI_API_KEY", "GOOGLE_API_KEY"],
    models: [
      "gemini-3.1-pro-preview",
      "gemini-3.8-flash",
      "gemini-3.5-flash-lite",
      "gemini-2.5-pro",
      "gemini-2.5-flash",
    ],
  },
  { prefix: "groq", keys: ["GROQ_API_KEY"], models: [] },
  { prefix: "mistral", keys: ["MISTRAL_API_KEY"], models: [] },
  { prefix: "deepseek", keys: ["DEEPSEEK_API_KEY"], models: [] },
  {
    prefix: "together_ai",
    keys: ["TOGETHERAI_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_API_KEY"],
    models: [],
  },
  { prefix: "openrouter", keys: ["OPENROUTER_API_KEY"], models: [] },
  { prefix: "fireworks_ai", keys: ["FIREWORKS_AI_API_KEY", "FIREWORKS_API_KEY"], models: [] },
  { prefix: "xai", keys: ["XAI_API_KEY"], models: [] },
  { prefix: "cerebras", keys: ["CEREBRAS_API_KEY"], models: [] },
  { prefix: "perplexity", keys: ["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"], models: [] },
];

/** A row per common model and a wildcard row per provider whose key is set. */
export function providersOfEnvironment(env: Environment): ModelEntry[] {
  const entries: ModelEntry[] = [];
  for (const { prefix, keys, models, embeddings = [] } of knownProviders) {
    const variable = keys.find((key) => env[key]);
    const apiKey = variable === undefined ? undefined : env[variable];
    if (apiKey === undefined) continue;
    const add = (modelName: string, model: string, mode?: string) =>
      entries.push({
        modelName,
        params: { model, api_key: apiKey },
        info: mode ? { mode } : {},
        file: `environment (${variable})`,
        line: 0,
      });
    for (const model of models) add(model, `${prefix}/${model}`);
    for (const model of embeddings) add(model, `${prefix}/${model}`, "embedding");
    add(`${prefix}/*`, `${prefix}/*`);
  }
  return entries;
}

type TelemetrySection = {
  readonly otlp_endpoint?: string;
  readonly otlp_headers: Readonly<Record<string, string>>;
  readonly sample_ratio: number;
  readonly service_name: string;
};

/** OpenTelemetry's own variables stand where the file says nothing. */
export function otlpOfEnvironment(
  section: TelemetrySection,
  env: Environment,
): Pick<
  RouteiqSettings["telemetry"],
  "otlpEndpoint" | "otlpHeaders" | "sampleRatio" | "serviceName"
> {
  const off = isTrue(env["OTEL_SDK_DISABLED"]) || isFalse(env["OTEL_ENABLED"]);
  const endpoint = section.otlp_endpoint ?? (off ? undefined : env["OTEL_EXPORTER_OTLP_ENDPOINT"]);
  const ratio = Number(
    env["ROUTEIQ_OTEL_TRACES_SAMPLER_ARG"] || env["OTEL_TRACES_SAMPLER_ARG"] || 1,
  );
  const sampled =
    section.sample_ratio === 1 && ratio >= 0 && ratio <= 1 ? ratio : section.sample_ratio;
  return {
    ...(endpoint ? { otlpEndpoint: endpoint } : {}),
    otlpHeaders: { ...headerList(env["OTEL_EXPORTER_OTLP_HEADERS"]), ...section.otlp_headers },
    sampleRatio: sampled,
    serviceName:
      section.service_name === "routeiq"
        ? env["OTEL_SERVICE_NAME"] || "routeiq"
        : section.service_name,
  };
}

/** `a=b,c=d`, values percent-encoded. Source: OpenTelemetry's "OTLP exporter configuration". */
function headerList(text: string | undefined): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const part of (text ?? "").split(",")) {
    const equals = part.indexOf("=");
    if (equals < 1) continue;
    const value = part.slice(equals + 1).trim();
    headers[part.slice(0, equals).trim().toLowerCase()] = decodePercent(value);
  }
  return headers;
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a stray "%" means that it was not encoded
  }
}

export const isTrue = (text: string | undefined) => /^(true|1|yes|on)$/i.test(text ?? "");
const isFalse = (text: string | undefined) => /^(false|0|no|off)$/i.test(text ?? "");

/** Variables that used to mean something and do not, or mean something else, here. */
export function reportEnvironment(env: Environment, report: Report): void {
  const warn = (name: string, message: string, remedy: string) =>
    report.warn({ source: emptySource("environment"), path: [name] }, message, remedy);
  const endpoint = env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  if (endpoint && /:4317\/?$/.test(endpoint)) {
    warn(
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "port 4317 is OTLP over gRPC; RouteIQ speaks OTLP over HTTP",
      "Use the collector's HTTP port: http://host:4318.",
    );
  }
  if (isFalse(env["ADMIN_AUTH_ENABLED"])) {
    warn(
      "ADMIN_AUTH_ENABLED",
      "admin routes cannot be opened this way",
      "Unset it, and set ADMIN_API_KEYS.",
    );
  }
  for (const [name, key] of bucketNames) {
    if (!env[name] || env[key]) continue;
    warn(name, `it names a bucket, and ${key} no object in it; it is not read`, `Set ${key}.`);
  }
}

const bucketNames = [
  ["LITELLM_CONFIG_BUCKET_NAME", "LITELLM_CONFIG_BUCKET_OBJECT_KEY"],
  ["CONFIG_S3_BUCKET", "CONFIG_S3_KEY"],
  ["CONFIG_GCS_BUCKET", "CONFIG_GCS_KEY"],
] as const;
