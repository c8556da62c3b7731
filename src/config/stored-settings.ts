/** What the file says of stores: where vectors and contents lie, and how credentials are sealed. */
import type { Static } from "@sinclair/typebox";
import type { Config } from "./config.ts";
import type { Environment } from "./files.ts";
import type { RouteiqSettings } from "./sections/routeiq-settings.ts";

type Section = Static<typeof RouteiqSettings>;

export function vectorStoreSettings(
  section: Section["vector_stores"],
): Config["routeiq"]["vectorStores"] {
  const { embedding_model: embeddingModel, backend, backends } = section;
  const documentTimeoutMs = section.document_timeout_ms;
  const read = Object.entries(backends).map(([name, { url = "", api_key: apiKey, ...row }]) => [
    name,
    // Pinecone shows an index's host without a scheme. What is missing has been told.
    {
      ...row,
      url: (url.includes("://") ? url : `https://${url}`).replace(/\/+$/, ""),
      ...(apiKey === undefined ? {} : { apiKey }),
    },
  ]);
  return {
    ...(embeddingModel === undefined ? {} : { embeddingModel }),
    documentTimeoutMs,
    ...(backend === undefined ? {} : { backend }),
    backends: Object.fromEntries(read),
  };
}

export function encryptionOf(
  section: Section["encryption"],
  env: Environment,
): Config["routeiq"]["encryption"] {
  const saltKey = section.salt_key ?? (env["LITELLM_SALT_KEY"] || undefined);
  return {
    ...(saltKey === undefined ? {} : { saltKey }),
    previousSaltKeys: section.previous_salt_keys,
  };
}
