/**
 * A row of `model_list` that comes by request, to be tried: LiteLLM's `/health/test_connection`. What
 * is the operator's stays where the operator sends it: no reference is looked up, no file and no
 * credential of the machine is read, and a key that is configured goes to its own address alone.
 */
import type { Config } from "../config/config.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { Deployment, ModelFacts } from "../domain/model.ts";
import { parseReference } from "../security/secrets.ts";
import { toDeployments } from "./deployments.ts";
import { findProvider } from "./registry.ts";

export interface AskedRow {
  /** `litellm_params` as sent. */
  readonly params: JsonObject;
  /** LiteLLM's `mode`. */
  readonly mode?: string | undefined;
  /** `model_info.id`: a row that is configured. */
  readonly id?: string | undefined;
}

export interface AskedRowSource {
  readonly config: Config;
  readonly configured: readonly Deployment[];
  readonly factsOf: (provider: string, model: string) => ModelFacts;
}

/** A configured row by its id, group or model; else the row as sent. @throws GatewayError invalid_request */
export function toAskedRow(asked: AskedRow, source: AskedRowSource): Deployment {
  const { params, id } = asked;
  const { configured } = source;
  const { model } = params;
  if (id !== undefined) {
    const row = configured.find((each) => each.id === id);
    if (row) return row;
  }
  if (typeof model !== "string" || model === "") {
    throw refused("model", "'litellm_params.model' must say which model to try: openai/gpt-4o.");
  }
  const hasAccess = own(params, "api_key") || own(params, "api_base") || own(params, "base_url");
  if (!hasAccess) {
    const row = configured.find(({ group, candidate }) => group === model || candidate === model);
    if (row) return row;
  }
  if (own(params, "litellm_credential_name")) {
    const key = "litellm_credential_name";
    throw refused(key, `'${key}' is looked up for configured rows alone. Send api_key instead.`);
  }
  assertNoReference(params, "litellm_params", 0);
  return withAccess(toRow({ ...params, model }, asked.mode, source), params, configured);
}

const own = (params: JsonObject, key: string) => (params[key] ?? null) !== null;

function toRow(
  params: JsonObject & { readonly model: string },
  mode: string | undefined,
  { config, factsOf }: AskedRowSource,
): Deployment {
  const info = mode === undefined ? {} : { mode };
  const entry = { modelName: params.model, params, info, file: "", line: 0 };
  const alone: Config = { ...config, models: [entry], environment: {} };
  const { deployments, findings } = toDeployments(alone, { env: {}, factsOf });
  const [row] = deployments;
  if (row) return row;
  const [finding] = findings;
  throw refused("model", `${finding?.message ?? "It is no row"}. ${finding?.remedy ?? ""}`.trim());
}

/** With the operator's access where that is what was asked for, and the strict rule where it is not. */
function withAccess(
  row: Deployment,
  params: JsonObject,
  configured: readonly Deployment[],
): Deployment {
  const namesBase = own(params, "api_base") || own(params, "base_url");
  const lender = configured.find(
    ({ provider, apiBase }) => provider === row.provider && (!namesBase || apiBase === row.apiBase),
  );
  if (lender && !own(params, "api_key")) {
    const { apiKey: _, token: __, signs: ___, query: ____, ...bare } = row;
    const { apiBase, apiKey, token, signs, query, headers } = lender;
    const access = { apiKey, token, signs, query };
    const given = Object.entries(access).filter(([, value]) => value !== undefined);
    return {
      ...bare,
      ...Object.fromEntries(given),
      apiBase,
      headers: { ...headers, ...row.headers },
      uncounted: true,
    };
  }
  if (row.signs || (row.token && row.token.kind !== "fixed")) {
    throw refused(
      "model",
      `${row.provider} is let in by credentials of the machine or of files, which a request cannot use. Write the row into model_list and ask GET /health?model=.`,
    );
  }
  const isKnown = row.apiBase === findProvider(row.provider)?.baseUrl;
  const isTrusted = isKnown || lender?.apiBase === row.apiBase;
  return { ...row, uncounted: true, ...(isTrusted ? {} : { strict: true }) };
}

const depthLimit = 20;

/** @throws GatewayError invalid_request */
function assertNoReference(value: Json | undefined, path: string, depth: number): void {
  if (depth > depthLimit) throw refused(path, `'${excerpt(path)}' is nested too deeply.`);
  if (typeof value === "string" && parseReference(value)) {
    const message = `'${excerpt(path)}' refers to a secret, which only the configuration may. Send the value itself, or leave it out to use a configured row's.`;
    throw refused(path, message);
  }
  if (!(Array.isArray(value) || isObject(value))) return;
  for (const [key, inner] of Object.entries(value)) {
    assertNoReference(inner as Json | undefined, `${path}.${key}`, depth + 1);
  }
}

function refused(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}
