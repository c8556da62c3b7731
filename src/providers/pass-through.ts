/**
 * Ways through to a provider's own API, under the gateway's keys: `/openai/*`, `/anthropic/*`,
 * `/gemini/*` …, and the operator's `pass_through_endpoints`. Here is where they lead and with which
 * key; what a path may not do is decided here as well.
 */
import type { Config, PassThroughEndpoint } from "../config/config.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import { headersFor, type Provider } from "./provider.ts";
import { findProvider } from "./registry.ts";
import type { Environment } from "./resolve.ts";

export interface PassThroughTarget {
  /** Stands in receipts and metrics, where other calls have the deployment that answered. */
  readonly deployment: Deployment;
  readonly baseUrl: string;
  /** The provider's key, and what the operator adds. */
  readonly headers: Readonly<Record<string, string>>;
  /** False: the operator opened it to callers without a key. */
  readonly needsKey: boolean;
  /** The caller's headers go along, those with keys and of the connection apart. */
  readonly forwardHeaders: boolean;
  readonly timeoutMs?: number;
  /** Whole micro-USD per request; undefined: by what was used. */
  readonly costMicroUsd?: number;
}

export interface PassThroughMatch {
  readonly target: PassThroughTarget;
  /** What follows the target's own path, its "/" included; percent-encoded as it came. */
  readonly rest: string;
}

export interface PassThroughTable {
  /** One of the operator's; they stand above every other path. Undefined where there are none. */
  readonly findEndpoint: ((path: string) => PassThroughMatch | undefined) | undefined;
  /** @throws GatewayError not_found where a provider is named that has no key here. */
  findProvider(path: string): PassThroughMatch | undefined;
}

export interface PassThroughSource {
  readonly config: Pick<Config, "general" | "environment">;
  readonly deployments: readonly Deployment[];
  readonly env: Environment;
}

export function createPassThroughTable(source: PassThroughSource): PassThroughTable {
  const endpoints = source.config.general.passThroughEndpoints.map((endpoint) => ({
    endpoint,
    target: ofEndpoint(endpoint),
  }));
  const byProvider = new Map<string, PassThroughTarget | undefined>();

  function ofPrefix(prefix: string): PassThroughTarget | undefined {
    if (byProvider.has(prefix)) return byProvider.get(prefix);
    const provider = findProvider(prefix);
    const target = provider && ofProvider(provider, source);
    if (provider) byProvider.set(prefix, target);
    return target;
  }

  function findEndpoint(path: string): PassThroughMatch | undefined {
    for (const { endpoint, target } of endpoints) {
      if (path === endpoint.path) return { target, rest: "" };
      if (endpoint.includeSubpath && path.startsWith(`${endpoint.path}/`)) {
        return { target, rest: path.slice(endpoint.path.length) };
      }
    }
    return undefined;
  }

  return {
    findEndpoint: endpoints.length > 0 ? findEndpoint : undefined,
    findProvider(path) {
      const written = /^\/([\w.-]+)\//.exec(path)?.[1];
      if (written === undefined) return undefined;
      const prefix = otherPrefixes[written] ?? written;
      if (!findProvider(prefix)) return undefined;
      const target = ofPrefix(prefix);
      if (target) return { target, rest: path.slice(written.length + 1) };
      throw withoutKey(prefix);
    },
  };
}

function withoutKey(prefix: string): GatewayError {
  const provider = findProvider(prefix);
  const names = provider?.auth.kind === "none" ? [] : (provider?.auth.env ?? []);
  const variables = [...names, ...(provider?.baseUrlEnv ?? [])].slice(0, 2).join(" or ");
  return new GatewayError(
    "not_found",
    `The way through to ${prefix} is closed: set ${variables || "its key"}, or use_in_pass_through: true for one of its models.`,
  );
}

/** Where a provider's own API lies, where it is not the base that its models are called at. */
const ownApis: Readonly<Record<string, { readonly base?: string; readonly strip: RegExp }>> = {
  gemini: {
    base: "https://generativelanguage.googleapis.com",
    strip: /\/v1(beta|alpha)?(\/openai)?$/,
  },
  cohere: { base: "https://api.cohere.com", strip: /\/compatibility\/v1$/ },
  deepseek: { base: "https://api.deepseek.com", strip: /\/beta$/ },
  // A model's place is in the path of these, and callers write it themselves.
  azure: { strip: /\/openai(\/.*)?$/ },
  vertex_ai: { strip: /\/v1(beta1)?(\/.*)?$/ },
  bedrock: { strip: /\/model\/.*$/ },
};

/** LiteLLM's other spelling. */
const otherPrefixes: Readonly<Record<string, string>> = { "vertex-ai": "vertex_ai" };

function ofProvider(
  provider: Provider,
  { config, deployments, env: own }: PassThroughSource,
): PassThroughTarget | undefined {
  const env = { ...own, ...config.environment };
  const firstOf = (names: readonly string[]) =>
    names.map((name) => env[name]).find((value) => value !== undefined && value !== "");
  const opened = deployments.find(
    (each) => each.provider === provider.name && each.usedInPassThrough,
  );
  // Tokens are got for models: without one that is opened there is none to lend.
  if (provider.auth.kind === "token" && !opened?.token) return undefined;
  const key = opened?.apiKey ?? firstOf(provider.auth.kind === "none" ? [] : provider.auth.env);
  const told = opened?.apiBase ?? firstOf(provider.baseUrlEnv ?? []);
  if (!opened && key === undefined && told === undefined) return undefined;
  const api = ownApis[provider.name];
  const base = told === undefined ? (api?.base ?? provider.baseUrl) : told.replace(/\/+$/, "");
  if (base === undefined) return undefined;
  const baseUrl = api ? base.replace(api.strip, "") : base;
  if (!URL.canParse(baseUrl)) return undefined;
  const { token, signs } = opened ?? {};
  const wayIn = { ...(token ? { token } : {}), ...(signs ? { signs } : {}) };
  return {
    deployment: { ...toDeployment(provider.name, baseUrl), ...wayIn },
    baseUrl,
    headers: { ...headersFor(provider, token || signs ? undefined : key), ...opened?.headers },
    needsKey: true,
    forwardHeaders: true,
  };
}

/** The way through by one deployment's own key and base, whatever it is a model of. */
export function targetOf(deployment: Deployment): PassThroughTarget | undefined {
  const provider = findProvider(deployment.provider);
  const { token, apiKey, apiBase: baseUrl } = deployment;
  if (!provider || !URL.canParse(baseUrl) || baseUrl.includes("{model}")) return undefined;
  return {
    deployment: { ...toDeployment(provider.name, baseUrl), ...(token ? { token } : {}) },
    baseUrl,
    headers: { ...headersFor(provider, token ? undefined : apiKey), ...deployment.headers },
    needsKey: true,
    forwardHeaders: true,
  };
}

function ofEndpoint(endpoint: PassThroughEndpoint): PassThroughTarget {
  const { path, target, headers, auth, forwardHeaders, timeoutMs, costPerRequestUsd } = endpoint;
  return {
    deployment: toDeployment(path, target),
    baseUrl: target,
    headers,
    needsKey: auth,
    forwardHeaders,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(costPerRequestUsd === undefined
      ? {}
      : { costMicroUsd: Math.round(costPerRequestUsd * 1e6) }),
  };
}

function toDeployment(name: string, apiBase: string): Deployment {
  return {
    id: `pass-through:${name}`,
    group: name,
    candidate: name.startsWith("/") ? name : `${name}/*`,
    provider: name.startsWith("/") ? "pass-through" : name,
    upstreamModel: "*",
    apiBase,
    operation: "pass_through",
    facts: {},
    headers: {},
    body: {},
  };
}

/**
 * The address below a target: never above its base, never on another host, however the path spells
 * it. @throws GatewayError address_refused
 */
export function joinUrl(baseUrl: string, rest: string, search: string): string {
  assertPlain(rest);
  const base = new URL(baseUrl);
  const basePath = base.pathname.replace(/\/+$/, "");
  // `/openai/v1/files` and `/openai/files` mean the same, whether the base ends in /v1 or not.
  const version = /\/v\d+\w*$/.exec(basePath)?.[0];
  const below =
    version !== undefined && (rest === version || rest.startsWith(`${version}/`))
      ? rest.slice(version.length)
      : rest;
  const query = [base.search.slice(1), search.replace(/^\?/, "")].filter(Boolean).join("&");
  const text = `${base.origin}${basePath}${below}${query ? `?${query}` : ""}`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || url.origin !== base.origin || !url.pathname.startsWith(basePath)) {
    throw refusedPath(rest);
  }
  return url.href;
}

/** A path that means one thing to everybody: no steps upwards, no second host, nothing hidden twice. */
function assertPlain(rest: string): void {
  if (rest !== "" && !rest.startsWith("/")) throw refusedPath(rest);
  let text = rest;
  for (let round = 0; round < 3; round++) {
    if (/[\\\p{Cc}]|^\/\/|(^|\/)\.{1,2}(\/|$|;)/u.test(text)) throw refusedPath(rest);
    let decoded: string;
    try {
      decoded = decodeURIComponent(text);
    } catch {
      throw refusedPath(rest); // a stray "%": servers differ in what they make of it
    }
    if (decoded === text) return;
    text = decoded;
  }
  throw refusedPath(rest);
}

function refusedPath(rest: string): GatewayError {
  return new GatewayError(
    "address_refused",
    `The path "${excerpt(rest)}" does not lead anywhere below the provider's address.`,
  );
}
