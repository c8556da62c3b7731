/** A backend by what the operator wrote of it. */
import type { Outbound } from "../../security/outbound.ts";
import { createPostgres } from "../../security/postgres.ts";
import type { Clock } from "../../std/clock.ts";
import type { VectorStore } from "../vectors.ts";
import { createPgvector } from "./pgvector.ts";
import { createPinecone, pineconeVersion } from "./pinecone.ts";
import { createQdrant } from "./qdrant.ts";
import { createRest } from "./rest.ts";
import { createWeaviate } from "./weaviate.ts";

export interface BackendSettings {
  readonly provider: "pgvector" | "qdrant" | "weaviate" | "pinecone";
  readonly url: string;
  readonly apiKey?: string;
  readonly prefix: string;
  readonly table: string;
  readonly connections: number;
}

/** How each is told the key. */
const headersOf = {
  qdrant: (key: string) => ({ "api-key": key }),
  weaviate: (key: string) => ({ authorization: `Bearer ${key}` }),
  pinecone: (key: string) => ({ "api-key": key }),
} as const;

const products = { qdrant: "Qdrant", weaviate: "Weaviate", pinecone: "Pinecone" } as const;
const creators = { qdrant: createQdrant, weaviate: createWeaviate, pinecone: createPinecone };

/** Connects when it is first asked. @throws GatewayError config_invalid */
export function openVectorBackend(
  { provider, url, apiKey, prefix, table, connections }: BackendSettings,
  { outbound, clock }: { readonly outbound: Outbound; readonly clock: Clock },
): VectorStore {
  if (provider === "pgvector")
    return createPgvector({ db: createPostgres({ url, connections }), table });
  const headers = {
    ...(apiKey === undefined ? {} : headersOf[provider](apiKey)),
    ...(provider === "pinecone" ? { "x-pinecone-api-version": pineconeVersion } : {}),
  };
  const ask = createRest({ product: products[provider], url, headers, outbound, clock });
  return creators[provider]({ ask, prefix });
}
