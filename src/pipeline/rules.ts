/**
 * Which deployments of a name may answer a call, by what is configured or asked for: tags, region,
 * LiteLLM's pre-call checks, and mocks. Made once per configuration; most have none of it.
 */
import type { Config } from "../config/config.ts";
import type { Call, CallOptions, RouterOverride } from "../domain/call.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type Json } from "../domain/json.ts";
import type { Deployment } from "../domain/model.ts";
import { withOwnAccess } from "../providers/own-access.ts";
import type { Balancer } from "../routing/balancers/balancer.ts";
import { balancers, findBalancer } from "../routing/balancers/registry.ts";
import { reasonAgainst, toNeeds } from "../routing/candidates.ts";
import type { Pool } from "../routing/pool.ts";
import { estimateInputTokens } from "../routing/query-text.ts";
import { noDeployment } from "../routing/ranking.ts";
import type { Resolution } from "../routing/resolve.ts";

export interface CallRules {
  readonly tags?: { readonly matchAny: boolean };
  /** Context windows and capabilities hold per deployment. */
  readonly checksFacts: boolean;
  /** `rpm` and `tpm` are limits, whatever the balancer. */
  readonly checksRates: boolean;
}

/** Undefined where the configuration asks for none, which is what costs nothing. */
export function createCallRules({ router }: Config): CallRules | undefined {
  const { tagFiltering, enablePreCallChecks, enforceRateLimits } = router;
  if (!tagFiltering && !enablePreCallChecks && !enforceRateLimits) return undefined;
  return {
    ...(tagFiltering ? { tags: tagFiltering } : {}),
    checksFacts: enablePreCallChecks,
    checksRates: enablePreCallChecks || enforceRateLimits,
  };
}

interface Checks {
  readonly rules?: CallRules | undefined;
  readonly pool: Pool;
  readonly config: Config;
}

/** @throws GatewayError where none is left, saying which rule it was. */
export function applyRules(call: Call, found: Resolution, checks: Checks): Resolution {
  const { rules, pool, config } = checks;
  const { region, mock, ownAccess } = call.options;
  let able = found.deployments;
  if (region !== undefined) able = inRegion(able, region, found.group);
  if (rules?.checksFacts || rules?.checksRates) able = withinLimits(able, call, found, rules, pool);
  if (rules?.tags) able = byTags(able, tagsOf(call), rules.tags.matchAny, pool);
  if (ownAccess) able = withOwnAccess(able, ownAccess);
  if (mock) able = mocked(able, call, mock, config);
  return able === found.deployments ? found : { ...found, deployments: able };
}

/** Regions of the European Union and its economic area, as the clouds name them. */
const european =
  /^(eu|europe)(-|$)|^(west|north)europe$|^(france|germany|italy|spain|sweden|poland|norway|austria)/;

export function isInRegion({ region }: Deployment, allowed: string): boolean {
  if (region === undefined) return false;
  const here = region.toLowerCase();
  const wanted = allowed.toLowerCase();
  if (here === wanted || here.startsWith(`${wanted}-`)) return true;
  return wanted === "eu" && european.test(here);
}

function inRegion(deployments: readonly Deployment[], region: string, group: string) {
  const able = deployments.filter((each) => isInRegion(each, region));
  if (able.length > 0) return able;
  throw new GatewayError(
    "unsupported_capability",
    `No deployment of "${excerpt(group)}" is known to be in the region "${excerpt(region)}". Set region_name in its litellm_params, or leave allowed_model_region out.`,
    { param: "allowed_model_region" },
  );
}

/** LiteLLM's `_pre_call_checks`, row by row; the reason of the last one decides the error. */
function withinLimits(
  deployments: readonly Deployment[],
  call: Call,
  { group }: Resolution,
  rules: CallRules,
  pool: Pool,
): readonly Deployment[] {
  const body = call.chat ?? call.body;
  const needs = toNeeds(body, estimateInputTokens(body));
  const suited = rules.checksFacts
    ? deployments.filter(({ facts }) => reasonAgainst(facts, needs) === undefined)
    : deployments;
  // What no row can do is told by the router, in its words.
  if (suited.length === 0) return deployments;
  if (!rules.checksRates) return suited;
  const able = suited.filter((each) => hasRate(each, needs.inputTokens, pool));
  if (able.length > 0) return able;
  throw noDeployment(group, pool.retryAfterS(suited));
}

function hasRate({ id, rpm, tpm }: Deployment, inputTokens: number, { stats }: Pool): boolean {
  if (rpm !== undefined && stats.requestsThisMinute(id) >= rpm) return false;
  return tpm === undefined || stats.tokensThisMinute(id) + inputTokens <= tpm;
}

/** `tags`, `metadata.tags`, `litellm_metadata.tags` of the body, and the header's. */
export function tagsOf({ body, headers }: Pick<Call, "body" | "headers">): readonly string[] {
  const told = [body, body["metadata"], body["litellm_metadata"]].flatMap(tagsIn);
  const header = headers.get("x-litellm-tags");
  const named = header === null ? [] : header.split(",").map((tag) => tag.trim());
  return [...told, ...named].filter((tag) => tag !== "");
}

function tagsIn(holder: Json | undefined): string[] {
  const tags = isObject(holder) ? holder["tags"] : undefined;
  return Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string") : [];
}

/**
 * Those that share the request's tags, else those tagged `default`; an untagged request goes to
 * `default` ones, else to any. One that rests counts as not there while another is.
 */
function byTags(
  deployments: readonly Deployment[],
  wanted: readonly string[],
  matchAny: boolean,
  { isEjected }: Pool,
): readonly Deployment[] {
  const has = ({ tags = [] }: Deployment) =>
    matchAny ? wanted.some((tag) => tags.includes(tag)) : wanted.every((tag) => tags.includes(tag));
  const tagged = wanted.length > 0 ? deployments.filter(has) : [];
  const preset = deployments.filter(({ tags }) => tags?.includes("default"));
  const awake = (list: readonly Deployment[]) => list.some(({ id }) => !isEjected(id));
  if (awake(tagged)) return tagged;
  if (awake(preset)) return preset;
  if (tagged.length > 0) return tagged;
  if (preset.length > 0) return preset;
  if (wanted.length === 0) return deployments;
  throw new GatewayError(
    "permission_denied",
    `Not allowed to access model due to tags configuration: no deployment has ${matchAny ? "one" : "all"} of the tags ${excerpt(wanted.join(", "))}, and none is tagged "default".`,
    { status: 401, param: "tags" },
  );
}

/** The same deployments, answering out of the request: free of charge, and of no weight. */
function mocked(
  deployments: readonly Deployment[],
  { caller }: Call,
  mock: NonNullable<CallOptions["mock"]>,
  { routeiq: { mockRequests } }: Config,
): readonly Deployment[] {
  if (mockRequests === "nobody" || (mockRequests === "admin" && !caller.admin)) {
    throw new GatewayError(
      "permission_denied",
      "Mocks are closed to this key by routeiq_settings.mock_requests. Leave the mock_… fields out.",
    );
  }
  const price = { inputUsdPerToken: 0, outputUsdPerToken: 0 };
  return deployments.map((each) => ({
    ...each,
    mock,
    uncounted: true,
    facts: { ...each.facts, price },
  }));
}

/** The balancer of `router_settings_override.routing_strategy`. @throws GatewayError invalid_request */
export function toBalancer(
  { routingStrategy }: RouterOverride,
  { router }: Config,
): Balancer | undefined {
  if (routingStrategy === undefined || routingStrategy === router.routingStrategy) return undefined;
  const found = findBalancer(routingStrategy);
  if (found) return found;
  const param = "router_settings_override.routing_strategy";
  throw new GatewayError(
    "invalid_request",
    `"${excerpt(routingStrategy)}" is no strategy that one call may choose. Take one of: ${balancers.map(({ name }) => name).join(", ")}, or ${router.routingStrategy}, which is in force.`,
    { param },
  );
}
