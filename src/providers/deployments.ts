/** `model_list` as deployments: provider found, key and base URL in place, facts on top of each other. */
import type { Config, ModelEntry } from "../config/config.ts";
import { litellmParamKeys } from "../config/sections/known-keys.ts";
import { LitellmParams } from "../config/sections/model-list.ts";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Capability, Deployment, ModelFacts } from "../domain/model.ts";
import type { Price } from "../domain/usage.ts";
import { sha256Hex } from "../security/hashing.ts";
import type { Provider } from "./provider.ts";

/** What the registry and the catalog answer. */
export interface ProviderLookup {
  /** By name or alias. */
  findProvider(name: string): Provider | undefined;
  /** `openai/gpt-4o` → openai and gpt-4o; a bare name by the known families. */
  resolveModel(model: string): { readonly provider: Provider; readonly model: string } | undefined;
  /** The catalog's facts; empty where it knows nothing. */
  factsOf(provider: string, model: string): ModelFacts;
}

export interface DeploymentSource extends ProviderLookup {
  /** The process environment; the configuration's own stands above it. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** @throws GatewayError config_invalid, naming file, line and remedy, for a row that cannot work. */
export function toDeployments(config: Config, source: DeploymentSource): Deployment[] {
  const env = { ...source.env, ...config.environment };
  const made = config.models.map((entry) => toDeployment(entry, { ...source, env }));
  // Two rows that are the same to the letter are two shares of the load, and two ids.
  const seen = new Map<string, number>();
  return made.map((deployment) => {
    const times = (seen.get(deployment.id) ?? 0) + 1;
    seen.set(deployment.id, times);
    return times === 1 ? deployment : { ...deployment, id: `${deployment.id}-${times}` };
  });
}

function toDeployment(entry: ModelEntry, source: DeploymentSource): Deployment {
  const { params, info, modelName } = entry;
  const { provider, model } = providerOf(entry, source);
  const key = text(params["api_key"]) ?? firstSet(keyNames(provider), source.env);
  const base = text(params["api_base"]) ?? text(params["base_url"]) ?? baseOf(provider, source.env);
  if (base === undefined) {
    throw refused(entry, `${provider.name} has no base URL of its own`, "Write api_base.");
  }
  const facts = source.factsOf(provider.name, text(info["base_model"]) ?? model);
  const timeoutS = number(params["timeout"]) ?? number(params["request_timeout"]);
  return {
    id: text(info["id"]) ?? idOf(params, modelName),
    group: modelName,
    candidate: params.model,
    provider: provider.name,
    upstreamModel: model,
    apiBase: base.replace(/\/+$/, ""),
    operation: info["mode"] === "embedding" ? "embedding" : "chat",
    facts: { ...facts, ...factsOfEntry(params, info, facts) },
    headers: {
      ...(text(params["organization"])
        ? { "openai-organization": String(params["organization"]) }
        : {}),
      ...textMap(params["headers"]),
      ...textMap(params["extra_headers"]),
    },
    body: bodyOf(params),
    ...present("apiKey", key),
    ...present("weight", number(params["weight"])),
    ...present("rpm", number(params["rpm"])),
    ...present("tpm", number(params["tpm"])),
    ...present("order", number(params["order"])),
    ...present("maxParallelRequests", number(params["max_parallel_requests"])),
    ...present("timeoutMs", ms(timeoutS)),
    ...present("streamTimeoutMs", ms(number(params["stream_timeout"]))),
    ...present("numRetries", number(params["num_retries"])),
    ...present("cooldownS", number(params["cooldown_time"]) ?? number(info["cooldown_time"])),
    ...(Array.isArray(params["tags"]) ? { tags: params["tags"].map(String) } : {}),
    ...(info["simulated"] === true ? { simulated: true } : {}),
  };
}

function providerOf(entry: ModelEntry, source: DeploymentSource) {
  const { params } = entry;
  const named = text(params["custom_llm_provider"]);
  if (named !== undefined) {
    const provider = source.findProvider(named);
    if (!provider) {
      throw refused(entry, `there is no provider "${named}"`, "See docs/providers.md for names.");
    }
    const prefix = [provider.name, ...(provider.aliases ?? [])].find((name) =>
      params.model.startsWith(`${name}/`),
    );
    return { provider, model: prefix ? params.model.slice(prefix.length + 1) : params.model };
  }
  const found = source.resolveModel(params.model);
  if (found) return found;
  // A base URL and a name without a known prefix: an OpenAI-compatible server.
  const compatible = source.findProvider("openai");
  const ownBase = text(params["api_base"]) ?? text(params["base_url"]);
  if (compatible && ownBase !== undefined) return { provider: compatible, model: params.model };
  throw refused(
    entry,
    `"${params.model}" names no known provider`,
    "Write provider/model, such as openai/gpt-4o; or set api_base for an OpenAI-compatible server.",
  );
}

function refused({ file, line }: ModelEntry, problem: string, remedy: string): GatewayError {
  return new GatewayError("config_invalid", `${file}:${line}: ${problem}. ${remedy}`);
}

function keyNames({ auth }: Provider): readonly string[] {
  return auth.kind === "none" ? [] : auth.env;
}

function baseOf(provider: Provider, env: DeploymentSource["env"]): string | undefined {
  return firstSet(provider.baseUrlEnv ?? [], env) ?? provider.baseUrl;
}

function firstSet(names: readonly string[], env: DeploymentSource["env"]): string | undefined {
  return names.map((name) => env[name]).find((value) => value !== undefined && value !== "");
}

/** Stable over restarts and over the order of keys; a key's secret goes in as a digest alone. */
function idOf(params: JsonObject, group: string): string {
  const sorted = Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
  return sha256Hex(JSON.stringify([group, sorted])).slice(0, 32);
}

const readKeys: ReadonlySet<string> = new Set(Object.keys(LitellmParams.properties));

/** What is neither ours nor LiteLLM's is a default field of the request's body. */
function bodyOf(params: JsonObject): JsonObject {
  const unknown = Object.entries(params).filter(
    ([key]) => !readKeys.has(key) && !litellmParamKeys.has(key),
  );
  const extra = isObject(params["extra_body"]) ? params["extra_body"] : {};
  return { ...Object.fromEntries(unknown), ...extra };
}

/** The operator's words over the catalog's. LiteLLM reads prices from both places. */
function factsOfEntry(params: JsonObject, info: JsonObject, catalog: ModelFacts): ModelFacts {
  const pick = (key: string) => number(params[key]) ?? number(info[key]);
  const price = priceOf(pick, catalog.price);
  const maxInputTokens = number(info["max_input_tokens"]);
  const maxOutputTokens = number(info["max_output_tokens"]) ?? number(info["max_tokens"]);
  const capabilities = { ...catalog.capabilities, ...capabilitiesOf(info) };
  return {
    ...present("price", price),
    ...present("maxInputTokens", maxInputTokens),
    ...present("maxOutputTokens", maxOutputTokens),
    ...present("sizeB", number(info["size_b"])),
    ...(Object.keys(capabilities).length > 0 ? { capabilities } : {}),
  };
}

function priceOf(pick: (key: string) => number | undefined, known?: Price): Price | undefined {
  const input = pick("input_cost_per_token");
  const output = pick("output_cost_per_token");
  if (input === undefined && output === undefined) return undefined;
  return {
    inputUsdPerToken: input ?? known?.inputUsdPerToken ?? 0,
    outputUsdPerToken: output ?? known?.outputUsdPerToken ?? 0,
    ...present("cacheReadUsdPerToken", pick("cache_read_input_token_cost")),
    ...present("cacheWriteUsdPerToken", pick("cache_creation_input_token_cost")),
  };
}

const capabilityKeys: Readonly<Record<Capability, readonly string[]>> = {
  tools: ["supports_function_calling", "supports_tools"],
  vision: ["supports_vision"],
  json_schema: ["supports_response_schema"],
  audio: ["supports_audio_input"],
  reasoning: ["supports_reasoning"],
};

function capabilitiesOf(info: JsonObject): Partial<Record<Capability, boolean>> {
  const told: Partial<Record<Capability, boolean>> = {};
  for (const [capability, keys] of Object.entries(capabilityKeys) as [Capability, string[]][]) {
    const value = keys.map((key) => info[key]).find((each) => typeof each === "boolean");
    if (typeof value === "boolean") told[capability] = value;
  }
  return told;
}

function text(value: Json | undefined): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

function number(value: Json | undefined): number | undefined {
  return typeof value === "number" && Number.isFinite(value) ? value : undefined;
}

const ms = (seconds: number | undefined) => (seconds === undefined ? undefined : seconds * 1000);

function textMap(value: Json | undefined): Record<string, string> {
  if (!isObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([name, each]) => [name.toLowerCase(), String(each)]),
  );
}

function present<K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, V>);
}
