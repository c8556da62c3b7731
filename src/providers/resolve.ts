/**
 * From `litellm_params` to a provider, its name for the model, an address and a key, by LiteLLM's
 * rules: `custom_llm_provider`, else the prefix, else the address, else the family of a bare name.
 */
import type { JsonObject } from "../domain/json.ts";
import type { AwsGrant, TokenGrant } from "../domain/model.ts";
import { rankNearest } from "../std/nearest.ts";
import { isLocated, type Provider } from "./provider.ts";
import { findProvider, notServedYet, prefixes, providers } from "./registry.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

export interface ServedModel {
  readonly status: "served";
  readonly provider: Provider;
  /** The name the provider knows the model by. */
  readonly upstreamModel: string;
  /** Without "/" at the end: append `provider.paths`. */
  readonly apiBase: string;
  /** Whether the operator wrote the base (then it may be private) or it is the provider's own. */
  readonly apiBaseFrom: "configuration" | "environment" | "catalog";
  readonly apiKey?: string;
  readonly token?: TokenGrant;
  readonly signs?: AwsGrant;
  readonly query?: string;
  /** The environment names that were looked for in vain, where the provider wants a key. */
  readonly missingKey?: readonly string[];
}

export interface UnservedModel {
  /**
   * `not_served_yet`: LiteLLM serves it and we do not; turn the deployment off with a warning.
   * `unknown`: nobody's prefix, a slip most likely. `incomplete`: an address is missing.
   */
  readonly status: "not_served_yet" | "unknown" | "incomplete";
  /** `litellm_params` key at fault. */
  readonly key: string;
  readonly message: string;
  readonly remedy: string;
}

export type Resolution = ServedModel | UnservedModel;

/** @param params `litellm_params`, references resolved. */
export function resolveProvider(params: JsonObject, env: Environment): Resolution {
  const model = textOf(params["model"]) ?? "";
  const base = textOf(params["api_base"]) ?? textOf(params["base_url"]);
  const found = findByName(model, textOf(params["custom_llm_provider"]), base);
  if ("status" in found) return found;
  const { name } = found;
  const provider = found.provider.variantOf?.(name) ?? found.provider;
  const address = addressOf(provider, base, env);
  const located = provider.locate?.({ ...(address ? { base: address.base } : {}), params, env });
  if (located && !isLocated(located)) return { status: "incomplete", ...located };
  if (!(located || address)) return withoutAddress(provider, model);
  const from = address?.from ?? "catalog";
  const apiBase = located?.base ?? address?.base ?? "";
  const configuredKey = textOf(params["api_key"]);
  const names = provider.auth.kind === "none" ? [] : provider.auth.env;
  const apiKey = configuredKey ?? firstOf(names, env);
  const token = located?.token;
  const signs = located?.signs;
  const hasWayIn = token !== undefined || signs !== undefined;
  const wantsKey = provider.auth.kind !== "none" && from === "catalog" && !isLocal(apiBase);
  return {
    status: "served",
    provider,
    upstreamModel: provider.toModel ? provider.toModel(name) : name,
    apiBase,
    apiBaseFrom: from,
    ...(hasWayIn || apiKey === undefined ? {} : { apiKey }),
    ...(token ? { token } : {}),
    ...(signs ? { signs } : {}),
    ...(located?.query === undefined ? {} : { query: located.query }),
    ...(!hasWayIn && apiKey === undefined && wantsKey ? { missingKey: names } : {}),
  };
}

function withoutAddress(provider: Provider, model: string): UnservedModel {
  const variables = provider.baseUrlEnv?.join(" or ") ?? "";
  return {
    status: "incomplete",
    key: "api_base",
    message: `${provider.name} has no address of its own, and none is given for ${model}`,
    remedy: `Set \`api_base\`${variables ? ` (or ${variables})` : ""}, such as http://host:8000/v1.`,
  };
}

interface Named {
  readonly provider: Provider;
  readonly name: string;
}

function findByName(
  model: string,
  custom: string | undefined,
  base: string | undefined,
): Named | UnservedModel {
  const slash = model.indexOf("/");
  const prefix = slash < 0 ? undefined : model.slice(0, slash);
  const rest = model.slice(slash + 1);
  if (custom !== undefined) {
    const provider = findProvider(custom);
    if (!provider) return unserved(custom, "custom_llm_provider");
    return { provider, name: prefix === custom ? rest : model };
  }
  if (prefix !== undefined) {
    const provider = findProvider(prefix);
    const route = `${prefix}/${rest.split("/")[0]}`;
    if (provider)
      return notServedYet.has(route) ? unserved(route, "model") : { provider, name: rest };
    if (notServedYet.has(prefix)) return unserved(prefix, "model");
  }
  const known = base === undefined ? undefined : findByAddress(base);
  if (known) return { provider: known, name: model };
  const family = prefix === undefined ? familyOf(model) : undefined;
  if (family !== undefined) {
    const provider = findProvider(family);
    return provider ? { provider, name: model } : unserved(family, "model");
  }
  return unknown(model, prefix);
}

/** Bare names whose maker is plain. */
const families: readonly (readonly [RegExp, string])[] = [
  [/^(gpt-|chatgpt-|o[1-9](-|$)|ft:gpt-|text-embedding-(3|ada)|omni-moderation)/, "openai"],
  [/^claude-/, "anthropic"],
  [/^gemini-/, "gemini"],
  [/^command-/, "cohere"],
  [/^deepseek-(chat|reasoner)$/, "deepseek"],
  [
    /^(mistral|codestral|ministral|magistral|pixtral|devstral|open-mistral|open-mixtral)-/,
    "mistral",
  ],
  [/^grok-/, "xai"],
  [
    /^((us|eu|apac|global|jp|au|ca|us-gov)\.)?(anthropic|amazon|meta|cohere|mistral|ai21|deepseek|openai|qwen|writer)\.[a-z]/,
    "bedrock",
  ],
];

const familyOf = (model: string) => families.find(([pattern]) => pattern.test(model))?.[1];

/** A provider whose own host the base names. */
function findByAddress(base: string): Provider | undefined {
  const host = hostOf(base);
  return host === undefined || isLocal(base)
    ? undefined
    : providers.find((provider) => provider.baseUrl && hostOf(provider.baseUrl) === host);
}

function hostOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).host : undefined;
}

const isLocal = (base: string) => /^https?:\/\/(localhost|127\.|\[::1\])/.test(base);

function unserved(prefix: string, key: string): UnservedModel {
  if (!notServedYet.has(prefix)) return unknown(prefix, prefix, key);
  return {
    status: "not_served_yet",
    key,
    message: `the provider "${prefix}" is not served yet`,
    remedy:
      "Remove the entry, or, where the service has an OpenAI-compatible address, write `openai/<model>` with its `api_base`.",
  };
}

function unknown(model: string, prefix: string | undefined, key = "model"): UnservedModel {
  const near = rankNearest(prefix ?? model, prefixes, 3).join(", ");
  const what =
    prefix === undefined ? `"${model}" names no provider` : `no provider is called "${prefix}"`;
  const remedy =
    prefix === undefined
      ? `Write \`provider/model\`, such as \`openai/${model}\`, or set \`custom_llm_provider\`.`
      : `Did you mean one of ${near}? For any OpenAI-compatible server write \`openai/<model>\` with its \`api_base\`.`;
  return { status: "unknown", key, message: what, remedy };
}

interface Address {
  readonly base: string;
  readonly from: ServedModel["apiBaseFrom"];
}

function addressOf(
  provider: Provider,
  base: string | undefined,
  env: Environment,
): Address | undefined {
  if (base !== undefined) return { base: tidy(provider, base), from: "configuration" };
  const told = firstOf(provider.baseUrlEnv ?? [], env);
  if (told !== undefined) return { base: tidy(provider, told), from: "environment" };
  return provider.baseUrl === undefined ? undefined : { base: provider.baseUrl, from: "catalog" };
}

/** Used as written, but for the path that we append ourselves and "/" at the end. */
function tidy(provider: Provider, base: string): string {
  const bare = base.replace(/\/+$/, "").replace(/\/(chat\/completions|embeddings)$/, "");
  return provider.toBase ? provider.toBase(bare) : bare;
}

const textOf = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);

function firstOf(names: readonly string[], env: Environment): string | undefined {
  return names.map((name) => textOf(env[name])).find((value) => value !== undefined);
}
