/** Where a job of fine-tuning goes, and how it is asked there: OpenAI's API, or Azure's form of it. */
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { targetOf } from "../../providers/pass-through.ts";
import { sha256Hex } from "../../security/hashing.ts";
import type { Outbound } from "../../security/outbound.ts";

export interface TuningTarget {
  /** Of records: the same for the same account's address. */
  readonly id: string;
  readonly provider: string;
  /** With no "/" at its end; paths such as `/files` follow. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** "", or Azure's version with its "?". */
  readonly search: string;
  /** The provider's name for the model that was asked for. */
  readonly model?: string;
}

export interface WantedTarget {
  readonly provider: string | undefined;
  /** A group of the gateway, or the provider's own name. */
  readonly model: string | undefined;
}

const azureVersion = "2024-10-21";
const openaiBase = "https://api.openai.com/v1";

/**
 * By the provider that is named, else the model's deployment, else the only row of
 * `finetune_settings`, else OpenAI. @throws GatewayError invalid_request
 */
export function findTarget(wanted: WantedTarget, services: Services): TuningTarget {
  const { provider, model } = wanted;
  const rows = services.config.finetune;
  const ofModel =
    provider === undefined && model !== undefined ? byModel(model, services) : undefined;
  if (ofModel) return ofModel;
  const name =
    provider ?? (rows.length === 1 ? rows[0]?.custom_llm_provider : undefined) ?? "openai";
  const row = rows.find((each) => each.custom_llm_provider === name);
  if (row) {
    const base = row.api_base ?? openaiBase;
    const headers = headersOf(name, row.api_key);
    return toTarget({ name, base, headers, version: row.api_version });
  }
  const way = name === "openai" || name === "azure" ? byWay(name, services) : undefined;
  if (way) return way;
  const message = `Nothing is known of fine-tuning at '${excerpt(name)}': write it into finetune_settings (openai, azure), or name a model of theirs.`;
  throw new GatewayError("invalid_request", message, { param: "custom_llm_provider" });
}

function byModel(model: string, services: Services): TuningTarget | undefined {
  const deployment = services.table.deployments.find(
    (each) => each.group === model && /^(openai|azure)$/.test(each.provider),
  );
  const target = deployment && targetOf(deployment);
  if (!target || deployment.token) return undefined;
  const version = new URLSearchParams(deployment.query ?? "").get("api-version") ?? undefined;
  const { provider: name, upstreamModel } = deployment;
  const { baseUrl: base, headers } = target;
  return { ...toTarget({ name, base, headers, version }), model: upstreamModel };
}

/** The provider's key in the environment. */
function byWay(name: string, services: Services): TuningTarget | undefined {
  try {
    const found = services.passThrough.findProvider(`/${name}/`);
    if (!found || found.target.deployment.token) return undefined;
    const { baseUrl: base, headers } = found.target;
    return toTarget({ name, base, headers, version: undefined });
  } catch (thrown) {
    if (thrown instanceof GatewayError && thrown.code === "not_found") return undefined;
    throw thrown;
  }
}

const headersOf = (name: string, key: string | undefined): Record<string, string> => {
  if (key === undefined) return {};
  return name === "azure" ? { "api-key": key } : { authorization: `Bearer ${key}` };
};

function toTarget(of: {
  readonly name: string;
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly version: string | undefined;
}): TuningTarget {
  const { name, headers, version = azureVersion } = of;
  const base = of.base.replace(/\/+$/, "");
  const isAzure = name === "azure";
  const baseUrl = isAzure ? `${base.replace(/\/openai(\/.*)?$/, "")}/openai` : base;
  return {
    id: sha256Hex(`${name} ${baseUrl}`).slice(0, 16),
    provider: name,
    baseUrl,
    headers,
    search: isAzure ? `?api-version=${encodeURIComponent(version)}` : "",
  };
}

export interface TuningCall {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly json?: Json;
  readonly form?: { readonly boundary: string; readonly body: ReadableStream<Uint8Array> };
  readonly signal?: AbortSignal;
}

const answerMs = 60_000;
const uploadMs = 3_600_000;
const answerBytes = 16 * 1024 * 1024;

/** The answer's object. @throws GatewayError upstream_…, with the provider's words and status */
export async function askTarget(
  target: TuningTarget,
  { method, path, query, json, form, signal }: TuningCall,
  outbound: Outbound,
): Promise<JsonObject> {
  const more = query && [...query].length > 0 ? `${target.search ? "&" : "?"}${query}` : "";
  const limit = AbortSignal.timeout(form ? uploadMs : answerMs);
  const type = form ? `multipart/form-data; boundary=${form.boundary}` : "application/json";
  const body = form?.body ?? (json === undefined ? undefined : JSON.stringify(json));
  const response = await outbound.fetch({
    url: `${target.baseUrl}${path}${target.search}${more}`,
    method,
    headers: { ...target.headers, ...(body === undefined ? {} : { "content-type": type }) },
    ...(body === undefined ? {} : { body }),
    signal: signal ? AbortSignal.any([signal, limit]) : limit,
    trust: "operator",
  });
  const read = await readJson(response);
  if (response.ok && isObject(read)) return read;
  throw toError(response.status, read, target);
}

async function readJson(response: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of response.body ?? []) {
    size += part.length;
    if (size > answerBytes) throw new GatewayError("upstream_invalid", "The answer is too large.");
    parts.push(part);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    return undefined; // a proxy's page: the status tells
  }
}

function toError(status: number, body: unknown, { provider }: TuningTarget): GatewayError {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const said =
    typeof error["message"] === "string" ? excerpt(error["message"]) : `status ${status}`;
  const message = `${provider}: ${said}`;
  if (status === 401 || status === 403) return new GatewayError("upstream_auth", message);
  if (status === 404) return new GatewayError("not_found", message);
  if (status === 429) return new GatewayError("rate_limited", message);
  if (status >= 400 && status < 500) {
    const param = typeof error["param"] === "string" ? { param: error["param"] } : {};
    return new GatewayError("upstream_rejected", message, { status, ...param });
  }
  return new GatewayError(status < 400 ? "upstream_invalid" : "upstream_failed", message);
}
