/** What callers may write into vector stores and ask of them. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { VectorFilter } from "../../storage/vectors.ts";
import {
  invalid,
  optionalList,
  optionalNumber,
  optionalObject,
  optionalText,
  optionalWhole,
} from "../fields.ts";
import { readMetadata } from "../metadata.ts";
import { autoChunks, type ChunkSettings } from "./chunk-text.ts";

export const storeLimits = {
  nameChars: 256,
  descriptionChars: 1_024,
  /** Named in one request. */
  files: 500,
  attributePairs: 16,
  attributeKeyChars: 64,
  attributeChars: 512,
  queries: 10,
  queryChars: 16_384,
  results: 50,
  filterDepth: 4,
  filterTerms: 64,
} as const;

export function readStore(body: JsonObject): JsonObject {
  const fields: Record<string, Json | undefined> = {
    name: optionalText(body, "name", storeLimits.nameChars),
    description: optionalText(body, "description", storeLimits.descriptionChars),
    metadata: readMetadata(body["metadata"]),
    expires_after: readExpiry(body),
  };
  const entries = Object.entries(fields).filter(
    ([name, value]) => value !== undefined || body[name] === null,
  );
  return Object.fromEntries(entries.map(([name, value]) => [name, value ?? null]));
}

function readExpiry(body: JsonObject): JsonObject | undefined {
  const after = optionalObject(body, "expires_after");
  if (!after) return undefined;
  const days = optionalWhole(after, "days", { least: 1, most: 365 });
  if (after["anchor"] !== "last_active_at" || days === undefined) {
    throw invalid("expires_after", "must have the anchor 'last_active_at' and days from 1 to 365");
  }
  return { anchor: "last_active_at", days };
}

export function readFileIds(body: JsonObject, name = "file_ids"): readonly string[] {
  const ids = optionalList(body, name, storeLimits.files) ?? [];
  if (ids.every((id) => typeof id === "string")) return ids as readonly string[];
  throw invalid(name, "must be a list of ids of files");
}

export interface ReadChunks {
  readonly settings: ChunkSettings;
  /** As the API shows it. */
  readonly shown: JsonObject;
}

export function readChunks(body: JsonObject): ReadChunks {
  const strategy = optionalObject(body, "chunking_strategy");
  if (!strategy || strategy["type"] === "auto")
    return { settings: autoChunks, shown: toShown(autoChunks) };
  const stated = strategy["type"] === "static" ? optionalObject(strategy, "static") : undefined;
  if (!stated) throw invalid("chunking_strategy", "must be auto, or static with its sizes");
  const maxTokens = optionalWhole(stated, "max_chunk_size_tokens", { least: 100, most: 4_096 });
  const overlapTokens = optionalWhole(stated, "chunk_overlap_tokens", { least: 0, most: 2_048 });
  const settings = {
    maxTokens: maxTokens ?? autoChunks.maxTokens,
    overlapTokens: overlapTokens ?? autoChunks.overlapTokens,
  };
  if (settings.overlapTokens * 2 > settings.maxTokens) {
    throw invalid("chunk_overlap_tokens", "must be at most half of max_chunk_size_tokens");
  }
  return { settings, shown: toShown(settings) };
}

const toShown = ({ maxTokens, overlapTokens }: ChunkSettings): JsonObject => ({
  type: "static",
  static: { max_chunk_size_tokens: maxTokens, chunk_overlap_tokens: overlapTokens },
});

export function chunksOf(shown: Json | undefined): ChunkSettings {
  return readChunks({ chunking_strategy: shown }).settings;
}

export function readAttributes(body: JsonObject): JsonObject | undefined {
  const attributes = optionalObject(body, "attributes");
  if (!attributes) return undefined;
  const pairs = Object.entries(attributes);
  if (pairs.length > storeLimits.attributePairs) {
    throw invalid("attributes", `has more than ${storeLimits.attributePairs} pairs`);
  }
  for (const [key, value] of pairs) {
    const fits =
      typeof value === "boolean" ||
      (typeof value === "number" && Number.isFinite(value)) ||
      (typeof value === "string" && value.length <= storeLimits.attributeChars);
    if (!fits || key.length > storeLimits.attributeKeyChars) {
      throw invalid("attributes", "must hold short texts, numbers, true or false");
    }
  }
  return attributes;
}

export interface StoreQuery {
  readonly queries: readonly string[];
  readonly limit: number;
  readonly filter?: VectorFilter;
  readonly threshold: number;
  readonly weights?: { readonly vector: number; readonly words: number };
}

export function readQuery(body: JsonObject): StoreQuery {
  const { query } = body;
  const queries = typeof query === "string" ? [query] : query;
  const fits =
    Array.isArray(queries) &&
    queries.length > 0 &&
    queries.length <= storeLimits.queries &&
    queries.every(
      (each) => typeof each === "string" && each !== "" && each.length <= storeLimits.queryChars,
    );
  if (!fits) throw invalid("query", `must be a text, or up to ${storeLimits.queries} of them`);
  const filters = optionalObject(body, "filters");
  const ranking = optionalObject(body, "ranking_options") ?? {};
  const weights = readWeights(ranking);
  return {
    queries: queries as readonly string[],
    limit: optionalWhole(body, "max_num_results", { least: 1, most: storeLimits.results }) ?? 10,
    threshold: optionalNumber(ranking, "score_threshold", { least: 0, most: 1 }) ?? 0,
    ...(filters ? { filter: readFilter(filters, 0) } : {}),
    ...(weights ? { weights } : {}),
  };
}

function readWeights(ranking: JsonObject) {
  const hybrid = optionalObject(ranking, "hybrid_search");
  if (!hybrid) return undefined;
  const share = { least: 0, most: 1_000 };
  const vector = optionalNumber(hybrid, "embedding_weight", share) ?? 1;
  const words = optionalNumber(hybrid, "text_weight", share) ?? 1;
  if (vector + words > 0) return { vector, words };
  throw invalid("hybrid_search", "must have a weight above 0");
}

const comparisons = ["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"] as const;

function readFilter(filter: JsonObject, depth: number): VectorFilter {
  const { type, key, value, filters } = filter;
  if (type === "and" || type === "or") {
    const fits =
      Array.isArray(filters) &&
      filters.length <= storeLimits.filterTerms &&
      depth < storeLimits.filterDepth;
    if (!fits) throw invalid("filters", `'${type}' must have a list of filters, not too deep`);
    const inner = (filters as readonly Json[]).map((each) => {
      if (isObject(each)) return readFilter(each, depth + 1);
      throw invalid("filters", "must hold filters");
    });
    return { type, filters: inner };
  }
  const comparison = comparisons.find((each) => each === type);
  if (!comparison || typeof key !== "string" || value === undefined || value === null) {
    throw invalid(
      "filters",
      `must have a type of ${comparisons.join(", ")}, and or or; a key; a value`,
    );
  }
  const listed = comparison === "in" || comparison === "nin";
  if (listed !== Array.isArray(value)) {
    throw invalid("filters", `'${comparison}' takes ${listed ? "a list" : "one value"}`);
  }
  return { type: comparison, key, value };
}
