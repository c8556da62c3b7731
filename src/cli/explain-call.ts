/** What a call to a model would do, step by step, read off the configuration; nobody is asked. */
import type { Config } from "../config/config.ts";
import type { Call } from "../domain/call.ts";
import { type ErrorCode, GatewayError, toGatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Deployment, Operation } from "../domain/model.ts";
import { resolveNames } from "../gateway/resolve-names.ts";
import { fallbacksFor } from "../pipeline/fallbacks.ts";
import { readOptions } from "../pipeline/read-options.ts";
import { retriesFor } from "../pipeline/retry.ts";
import { retryBudgetLimits } from "../pipeline/retry-budget.ts";
import { applyRules, createCallRules } from "../pipeline/rules.ts";
import { timeoutsFor } from "../pipeline/timeouts.ts";
import { loadCatalog } from "../providers/catalog.ts";
import { fillUrl, urlFor } from "../providers/provider.ts";
import { findProvider } from "../providers/registry.ts";
import { findBalancer } from "../routing/balancers/registry.ts";
import { customName } from "../routing/custom/plan.ts";
import { untrainedChoice } from "../routing/in-force.ts";
import { findPolicy } from "../routing/policies/registry.ts";
import { createPool } from "../routing/pool.ts";
import type { Resolution, ResolveTable } from "../routing/resolve.ts";
import { systemClock } from "../std/clock.ts";
import { systemRandom } from "../std/random.ts";

export interface Step {
  readonly step: string;
  readonly says: readonly string[];
}

export interface CallAsked {
  readonly model: string;
  readonly operation: Operation;
  /** Fields beside the model, such as tags. */
  readonly body: JsonObject;
}

export interface Explainer {
  /** Every name that may be asked for, patterns apart. */
  readonly names: readonly string[];
  /** `ok`: it would be tried. */
  explain(asked: CallAsked): { readonly ok: boolean; readonly steps: readonly Step[] };
}

export function createExplainer(
  config: Config,
  env: Readonly<Record<string, string | undefined>>,
): Explainer {
  const { table, off } = resolveNames(config, env, loadCatalog());
  const names = [...new Set([...table.names, ...off.map(({ group }) => group)])];
  return { names, explain: (asked) => explain(asked, table, config) };
}

function explain(asked: CallAsked, table: ResolveTable, config: Config) {
  const { model, operation } = asked;
  const found = table.find(model, operation);
  const named: Step = { step: "name", says: nameOf(model, found, table, config) };
  const call = toCall(asked);
  if (!found || found.deployments.length === 0) {
    const code = found || table.reasonOff(model) ? "unsupported_capability" : undefined;
    const after = code ? fallbackLines(call, config, model, [[code, "it cannot be served"]]) : [];
    const rest = after.length > 0 ? [{ step: "fallbacks", says: after }] : [];
    return { ok: after.length > 0, steps: [named, ...rest] };
  }
  const rows: Step = { step: "rows", says: found.deployments.map((each) => rowOf(each, call)) };
  const { left, why } = leftAfterRules(call, found, config);
  const rules: readonly Step[] = why.length > 0 ? [{ step: "rules", says: why }] : [];
  const first = left.deployments[0];
  if (!first) return { ok: false, steps: [named, rows, ...rules] };
  const steps: Step[] = [
    named,
    rows,
    ...rules,
    { step: "choice", says: choiceLines(left, config) },
    { step: "time", says: timeLines(call, first, config) },
    { step: "retries", says: retryLines(call, left, config) },
    { step: "fallbacks", says: fallbackLines(call, config, left.group, failures) },
    { step: "rest", says: restLines(left, config) },
    { step: "limits", says: limitLines(config) },
  ];
  return { ok: true, steps: steps.filter(({ says }) => says.length > 0) };
}

function toCall({ model, operation, body }: CallAsked): Call {
  const whole = { model, messages: [{ role: "user", content: "hello" }], ...body };
  const headers = new Headers();
  return {
    id: "explained",
    requestId: "explained",
    operation,
    dialect: "openai-chat",
    caller: { id: "explained", tenant: "default", admin: true },
    requestedModel: model,
    stream: body["stream"] === true,
    text: JSON.stringify(whole),
    body: whole,
    headers,
    signal: new AbortController().signal,
    startedAtMs: 0,
    startedUs: 0,
    options: readOptions(headers, whole),
  };
}

function nameOf(
  model: string,
  found: Resolution | undefined,
  table: ResolveTable,
  { router, routeiq }: Config,
): string[] {
  const alias = Object.hasOwn(router.modelGroupAlias, model)
    ? router.modelGroupAlias[model]
    : undefined;
  const named = alias ? [`"${model}" is an alias of "${alias.model}"`] : [];
  if (!found) {
    const off = table.reasonOff(model);
    if (off !== undefined) return [...named, `"${model}" is configured, and turned off: ${off}`];
    return [...named, `"${model}" is unknown: 400, "Invalid model name passed in model=${model}"`];
  }
  const { kind, group, deployments } = found;
  const rows = `${deployments.length} ${deployments.length === 1 ? "row" : "rows"}`;
  if (kind === "deployment") return [...named, `"${model}" is a deployment's id, of "${group}"`];
  if (kind === "auto") {
    const of = routeiq.autoModels[group]?.candidates?.join(", ") ?? "every chat group";
    return [...named, `"${group}" ranks the models of ${of}: ${rows}`];
  }
  const isWildcard = deployments.some(({ wildcard }) => wildcard);
  const isGroup = table.groups.some(({ name }) => name === group);
  const what = isWildcard
    ? `"${group}" is taken by a wildcard`
    : isGroup
      ? `the group "${group}"`
      : `the rows of the underlying model "${group}"`;
  return [...named, `${what}: ${rows}`];
}

function rowOf(deployment: Deployment, { operation }: Call): string {
  const { id, candidate, provider: name, apiBase, apiKey, token, facts } = deployment;
  const named = findProvider(name);
  const provider = named?.variantOf?.(deployment.upstreamModel) ?? named;
  const url =
    provider && (urlFor(provider, apiBase, operation) ?? urlFor(provider, apiBase, "chat"));
  const { order, weight, rpm, tpm, region, tags, maxParallelRequests } = deployment;
  const traits: readonly (readonly [string, unknown])[] = [
    ["order", order],
    ["weight", weight],
    ["rpm", rpm],
    ["tpm", tpm],
    ["at once", maxParallelRequests],
    ["region", region],
    ["tags", tags?.join(" ")],
    ["input tokens", facts.maxInputTokens],
  ];
  const told = traits.filter(([, value]) => value !== undefined).map((each) => each.join(" "));
  const key = token ? "a token" : apiKey ? "a key" : "no key";
  const price = facts.price ? [] : ["no price known"];
  const where = deployment.mock
    ? "answered by a mock"
    : `POST ${url ? fillUrl(url, deployment) : apiBase}`;
  return `${id}: ${candidate}, ${where}, with ${[key, ...told, ...price].join(", ")}`;
}

function leftAfterRules(call: Call, found: Resolution, config: Config) {
  const rules = createCallRules(config);
  const pool = createPool(systemClock, systemRandom);
  try {
    const left = applyRules(call, found, { rules, pool, config });
    const gone = found.deployments.filter(
      ({ id }) => !left.deployments.some((each) => each.id === id),
    );
    const why = gone.length > 0 ? [`left out: ${gone.map(({ id }) => id).join(", ")}`] : [];
    return { left, why };
  } catch (thrown) {
    const { status, message } = toGatewayError(thrown);
    return { left: { ...found, deployments: [] }, why: [`refused, ${status}: ${message}`] };
  }
}

function choiceLines({ deployments }: Resolution, { router }: Config): string[] {
  const levels = [...new Set(deployments.map(({ order }) => order ?? Number.POSITIVE_INFINITY))];
  const first = Math.min(...levels);
  const offered = deployments.filter(({ order }) => (order ?? Number.POSITIVE_INFINITY) === first);
  const ordered =
    levels.length > 1 ? [`order ${first} first: ${offered.map(({ id }) => id).join(", ")}`] : [];
  const only = offered.length === 1 ? offered[0] : undefined;
  if (only) return [...ordered, `${only.id}: nothing to choose`];
  const balancer = findBalancer(router.routingStrategy);
  if (!balancer) {
    const models = [...new Set(offered.map(({ candidate }) => candidate))].join(", ");
    const within = router.routingStrategyArgs.balancer ?? "simple-shuffle";
    const fallback = untrainedChoice(router);
    if (findPolicy(router.routingStrategy) || router.routingStrategy === customName) {
      const how = findPolicy(router.routingStrategy)?.summary ?? "your module scores them";
      const told = `${router.routingStrategy} chooses among ${models}: ${how}; where it fails, ${fallback} decides`;
      return [...ordered, told, `among the rows of the chosen model: ${within}`];
    }
    return [
      ...ordered,
      `${router.routingStrategy} ranks ${models} for each query, by the router of ${router.routingStrategyArgs.model_path ?? "no model_path"}; without one ${fallback} decides`,
      `among the rows of the chosen model: ${within}`,
    ];
  }
  const shares = balancer.probabilities?.(offered);
  const told = shares
    ? offered.map(({ id }, i) => `${id} ${Math.round((shares[i] ?? 0) * 100)} %`).join(", ")
    : `by what it has seen, among ${offered.map(({ id }) => id).join(", ")}`;
  return [...ordered, `${balancer.name}: ${told}`];
}

const seconds = (ms: number) => `${Number((ms / 1000).toFixed(3))} s`;

function timeLines(call: Call, deployment: Deployment, config: Config): string[] {
  const whole = timeoutsFor({ ...call, stream: false }, deployment, config);
  const stream = timeoutsFor({ ...call, stream: true }, deployment, config);
  return [
    `an attempt: ${seconds(whole.connectMs)} to connect, ${seconds(whole.totalMs)} in all`,
    `a stream: first token within ${seconds(stream.firstTokenMs)}, then ${seconds(stream.idleMs)} between events`,
  ];
}

const failures: readonly (readonly [ErrorCode, string])[] = [
  ["upstream_failed", "a failure of the provider"],
  ["context_length_exceeded", "too long an input"],
  ["content_policy_violation", "refused content"],
];

const retried: readonly (readonly [ErrorCode, string])[] = [
  ["upstream_failed", "5xx"],
  ["upstream_unreachable", "no connection"],
  ["upstream_timeout", "a timeout"],
  ["rate_limited", "429"],
  ["upstream_auth", "401 or 403"],
];

function retryLines(call: Call, { deployments }: Resolution, config: Config): string[] {
  const [first] = deployments;
  if (!first) return [];
  const counts = Map.groupBy(retried, ([code]) =>
    retriesFor(new GatewayError(code, ""), call, first, config),
  );
  const others = deployments.length > 1;
  const lines = [...counts].map(([count, codes]) => {
    const after = codes.map(([, name]) => name).join(", ");
    if (count === 0) return `after ${after}: none`;
    return `after ${after}: up to ${count} more`;
  });
  return [
    ...lines,
    others
      ? "on another row at once; on the same one after a wait, where no other is left"
      : "on the same row after a wait; after a timeout or a refused key not at all, as there is no other",
    "never after another 4xx",
  ];
}

function fallbackLines(
  call: Call,
  config: Config,
  group: string,
  after: readonly (readonly [ErrorCode, string])[],
): string[] {
  return after.flatMap(([code, name]) => {
    const targets = fallbacksFor(new GatewayError(code, ""), call, config, group);
    if (targets.length === 0) return [];
    const told = targets.map(({ group: next, params }) =>
      params ? `${next} (with ${Object.keys(params).join(", ")})` : next,
    );
    return [`after ${name}: ${told.join(", then ")}`];
  });
}

function restLines({ deployments }: Resolution, { router }: Config): string[] {
  if (router.disableCooldowns) return ["no row ever rests"];
  if (deployments.length < 2) return ["the only row of a group never rests"];
  const times = [...new Set(deployments.map(({ cooldownS }) => cooldownS ?? router.cooldownTimeS))];
  const rule =
    router.allowedFails === undefined && !router.allowedFailsPolicy
      ? "after 429, a refused key, 5 failures in a row, or more than half of a minute's calls"
      : `after more than ${router.allowedFails ?? "its policy's number of"} failures within ${router.cooldownTimeS} s`;
  return [`a row rests ${times.join(" or ")} s ${rule}; the last one never does`];
}

function limitLines({ routeiq }: Config): string[] {
  const { share, floor, windowS, stormShare } = retryBudgetLimits;
  return [
    `at most ${routeiq.maxAttempts} attempts, fallbacks included`,
    `retries of the whole gateway: ${share * 100} % of the last ${windowS} s' calls or ${floor}, whichever is more; ${stormShare * 100} % while most calls fail`,
  ];
}
