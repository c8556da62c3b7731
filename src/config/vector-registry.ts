/** LiteLLM's `vector_store_registry`: stores that lie at a provider, opened to callers by their ids. */
import { type Static, Type } from "@sinclair/typebox";
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import { decodeSection } from "./decode.ts";
import type { Sourced } from "./merge.ts";
import { type ResolveOptions, resolveReferences } from "./references.ts";

export const RegistryParams = Type.Object({
  vector_store_id: Type.String({
    minLength: 1,
    maxLength: 256,
    description: "The provider's id of it, by which callers name it too.",
  }),
  custom_llm_provider: Type.String({
    minLength: 1,
    description: "openai, azure, or pg_vector: who speaks OpenAI's API of vector stores.",
  }),
  api_key: Type.Optional(Type.String({ minLength: 1, description: "A reference, best." })),
  api_base: Type.Optional(
    Type.String({ pattern: "^https?://", description: "Default: OpenAI's own." }),
  ),
  api_version: Type.Optional(Type.String({ minLength: 1, description: "Azure's." })),
  litellm_credential_name: Type.Optional(
    Type.String({ description: "An entry of `credential_list`." }),
  ),
  vector_store_description: Type.Optional(Type.String({ description: "Shown to callers." })),
  vector_store_metadata: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: "Shown to callers.",
      expected: "a map of texts",
    }),
  ),
});

export const RegistryRow = Type.Object({
  vector_store_name: Type.Optional(Type.String({ description: "What callers are shown." })),
  litellm_params: RegistryParams,
});

/** A store that lies at a provider. */
export interface RegisteredStore {
  readonly id: string;
  readonly name: string;
  readonly provider: RegistryProvider;
  /** With no "/" at its end; `/vector_stores` follows. */
  readonly baseUrl: string;
  readonly headers: Readonly<Record<string, string>>;
  /** "", or Azure's version with its "?". */
  readonly search: string;
  readonly description?: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const served = ["openai", "azure", "pg_vector"] as const;
export type RegistryProvider = (typeof served)[number];

const azureVersion = "2025-04-01-preview";
const openaiBase = "https://api.openai.com/v1";

/** What is wrong is told in the report: a store that cannot be served is refused, with the way out. */
export async function readVectorRegistry(
  section: Sourced | undefined,
  credentials: Sourced | undefined,
  resolve: ResolveOptions,
): Promise<readonly RegisteredStore[]> {
  if (!section || section.value === null) return [];
  const { report } = resolve;
  if (!Array.isArray(section.value)) {
    const remedy = "Write - vector_store_name: docs, and litellm_params, below it.";
    report.refuse(section.spot, "vector_store_registry must be a list", remedy);
    return [];
  }
  const stores: RegisteredStore[] = [];
  for (const [index, written] of section.value.entries()) {
    const spot = { ...section.spot, path: [...section.spot.path, index] };
    const at = (...keys: string[]) => ({ ...spot, path: [...spot.path, ...keys] });
    const row = await resolveReferences(written, spot, resolve);
    const { vector_store_name: name, litellm_params: sent } = isObject(row) ? row : {};
    if (!isObject(sent)) {
      const remedy = "Write litellm_params: {vector_store_id: …, custom_llm_provider: openai}.";
      report.refuse(spot, "the row has no litellm_params", remedy);
      continue;
    }
    const named = sent["litellm_credential_name"];
    const shared = await credentialOf(named, credentials, resolve);
    if (!shared) {
      const remedy = "Add it to credential_list, or write api_key here.";
      const message = `no entry of credential_list is called "${String(named).slice(0, 60)}"`;
      report.refuse(at("litellm_params", "litellm_credential_name"), message, remedy);
      continue;
    }
    const whole: JsonObject = { ...shared, ...sent };
    const params = decodeSection(RegistryParams, whole, at("litellm_params"), report, {
      keepUnknown: "it means nothing here",
    });
    if (typeof params.vector_store_id !== "string" || params.vector_store_id === "") {
      report.refuse(at("litellm_params"), "the store has no vector_store_id", "Write it.");
      continue;
    }
    const provider = served.find((each) => each === params.custom_llm_provider);
    if (!provider) {
      const asked = String(params.custom_llm_provider).slice(0, 60);
      const remedy = `Served are ${served.join(", ")}. Put its documents into a store of the gateway (POST /v1/vector_stores; pgvector, Qdrant, Weaviate and Pinecone: docs/vector-stores.md), and take this row out.`;
      report.refuse(
        at("litellm_params", "custom_llm_provider"),
        `stores at '${asked}' are not served`,
        remedy,
      );
      continue;
    }
    if (provider !== "openai" && params.api_base === undefined) {
      report.refuse(at("litellm_params"), `a store at ${provider} has no api_base`, "Write it.");
      continue;
    }
    if (stores.some(({ id }) => id === params.vector_store_id)) {
      const remedy = "An id stands for one store: take one of the two out.";
      report.refuse(at("litellm_params", "vector_store_id"), "the id is there already", remedy);
      continue;
    }
    stores.push(toStore(provider, typeof name === "string" ? name : undefined, params));
  }
  return stores;
}

/** Values of `credential_list`, where the row names an entry; undefined where that is not there. */
async function credentialOf(
  name: Json | undefined,
  credentials: Sourced | undefined,
  resolve: ResolveOptions,
): Promise<JsonObject | undefined> {
  if (name === undefined || name === null) return {};
  const entries = Array.isArray(credentials?.value) ? credentials.value.filter(isObject) : [];
  const values = entries.find((each) => each["credential_name"] === name)?.["credential_values"];
  if (!credentials || !isObject(values)) return undefined;
  const spot = { ...credentials.spot, path: [...credentials.spot.path, "credential_values"] };
  const read = await resolveReferences(values, spot, resolve);
  return isObject(read) ? read : undefined;
}

function toStore(
  provider: RegistryProvider,
  name: string | undefined,
  params: Static<typeof RegistryParams>,
): RegisteredStore {
  const { vector_store_id: id, api_key: key, api_version: version = azureVersion } = params;
  const base = (params.api_base ?? openaiBase).replace(/\/+$/, "");
  const isAzure = provider === "azure";
  const bearer = isAzure ? { "api-key": key ?? "" } : { authorization: `Bearer ${key ?? ""}` };
  const { vector_store_description: description, vector_store_metadata: metadata = {} } = params;
  return {
    ...{ id, name: name ?? id, provider, metadata },
    baseUrl: baseOf(provider, base),
    headers: key === undefined ? {} : bearer,
    search: isAzure ? `?api-version=${encodeURIComponent(version)}` : "",
    ...(description === undefined ? {} : { description }),
  };
}

function baseOf(provider: RegistryProvider, base: string): string {
  if (provider === "azure") return `${base.replace(/\/openai(\/.*)?$/, "")}/openai`;
  // LiteLLM's service for PostgreSQL has OpenAI's paths below /v1.
  return provider === "pg_vector" && !/\/v\d+$/.test(base) ? `${base}/v1` : base;
}
