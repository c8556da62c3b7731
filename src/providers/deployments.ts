/** `model_list` as deployments: provider found, key and base URL in place, facts on top of each other. */
import type { Config, ModelEntry } from "../config/config.ts";
import type { Finding } from "../config/finding.ts";
import { litellmParamKeys } from "../config/sections/known-keys.ts";
import { LitellmParams } from "../config/sections/model-list.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import {
  type Capability,
  type CooldownRules,
  type Deployment,
  type Mock,
  type ModelFacts,
  type ParamRules,
  toOperation,
} from "../domain/model.ts";
import { sha256Hex } from "../security/hashing.ts";
import { isPriceKey, priceOfEntry } from "./litellm-prices.ts";
import { toOwnAccessRule } from "./own-access.ts";
import { withTerms } from "./price-terms.ts";
import type { Provider } from "./provider.ts";
import { findProvider } from "./registry.ts";
import { type Environment, resolveProvider, type ServedModel } from "./resolve.ts";

export interface DeploymentSource {
  /** The process environment; the configuration's own stands above it. */
  readonly env: Environment;
  /** The catalog's facts of a provider's model; empty where it knows nothing. */
  readonly factsOf: (provider: string, model: string) => ModelFacts;
}

export interface Deployments {
  readonly deployments: readonly Deployment[];
  /** An error for a row that cannot work, a warning for one that is off or lacks its key. */
  readonly findings: readonly Finding[];
  /** Rows whose provider LiteLLM serves and we do not. */
  readonly off: readonly {
    readonly group: string;
    readonly model: string;
    readonly message: string;
  }[];
}

export function toDeployments(config: Config, source: DeploymentSource): Deployments {
  const env = { ...source.env, ...config.environment };
  const findings: Finding[] = [];
  const off: Deployments["off"][number][] = [];
  const seen = new Map<string, number>();
  const deployments = config.models.flatMap((entry): Deployment[] => {
    const elsewhere = belongsElsewhere(entry, config.general.environment);
    if (elsewhere === true) return [];
    if (elsewhere) {
      findings.push(elsewhere);
      return [];
    }
    const served = resolveProvider(entry.params, env);
    if (served.status !== "served") {
      const level = served.status === "not_served_yet" ? "warning" : "error";
      findings.push(toFinding(entry, level, served.key, served.message, served.remedy));
      off.push({ group: entry.modelName, model: entry.params.model, message: served.message });
      return [];
    }
    if (served.missingKey) findings.push(missingKey(entry, served.missingKey));
    const deployment = toDeployment(entry, served, source, config);
    // Two rows that are the same to the letter are two shares of the load, and two ids.
    const times = (seen.get(deployment.id) ?? 0) + 1;
    seen.set(deployment.id, times);
    return [times === 1 ? deployment : { ...deployment, id: `${deployment.id}-${times}` }];
  });
  return { deployments, findings, off };
}

/** LiteLLM's rule: a row that names environments asks for LITELLM_ENVIRONMENT, and is served in those alone. */
function belongsElsewhere(entry: ModelEntry, here: string | undefined): Finding | boolean {
  const named = entry.info["supported_environments"];
  if (!Array.isArray(named)) return false;
  if (here !== undefined) return !named.includes(here);
  const { file, line, modelName } = entry;
  return {
    level: "error",
    file,
    line,
    path: `model_list.${modelName}.model_info.supported_environments`,
    message: "the row is for certain environments, and nothing says which one this is",
    remedy: `Set LITELLM_ENVIRONMENT to one of ${named.map(String).join(", ")}, or leave supported_environments out.`,
  };
}

function toFinding(
  { file, line, modelName }: ModelEntry,
  level: Finding["level"],
  key: string,
  problem: string,
  remedy: string,
): Finding {
  const path = `model_list.${modelName}.litellm_params.${key}`;
  return { level, file, line, path, message: problem, remedy };
}

function missingKey(entry: ModelEntry, names: readonly string[]): Finding {
  const message = `no key is set for ${entry.params.model}; its calls will be refused by the provider`;
  return toFinding(entry, "warning", "api_key", message, `Set ${names.join(" or ")}, or api_key.`);
}

function toDeployment(
  { params, info, modelName }: ModelEntry,
  { provider, upstreamModel, apiBase, apiKey, token, signs, query }: ServedModel,
  source: DeploymentSource,
  { router, litellm, general }: Config,
): Deployment {
  const { name, speaksResponses } = readApi(upstreamModel, info, provider);
  const [seller, sold] = catalogName(info["base_model"], provider.name, name);
  const facts = factsAt(signs?.region, seller, sold, source);
  const timeoutS = number(params["timeout"]) ?? number(params["request_timeout"]);
  return {
    id: text(info["id"]) ?? idOf(params, modelName),
    group: modelName,
    candidate: params.model,
    provider: provider.name,
    upstreamModel: name,
    apiBase,
    ...operationOf(info, facts, { provider, upstreamModel: name }),
    facts: onTerms({ ...facts, ...factsOfEntry(params, info, facts) }, provider.name, litellm),
    headers: {
      ...(text(params["organization"])
        ? { "openai-organization": String(params["organization"]) }
        : {}),
      ...textMap(params["headers"]),
      ...textMap(params["extra_headers"]),
    },
    body: bodyOf(params),
    ...present("apiKey", apiKey),
    ...present("token", token),
    ...present("signs", signs),
    ...present("query", query),
    ...present("weight", number(params["weight"])),
    ...present("rpm", number(params["rpm"])),
    ...present("tpm", number(params["tpm"])),
    ...present("order", number(params["order"])),
    ...present("maxParallelRequests", parallelOf(params, router.maxParallelRequests)),
    ...present("timeoutMs", ms(timeoutS)),
    ...present("streamTimeoutMs", ms(number(params["stream_timeout"]))),
    ...present("firstTokenMs", ms(number(params["ttft_timeout"]))),
    ...present("streamIdleMs", ms(number(params["stream_idle_timeout"]))),
    ...present("keepaliveMs", ms(number(params["keepalive_seconds"])) ?? general.keepaliveMs),
    ...present("numRetries", number(params["num_retries"])),
    ...present("cooldownS", number(params["cooldown_time"]) ?? number(info["cooldown_time"])),
    ...present("cooldownRules", cooldownRulesOf(info)),
    ...present("region", regionOf(params)),
    ...present("mock", mockOf(params)),
    ...present("ownAccess", toOwnAccessRule(params["configurable_clientside_auth_params"])),
    ...present("paramRules", paramRulesOf(params, litellm.modifyParams)),
    ...(Array.isArray(params["tags"]) ? { tags: params["tags"].map(String) } : {}),
    ...((params["drop_params"] ?? litellm.dropParams) === true ? { dropParams: true } : {}),
    ...(Object.keys(info).length > 0 ? { info } : {}),
    ...(params["use_in_pass_through"] === true ? { usedInPassThrough: true } : {}),
    ...(params["merge_reasoning_content_in_choices"] === true ? { mergesReasoning: true } : {}),
    ...(info["simulated"] === true ? { simulated: true } : {}),
    ...(speaksResponses ? { speaksResponses } : {}),
    ...(general.forwardClientHeaders ? { forwardsHeaders: true } : {}),
  };
}

function onTerms(
  facts: ModelFacts,
  provider: string,
  { costTerms }: Config["litellm"],
): ModelFacts {
  if (!costTerms || !facts.price) return facts;
  return { ...facts, price: withTerms(facts.price, provider, costTerms) };
}

/** As LiteLLM derives it: the row's own word, its rpm, what its tpm makes likely, the router's word. */
function parallelOf(params: JsonObject, preset: number | undefined): number | undefined {
  const rpm = number(params["rpm"]);
  const tpm = number(params["tpm"]);
  return (
    number(params["max_parallel_requests"]) ??
    (rpm === undefined ? undefined : Math.max(1, Math.floor(rpm))) ??
    (tpm === undefined ? undefined : Math.max(1, Math.floor((tpm / 1000) * 6))) ??
    preset
  );
}

function cooldownRulesOf(info: JsonObject): CooldownRules | undefined {
  const allowedFails = number(info["allowed_fails"]);
  const policy = info["allowed_fails_policy"];
  if (allowedFails === undefined && !isObject(policy)) return undefined;
  return {
    ...present("allowedFails", allowedFails),
    ...(isObject(policy) ? { allowedFailsPolicy: policy as Record<string, number> } : {}),
  };
}

function paramRulesOf(params: JsonObject, modifyParams: boolean): ParamRules | undefined {
  const names = (key: string) => {
    const list = params[key];
    return Array.isArray(list) && list.length > 0 ? list.map(String) : undefined;
  };
  const rules = {
    ...present("drop", names("additional_drop_params")),
    ...present("allow", names("allowed_openai_params")),
    ...((params["modify_params"] ?? modifyParams) === true ? { modify: true } : {}),
  };
  return Object.keys(rules).length > 0 ? rules : undefined;
}

const regionKeys = ["region_name", "aws_region_name", "vertex_location", "watsonx_region_name"];

function regionOf(params: JsonObject): string | undefined {
  return regionKeys.map((key) => text(params[key])).find((region) => region !== undefined);
}

function mockOf(params: JsonObject): Mock | undefined {
  const response = params["mock_response"];
  const hangs = params["mock_timeout"] === true;
  const delayMs = ms(number(params["mock_delay"]));
  if (response === undefined && !hangs) return undefined;
  return { ...present("response", response), hangs, ...present("delayMs", delayMs) };
}

/** Some models cost otherwise in some regions. */
function factsAt(
  region: string | undefined,
  seller: string,
  sold: string,
  { factsOf }: DeploymentSource,
): ModelFacts {
  const facts = factsOf(seller, sold);
  const { price } = region === undefined ? {} : factsOf(seller, `${region}/${sold}`);
  return price ? { ...facts, price } : facts;
}

/** `model_info.mode` above the catalog's; a mode that has no API of its own here counts as unsaid. */
function operationOf(
  info: JsonObject,
  { mode }: ModelFacts,
  { provider, upstreamModel }: Pick<ServedModel, "provider" | "upstreamModel">,
): Pick<Deployment, "operation" | "operationFrom"> {
  const told = toOperation(info["mode"]);
  if (told) return { operation: told, operationFrom: "operator" };
  // Gemini's models draw and speak through generateContent, beside whatever else they are for.
  const isGemini = provider.dialect.name === "gemini" && mode !== "embedding";
  if (isGemini) return { operation: "chat" };
  if (mode) return { operation: mode, operationFrom: "catalog" };
  if (provider.paths.chat !== undefined) return { operation: "chat" };
  // A service that does not chat: its models are for what their names say.
  const ranks = provider.paths.rerank !== undefined && /rerank/i.test(upstreamModel);
  return { operation: ranks ? "rerank" : "embedding" };
}

/** What the catalog calls the model: `base_model`, which may have a provider of its own, comes first. */
function catalogName(
  base: Json | undefined,
  provider: string,
  upstreamModel: string,
): readonly [provider: string, model: string] {
  const name = text(base);
  if (name === undefined) return [provider, upstreamModel];
  const slash = name.indexOf("/");
  const owner = slash < 0 ? undefined : findProvider(name.slice(0, slash));
  return owner ? [owner.name, name.slice(slash + 1)] : [provider, name];
}

/** LiteLLM's ways to say that a model is asked through the Responses API. */
function readApi(
  model: string,
  info: JsonObject,
  { paths }: Provider,
): { readonly name: string; readonly speaksResponses: boolean } {
  if (paths.responses === undefined) return { name: model, speaksResponses: false };
  const prefix = "responses/";
  if (model.startsWith(prefix)) return { name: model.slice(prefix.length), speaksResponses: true };
  return { name: model, speaksResponses: info["mode"] === "responses" };
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
    ([key]) => !readKeys.has(key) && !litellmParamKeys.has(key) && !isPriceKey(key),
  );
  const extra = isObject(params["extra_body"]) ? params["extra_body"] : {};
  return { ...Object.fromEntries(unknown), ...extra };
}

/** The operator's words over the catalog's. LiteLLM reads prices from both places. */
function factsOfEntry(params: JsonObject, info: JsonObject, catalog: ModelFacts): ModelFacts {
  const price = priceOfEntry({ ...pricesIn(info), ...pricesIn(params) }, catalog.price);
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

const pricesIn = (entry: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(entry).filter(([key]) => isPriceKey(key)));

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
