/**
 * Vectors on Qdrant: a collection per store, with the passage's vector and its words as a sparse one
 * that Qdrant weighs by rarity. Source: https://api.qdrant.tech/api-reference
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { sha256 } from "../../security/hashing.ts";
import type { VectorFilter, VectorHit, VectorQuery, VectorStore } from "../vectors.ts";
import { blendHits, candidatesFor, relativeToBest } from "./blend-hits.ts";
import { passageId } from "./passage-id.ts";
import { type Ask, at, inRequests, listAt } from "./rest.ts";
import { wordsOf } from "./word-set.ts";

export interface QdrantOptions {
  readonly ask: Ask;
  /** Before a store's id in a collection's name. */
  readonly prefix: string;
}

/** Names of the two vectors of a point. */
const meaning = "meaning";
const words = "words";
/** Words of a passage that count. */
const passageWords = 2_048;
const scrollPage = 1_000;

export function createQdrant({ ask, prefix }: QdrantOptions): VectorStore {
  const pathOf = (collection: string) => `/collections/${encodeURIComponent(prefix + collection)}`;

  async function ensure(collection: string, size: number): Promise<void> {
    const path = pathOf(collection);
    const held = await ask({ method: "GET", path, expects: [404] });
    if (held.status !== 404) return assertSize(held.body, size);
    const body = {
      vectors: { [meaning]: { size, distance: "Cosine" } },
      sparse_vectors: { [words]: { modifier: "idf" } },
    };
    // 409: another process came first.
    await ask({ method: "PUT", path, body, expects: [409] });
    const index = { field_name: "document", field_schema: "keyword" };
    await ask({ method: "PUT", path: `${path}/index?wait=true`, body: index });
  }

  const deleteBy = (collection: string, filter: JsonObject) =>
    ask({
      method: "POST",
      path: `${pathOf(collection)}/points/delete?wait=true`,
      body: { filter },
      expects: [404],
    });

  async function count(collection: string, filter: JsonObject): Promise<number> {
    const path = `${pathOf(collection)}/points/count`;
    const { body } = await ask({
      method: "POST",
      path,
      body: { filter, exact: true },
      expects: [404],
    });
    return Number(at(at(body, "result"), "count") ?? 0);
  }

  return {
    isWhole: false,
    async put(collection, { id, attributes, passages }) {
      await ensure(collection, passages[0]?.vector.length ?? 0);
      for (const batch of inRequests(passages)) {
        const points = batch.map(({ number, text, vector }) => ({
          id: passageId(id, number),
          vector: { [meaning]: Array.from(vector), [words]: sparse(wordsOf(text, passageWords)) },
          payload: { document: id, passage: number, text, attributes },
        }));
        const path = `${pathOf(collection)}/points?wait=true`;
        await ask({ method: "PUT", path, body: { points } });
      }
      // What an earlier, longer form of the document had beyond this one.
      const rest = { key: "passage", range: { gte: passages.length } };
      await deleteBy(collection, { must: [ofDocument(id), rest] });
      return {};
    },
    async setAttributes(collection, document, attributes) {
      const path = `${pathOf(collection)}/points/payload?wait=true`;
      const body = { payload: { attributes }, filter: { must: [ofDocument(document)] } };
      await ask({ method: "POST", path, body, expects: [404] });
    },
    async remove(collection, document) {
      const filter = { must: [ofDocument(document)] };
      const held = await count(collection, filter);
      await deleteBy(collection, filter);
      return held;
    },
    async drop(collection) {
      await ask({ method: "DELETE", path: pathOf(collection), expects: [404] });
    },
    async search(collection, query) {
      const limit = candidatesFor(query);
      const common = { limit, with_payload: true, ...filterOf(query) };
      const near = query.vector
        ? [{ query: Array.from(query.vector), using: meaning, ...common }]
        : [];
      const asked = query.words === undefined ? [] : wordsOf(query.words);
      const worded = asked.length > 0 ? [{ query: sparse(asked), using: words, ...common }] : [];
      const searches = [...near, ...worded];
      if (searches.length === 0) return [];
      const path = `${pathOf(collection)}/points/query/batch`;
      const { body } = await ask({ method: "POST", path, body: { searches }, expects: [404] });
      const lists = listAt(body, "result").map((each) => listAt(each, "points").map(toHit));
      const byMeaning = query.vector ? (lists[0] ?? []) : [];
      const byWords = worded.length > 0 ? (lists[near.length] ?? []) : [];
      return blendHits(byMeaning, relativeToBest(byWords), query);
    },
    async read(collection, document) {
      const texts = new Map<number, string>();
      const path = `${pathOf(collection)}/points/scroll`;
      const filter = { must: [ofDocument(document)] };
      for (let offset: Json | undefined; ; ) {
        const body = {
          filter,
          limit: scrollPage,
          with_payload: ["passage", "text"],
          ...(offset === undefined ? {} : { offset }),
        };
        const reply = await ask({ method: "POST", path, body, expects: [404] });
        const result = at(reply.body, "result");
        for (const point of listAt(result, "points")) {
          const payload = at(point, "payload");
          texts.set(Number(at(payload, "passage")), String(at(payload, "text") ?? ""));
        }
        const next = at(result, "next_page_offset");
        if (next === undefined || next === null) break;
        offset = next as Json;
      }
      return [...texts].sort(([a], [b]) => a - b).map(([, text]) => text);
    },
    close: () => Promise.resolve(),
  };
}

/** A word's place among 2³² by its hash; that two fall together is as rare as it is harmless. */
function sparse(list: readonly string[]) {
  const indices = new Set(list.map((word) => Buffer.from(sha256(word)).readUInt32LE(0)));
  return { indices: [...indices], values: [...indices].map(() => 1) };
}

const ofDocument = (id: string) => ({ key: "document", match: { value: id } });

function toHit(point: unknown): VectorHit {
  const payload = at(point, "payload");
  const attributes = at(payload, "attributes");
  return {
    document: String(at(payload, "document") ?? ""),
    passage: Number(at(payload, "passage") ?? 0),
    text: String(at(payload, "text") ?? ""),
    score: Number(at(point, "score") ?? 0),
    attributes: isObject(attributes) ? attributes : {},
  };
}

function assertSize(body: unknown, size: number): void {
  const vectors = at(at(at(at(body, "result"), "config"), "params"), "vectors");
  const held = Number(at(at(vectors, meaning), "size"));
  if (held === size) return;
  const message = `Vectors of ${held} and ${size} numbers cannot lie in one store.`;
  throw new GatewayError("invalid_request", message);
}

function filterOf({ filter }: VectorQuery): { filter?: JsonObject } {
  return filter ? { filter: { must: [toCondition(filter)] } } : {};
}

/** Source: https://qdrant.tech/documentation/concepts/filtering; what is missing matches nothing. */
function toCondition(filter: VectorFilter): JsonObject {
  if (filter.type === "and") return { must: filter.filters.map(toCondition) };
  if (filter.type === "or") return anyOf(filter.filters.map(toCondition));
  const { type, key, value } = filter;
  const field = `attributes.${quoted(key)}`;
  if (type === "eq") return equals(field, value);
  if (type === "ne") return { must_not: [equals(field, value)] };
  if (type === "in" || type === "nin") {
    const each = (Array.isArray(value) ? value : []).map((one) => equals(field, one));
    return type === "nin" ? { must_not: each } : anyOf(each);
  }
  if (typeof value === "number") return { key: field, range: { [type]: value } };
  const message = `'${type}' compares numbers on Qdrant, not ${typeof value}s.`;
  throw new GatewayError("invalid_request", message, { param: "filters" });
}

/** Of none, nothing: an empty list of alternatives would let everything through. */
const anyOf = (conditions: readonly JsonObject[]): JsonObject =>
  conditions.length === 0 ? { has_id: [] } : { should: conditions };

/** Numbers by a range of one: a match knows whole ones alone. */
const equals = (key: string, value: Json): JsonObject =>
  typeof value === "number"
    ? { key, range: { gte: value, lte: value } }
    : { key, match: { value } };

/** A path's part with dots or the like in it stands in quotes. @throws GatewayError invalid_request */
function quoted(key: string): string {
  if (/^[\w-]+$/.test(key)) return key;
  if (!key.includes('"')) return `"${key}"`;
  throw new GatewayError("invalid_request", "A key of a filter cannot hold quotes on Qdrant.", {
    param: "filters",
  });
}
