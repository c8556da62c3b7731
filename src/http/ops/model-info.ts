/**
 * What each deployment is, in LiteLLM's fields: prices, limits, abilities; never a secret.
 * Source: LiteLLM's `/model/info`, `/v2/model/info` and `/model_group/info`.
 */
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Capability, Deployment } from "../../domain/model.ts";
import type { Services } from "../../pipeline/services.ts";
import { toEntry } from "../../providers/litellm-prices.ts";
import type { Route } from "../route.ts";

const caller = { method: "GET", who: "caller", errors: "openai" } as const;

export const modelInfoRoutes: readonly Route[] = [
  ...["/model/info", "/v1/model/info"].map(
    (path): Route => ({
      ...caller,
      path,
      summary: "LiteLLM's list of deployments, without secrets. `?litellm_model_id=` for one.",
      docs: { query: { litellm_model_id: "A deployment's id." } },
      handle: (request, { services }) =>
        Response.json({ data: select(request, services).map(describe) }),
    }),
  ),
  {
    ...caller,
    path: "/v2/model/info",
    summary: "The same in pages: `?page=`, `?size=`, `?model=`, `?modelId=`, `?search=`.",
    docs: {
      query: {
        page: "From 1.",
        size: "At most 500; 50 where it is not said.",
        model: "A group.",
        modelId: "A deployment's id.",
        search: "Text in a group's or a model's name.",
      },
    },
    handle: (request, { services }) => page(request, services),
  },
  {
    ...caller,
    path: "/model_group/info",
    summary:
      "What callers may ask for, each with the sum of its deployments. `?model_group=` for one.",
    docs: { query: { model_group: "A group." } },
    handle: (request, { services }) => groups(request, services),
  },
];

function select(request: Request, { table }: Services): readonly Deployment[] {
  const { searchParams: query } = new URL(request.url);
  const id = query.get("litellm_model_id") ?? query.get("modelId");
  const model = query.get("model");
  const search = query.get("search")?.toLowerCase();
  const found = table.deployments.filter(
    (each) =>
      (id === null || each.id === id) &&
      (model === null || each.group === model) &&
      (search === undefined || `${each.group} ${each.candidate}`.toLowerCase().includes(search)),
  );
  if (id === null || found.length > 0) return found;
  throw new GatewayError(
    "not_found",
    "No deployment has this id. GET /model/info lists them all.",
    {
      param: "litellm_model_id",
    },
  );
}

const pageSize = 50;
const maxPageSize = 500;

function page(request: Request, services: Services): Response {
  const { searchParams: query } = new URL(request.url);
  const size = Math.min(maxPageSize, readCount(query, "size", pageSize));
  const current = readCount(query, "page", 1);
  const all = select(request, services);
  return Response.json({
    data: all.slice((current - 1) * size, current * size).map(describe),
    total_count: all.length,
    current_page: current,
    total_pages: Math.ceil(all.length / size),
    size,
  });
}

function readCount(query: URLSearchParams, name: string, otherwise: number): number {
  const text = query.get(name);
  const count = text === null || text === "" ? otherwise : Number(text);
  if (Number.isInteger(count) && count >= 1) return count;
  throw new GatewayError("invalid_request", `"${name}" must be a whole number of at least 1.`, {
    param: name,
  });
}

/** The operator's own `model_info` goes along, under what we know better. */
function describe(deployment: Deployment): JsonObject {
  const { facts, info = {} } = deployment;
  return {
    model_name: deployment.group,
    litellm_params: withoutUndefined({
      model: deployment.candidate,
      custom_llm_provider: deployment.provider,
      api_base: withoutUser(deployment.apiBase),
      rpm: deployment.rpm,
      tpm: deployment.tpm,
      weight: deployment.weight,
      order: deployment.order,
      max_parallel_requests: deployment.maxParallelRequests,
      timeout: seconds(deployment.timeoutMs),
      stream_timeout: seconds(deployment.streamTimeoutMs),
      num_retries: deployment.numRetries,
      cooldown_time: deployment.cooldownS,
      tags: deployment.tags,
      use_in_pass_through: deployment.usedInPassThrough ?? false,
    }),
    model_info: {
      ...info,
      id: deployment.id,
      db_model: false,
      key: deployment.candidate,
      mode: deployment.operation,
      litellm_provider: deployment.provider,
      max_tokens: facts.maxOutputTokens ?? facts.maxInputTokens ?? null,
      max_input_tokens: facts.maxInputTokens ?? null,
      max_output_tokens: facts.maxOutputTokens ?? null,
      // Null where there is none: a missing price is not a price of zero.
      input_cost_per_token: null,
      output_cost_per_token: null,
      ...toEntry(facts.price),
      ...abilities([deployment], (values) => values[0] ?? null),
      tpm: deployment.tpm ?? null,
      rpm: deployment.rpm ?? null,
      simulated: deployment.simulated ?? false,
    },
  };
}

/** A base may hold a name and a password; they are the operator's. */
function withoutUser(base: string): string {
  if (!URL.canParse(base)) return base;
  const url = new URL(base);
  if (!url.username && !url.password) return base;
  url.username = "";
  url.password = "";
  return url.href;
}

const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

const abilityKeys: Readonly<Record<Capability, string>> = {
  tools: "supports_function_calling",
  vision: "supports_vision",
  json_schema: "supports_response_schema",
  audio: "supports_audio_input",
  reasoning: "supports_reasoning",
};

function abilities(
  deployments: readonly Deployment[],
  sum: (values: readonly (boolean | undefined)[]) => boolean | null,
): JsonObject {
  const pairs = Object.entries(abilityKeys).map(([capability, key]) => [
    key,
    sum(deployments.map(({ facts }) => facts.capabilities?.[capability as Capability])),
  ]);
  return Object.fromEntries(pairs) as JsonObject;
}

function groups(request: Request, { table }: Services): Response {
  const wanted = new URL(request.url).searchParams.get("model_group");
  const found = table.groups.filter(({ name }) => wanted === null || name === wanted);
  const data = found.map(({ name, deployments }) => {
    const facts = deployments.map((each) => each.facts);
    const most = (pick: (each: Deployment) => number | undefined) =>
      largest(deployments.map(pick), (sum, next) => Math.max(sum, next));
    const total = (pick: (each: Deployment) => number | undefined) =>
      largest(deployments.map(pick), (sum, next) => sum + next);
    return {
      model_group: name,
      providers: [...new Set(deployments.map(({ provider }) => provider))],
      mode: deployments[0]?.operation ?? null,
      max_input_tokens: most((each) => each.facts.maxInputTokens),
      max_output_tokens: most((each) => each.facts.maxOutputTokens),
      input_cost_per_token: largest(facts.map(inputPrice), (a, b) => Math.max(a, b)),
      output_cost_per_token: largest(facts.map(outputPrice), (a, b) => Math.max(a, b)),
      rpm: total((each) => each.rpm),
      tpm: total((each) => each.tpm),
      ...abilities(deployments, anyOf),
    };
  });
  return Response.json({ data });
}

const inputPrice = ({ price }: Deployment["facts"]) =>
  price?.more?.noTokens ? undefined : price?.inputUsdPerToken;
const outputPrice = ({ price }: Deployment["facts"]) =>
  price?.more?.noTokens ? undefined : price?.outputUsdPerToken;

/** True where one can, false where all are known not to, null where nobody knows. */
function anyOf(values: readonly (boolean | undefined)[]): boolean | null {
  if (values.includes(true)) return true;
  return values.length > 0 && values.every((value) => value === false) ? false : null;
}

function largest(
  values: readonly (number | undefined)[],
  join: (sum: number, next: number) => number,
): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length === 0 ? null : known.reduce(join);
}

function withoutUndefined(fields: Record<string, JsonObject[string]>): JsonObject {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
