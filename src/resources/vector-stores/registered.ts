/**
 * Stores of LiteLLM's `vector_store_registry`: they lie at a provider that has OpenAI's API, are found
 * by everybody whose key opens them, and are changed there, not here.
 */
import type { Config } from "../../config/config.ts";
import type { RegisteredStore } from "../../config/vector-registry.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { StoreQuery } from "./read-body.ts";

export interface RegisteredStores {
  find(id: string): RegisteredStore | undefined;
  list(): readonly RegisteredStore[];
  /** As the provider has it now, under the name that the operator gave. */
  show(store: RegisteredStore): Promise<JsonObject>;
  /** A page of its files, or one of them: what follows `/files`. */
  files(store: RegisteredStore, path: string, query?: URLSearchParams): Promise<JsonObject>;
  /** The best first. */
  search(store: RegisteredStore, query: StoreQuery): Promise<readonly RemotePassage[]>;
}

export interface RemotePassage {
  readonly document: string;
  readonly passage: number;
  readonly filename: string;
  readonly text: string;
  readonly score: number;
  readonly attributes: JsonObject;
}

const answerMs = 60_000;
const answerBytes = 16 * 1024 * 1024;

export function createRegisteredStores(
  config: () => Pick<Config, "vectorRegistry">,
  outbound: Outbound,
): RegisteredStores {
  const find = (id: string) => config().vectorRegistry.find((each) => each.id === id);

  async function ask(store: RegisteredStore, path: string, body?: JsonObject): Promise<JsonObject> {
    const { baseUrl, headers, search, id } = store;
    const more = path.includes("?") ? search.replace("?", "&") : search;
    const response = await outbound.fetch({
      url: `${baseUrl}/vector_stores/${encodeURIComponent(id)}${path}${more}`,
      method: body ? "POST" : "GET",
      headers: {
        ...headers,
        // As long as it is asked for.
        ...(store.provider === "pg_vector" ? {} : { "openai-beta": "assistants=v2" }),
        ...(body ? { "content-type": "application/json" } : {}),
      },
      ...(body ? { body: JSON.stringify(body) } : {}),
      signal: AbortSignal.timeout(answerMs),
      trust: "operator",
    });
    const read = await readJson(response);
    if (response.ok && isObject(read)) return read;
    throw toError(response.status, read, store);
  }

  return {
    find,
    list: () => config().vectorRegistry,
    async show(store) {
      // Not every provider tells of a store; that it is searched is enough.
      const told = await ask(store, "").catch((thrown: unknown): JsonObject => {
        if (thrown instanceof GatewayError && thrown.code === "not_found") return {};
        throw thrown;
      });
      return { ...told, ...toShown(store) };
    },
    files: (store, path, query) => {
      const text = query && [...query].length > 0 ? `?${query}` : "";
      return ask(store, `/files${path}${text}`);
    },
    async search(store, query) {
      const found: RemotePassage[] = [];
      for (const words of query.queries) {
        const { data } = await ask(store, "/search", toBody(words, query));
        const rows = Array.isArray(data) ? data.filter(isObject) : [];
        found.push(...rows.map(toPassage));
      }
      return found.filter(({ score }) => score >= query.threshold);
    },
  };
}

/** What is known without asking. */
export function toShown({
  id,
  name,
  provider,
  description,
  metadata,
}: RegisteredStore): JsonObject {
  return {
    ...{ id, object: "vector_store", name, provider, metadata },
    ...(description === undefined ? {} : { description }),
    status: "completed",
  };
}

function toBody(query: string, { limit, filter, threshold }: StoreQuery): JsonObject {
  return {
    query,
    max_num_results: Math.min(limit, remoteResults),
    ...(filter ? { filters: filter as unknown as Json } : {}),
    ...(threshold > 0 ? { ranking_options: { score_threshold: threshold } } : {}),
  };
}

/** OpenAI's own limit. */
const remoteResults = 50;

function toPassage(row: JsonObject, passage: number): RemotePassage {
  const { file_id: document, filename, score, attributes, content } = row;
  const parts = Array.isArray(content) ? content.filter(isObject) : [];
  return {
    document: String(document ?? ""),
    passage,
    filename: String(filename ?? ""),
    text: parts.map(({ text }) => (typeof text === "string" ? text : "")).join("\n"),
    score: Math.min(1, Math.max(0, Number(score) || 0)),
    attributes: isObject(attributes) ? attributes : {},
  };
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

function toError(status: number, body: unknown, { provider, name }: RegisteredStore): GatewayError {
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const said =
    typeof error["message"] === "string" ? excerpt(error["message"]) : `status ${status}`;
  const message = `The vector store '${excerpt(name)}' at ${provider}: ${said}`;
  if (status === 401 || status === 403) return new GatewayError("upstream_auth", message);
  if (status === 404) return new GatewayError("not_found", message);
  if (status === 429) return new GatewayError("rate_limited", message);
  if (status >= 400 && status < 500)
    return new GatewayError("upstream_rejected", message, { status });
  return new GatewayError(status < 400 ? "upstream_invalid" : "upstream_failed", message);
}

/** @throws GatewayError invalid_request, where it is one of these */
export function assertChangeable(store: RegisteredStore | undefined): void {
  if (!store) return;
  const message = `The vector store '${excerpt(store.id)}' stands in vector_store_registry and is changed at ${store.provider}, not here.`;
  throw new GatewayError("invalid_request", message);
}
