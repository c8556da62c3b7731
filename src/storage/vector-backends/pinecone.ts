/**
 * Vectors on Pinecone: a namespace of the operator's index per store. Pinecone searches one kind of
 * vector at a time and has no words beside dense ones, so a question is answered by meaning, and the
 * share of its words in what was found decides among that.
 * Source: https://docs.pinecone.io/reference/api/2025-10/data-plane
 */
import { GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { VectorFilter, VectorHit, VectorStore } from "../vectors.ts";
import { blendHits, candidatesFor } from "./blend-hits.ts";
import { type Ask, at, inRequests, listAt } from "./rest.ts";
import { wordsOf } from "./word-set.ts";

export interface PineconeOptions {
  readonly ask: Ask;
  readonly prefix: string;
}

export const pineconeVersion = "2025-10";
/** Pinecone's own limits. */
const limits = {
  metadataBytes: 40_960,
  idsPerPage: 100,
  idsPerRequest: 100,
  deletePer: 1_000,
} as const;
const passageWords = 2_048;
/** Before the names of attributes among a record's metadata. */
const attribute = "a.";

export function createPinecone({ ask, prefix }: PineconeOptions): VectorStore {
  const namespaceOf = (collection: string) => prefix + collection;

  /** Ids of a document's passages, whatever their order. */
  async function idsOf(collection: string, document: string): Promise<readonly string[]> {
    const ids: string[] = [];
    for (let token: string | undefined; ; ) {
      const query = new URLSearchParams({
        prefix: `${document}#`,
        namespace: namespaceOf(collection),
        limit: String(limits.idsPerPage),
        ...(token === undefined ? {} : { paginationToken: token }),
      });
      const reply = await ask({ method: "GET", path: `/vectors/list?${query}`, expects: [404] });
      for (const each of listAt(reply.body, "vectors")) ids.push(String(at(each, "id")));
      const next = at(at(reply.body, "pagination"), "next");
      if (typeof next !== "string" || next === "") return ids;
      token = next;
    }
  }

  async function fetchAll(collection: string, ids: readonly string[]) {
    const records: { id: string; values: Json; metadata: JsonObject }[] = [];
    for (const some of pages(ids, limits.idsPerRequest)) {
      const query = new URLSearchParams([
        ...some.map((id) => ["ids", id]),
        ["namespace", namespaceOf(collection)],
      ]);
      const reply = await ask({ method: "GET", path: `/vectors/fetch?${query}` });
      const found = at(reply.body, "vectors");
      for (const id of some) {
        const record = at(found, id);
        if (record === undefined) continue;
        const values = listAt(record, "values") as Json;
        records.push({ id, values, metadata: (at(record, "metadata") ?? {}) as JsonObject });
      }
    }
    return records;
  }

  async function deleteIds(collection: string, ids: readonly string[]): Promise<void> {
    for (const some of pages(ids, limits.deletePer)) {
      const body = { ids: some, namespace: namespaceOf(collection) };
      await ask({ method: "POST", path: "/vectors/delete", body, expects: [404] });
    }
  }

  const upsert = (collection: string, vectors: readonly JsonObject[]) =>
    ask({
      method: "POST",
      path: "/vectors/upsert",
      body: { vectors, namespace: namespaceOf(collection) },
    });

  return {
    isWhole: false,
    async put(collection, { id, attributes, passages }) {
      const before = await idsOf(collection, id);
      const shown = toMetadata(attributes);
      for (const batch of inRequests(passages)) {
        const vectors = batch.map(({ number, text, vector }) => {
          const metadata = { document: id, passage: number, text, ...shown };
          assertFits(metadata);
          return { id: idOf(id, number), values: Array.from(vector), metadata };
        });
        await upsert(collection, vectors);
      }
      const kept = new Set(passages.map((_, number) => idOf(id, number)));
      await deleteIds(
        collection,
        before.filter((each) => !kept.has(each)),
      );
      return {};
    },
    async setAttributes(collection, document, attributes) {
      const held = await fetchAll(collection, await idsOf(collection, document));
      const shown = toMetadata(attributes);
      for (const some of pages(held, limits.idsPerRequest)) {
        const vectors = some.map(({ id, values, metadata: { document: of, passage, text } }) => ({
          id,
          values,
          metadata: { document: of, passage, text, ...shown },
        }));
        await upsert(collection, vectors);
      }
    },
    async remove(collection, document) {
      const ids = await idsOf(collection, document);
      await deleteIds(collection, ids);
      return ids.length;
    },
    async drop(collection) {
      const body = { deleteAll: true, namespace: namespaceOf(collection) };
      await ask({ method: "POST", path: "/vectors/delete", body, expects: [404] });
    },
    async search(collection, query) {
      const { vector, words, filter } = query;
      if (!vector) {
        const message = "Stores on Pinecone are searched by meaning: a question needs a vector.";
        throw new GatewayError("invalid_request", message, { param: "query" });
      }
      const body = {
        namespace: namespaceOf(collection),
        vector: Array.from(vector),
        topK: candidatesFor(query),
        includeMetadata: true,
        ...(filter ? { filter: toCondition(filter) } : {}),
      };
      const reply = await ask({ method: "POST", path: "/query", body, expects: [404] });
      const near = listAt(reply.body, "matches").map(toHit);
      return blendHits(near, words === undefined ? [] : byWords(near, words), query);
    },
    async read(collection, document) {
      const held = await fetchAll(collection, await idsOf(collection, document));
      return held
        .map(({ metadata }) => ({ n: Number(metadata["passage"]), text: String(metadata["text"]) }))
        .sort((a, b) => a.n - b.n)
        .map(({ text }) => text);
    },
    close: () => Promise.resolve(),
  };
}

const idOf = (document: string, passage: number) => `${document}#${passage}`;

function* pages<T>(list: readonly T[], size: number): Generator<readonly T[]> {
  for (let from = 0; from < list.length; from += size) yield list.slice(from, from + size);
}

function toMetadata(attributes: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [attribute + key, value]),
  );
}

function assertFits(metadata: JsonObject): void {
  if (Buffer.byteLength(JSON.stringify(metadata)) <= limits.metadataBytes) return;
  const message = `A passage is over the ${limits.metadataBytes} bytes that Pinecone keeps of one: choose smaller chunks.`;
  throw new GatewayError("invalid_request", message, { param: "chunking_strategy" });
}

function toHit(match: unknown): VectorHit {
  const metadata = at(match, "metadata");
  const entries = Object.entries((metadata ?? {}) as JsonObject)
    .filter(([key]) => key.startsWith(attribute))
    .map(([key, value]) => [key.slice(attribute.length), value]);
  return {
    document: String(at(metadata, "document") ?? ""),
    passage: Number(at(metadata, "passage") ?? 0),
    text: String(at(metadata, "text") ?? ""),
    score: Number(at(match, "score") ?? 0),
    attributes: Object.fromEntries(entries),
  };
}

/** The share of the question's words that each has, the rarer among them weighing more. */
function byWords(hits: readonly VectorHit[], question: string): readonly VectorHit[] {
  const asked = wordsOf(question);
  const held = hits.map(({ text }) => new Set(wordsOf(text, passageWords)));
  const weights = asked.map((word) => {
    const having = held.filter((words) => words.has(word)).length;
    return Math.log(1 + (hits.length - having + 0.5) / (having + 0.5));
  });
  const whole = weights.reduce((sum, weight) => sum + weight, 0) || 1;
  return hits.map((hit, i) => {
    const met = asked.reduce(
      (sum, word, n) => sum + (held[i]?.has(word) ? (weights[n] ?? 0) : 0),
      0,
    );
    return { ...hit, score: met / whole };
  });
}

/** Source: https://docs.pinecone.io/guides/search/filter-by-metadata */
function toCondition(filter: VectorFilter): JsonObject {
  if (filter.type === "and") {
    return filter.filters.length === 0 ? {} : { $and: filter.filters.map(toCondition) };
  }
  if (filter.type === "or") {
    return filter.filters.length === 0 ? nothing : { $or: filter.filters.map(toCondition) };
  }
  const { type, key, value } = filter;
  const field = attribute + key;
  const missing = { [field]: { $exists: false } };
  if (type === "eq") return { [field]: { $eq: value } };
  if (type === "ne") return { $or: [{ [field]: { $ne: value } }, missing] };
  const list = Array.isArray(value) ? value : [];
  if (type === "in") return list.length === 0 ? nothing : { [field]: { $in: list } };
  if (type === "nin") {
    return list.length === 0 ? {} : { $or: [{ [field]: { $nin: list } }, missing] };
  }
  if (typeof value === "number") return { [field]: { [`$${type}`]: value } };
  const message = `'${type}' compares numbers on Pinecone, not ${typeof value}s.`;
  throw new GatewayError("invalid_request", message, { param: "filters" });
}

/** Every record has a document. */
const nothing: JsonObject = { document: { $exists: false } };
