/**
 * Vector stores of the OpenAI API on the gateway's own store: files in passages, found by meaning and
 * by words. Callers see their own. Source: https://platform.openai.com/docs/api-reference/vector-stores
 */

import type { RegisteredStore } from "../../config/vector-registry.ts";
import type { Caller } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isListed } from "../../domain/grants.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import { grantsOf } from "../../pipeline/grants.ts";
import type { NewRecord, StoredRecord } from "../../storage/record-store.ts";
import type { VectorHit } from "../../storage/vectors.ts";
import { optionalText } from "../fields.ts";
import { getOwn, readPageQuery, toListReply } from "../listing.ts";
import { embedTexts } from "./embed.ts";
import { assertStoreGranted, getGranted, listGranted } from "./granted.ts";
import { createIngest, type IngestParts } from "./ingest.ts";
import { expiryOf, fileRecordId, kinds, toStore } from "./objects.ts";
import {
  readAttributes,
  readChunks,
  readFileIds,
  readQuery,
  readStore,
  type StoreQuery,
} from "./read-body.ts";
import { assertChangeable, type RegisteredStores, toShown } from "./registered.ts";
import {
  createStoreBatches,
  createStoreFiles,
  type StoreBatches,
  type StoreFiles,
  storePages,
} from "./store-files.ts";

/** @throws GatewayError invalid_request, not_found, storage_failed from every method */
export interface VectorStores {
  create(body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  /** That the caller may search it, without asking whoever has it. */
  assertSeen(id: string, caller: Caller): Promise<void>;
  change(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  /** With all that lies in it; the files themselves stay. */
  remove(id: string, caller: Caller): Promise<JsonObject>;
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  /** OpenAI's page of results. */
  search(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  /** The best passages of several stores, for tools; whoever asks leaves the receipt. */
  find(ids: readonly string[], query: StoreQuery, caller: Caller): Promise<readonly FoundPassage[]>;
  readonly files: StoreFiles;
  readonly batches: StoreBatches;
  start(): void;
  close(): Promise<void>;
}

export interface FoundPassage extends VectorHit {
  readonly filename: string;
}

const newId = (prefix: string) => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;

export interface VectorStoreParts extends IngestParts {
  readonly registered: RegisteredStores;
}

export function createVectorStores(parts: VectorStoreParts): VectorStores {
  const { records, backends, services, files, registered } = parts;
  const ingest = createIngest(parts);
  const { store: kind } = kinds;
  const nowMs = () => services().clock.now();
  const show = (record: StoredRecord) => toStore(record, records, nowMs());

  const see = (id: string, caller: Caller) => getGranted(records, id, caller, services());

  /** To change it: his own alone. */
  async function getChangeable(id: string, caller: Caller): Promise<StoredRecord> {
    assertStoreGranted(id, caller, services());
    assertChangeable(registered.find(id));
    return getOwn(records, kind, id, caller);
  }

  /** At its provider. */
  async function findThere(id: string, query: StoreQuery, caller: Caller) {
    const store = registered.find(id);
    if (!store) return undefined;
    assertStoreGranted(id, caller, services());
    return registered.search(store, query);
  }

  const openRegistered = (caller: Caller) =>
    registered.list().filter(({ id }) => isListed(grantsOf(caller, services())?.vectorStores, id));

  const getOpen = (id: string, caller: Caller) => unlessExpired(see(id, caller), id);
  const getOwnOpen = (id: string, caller: Caller) => unlessExpired(getChangeable(id, caller), id);

  async function unlessExpired(found: Promise<StoredRecord>, id: string): Promise<StoredRecord> {
    const record = await found;
    const expiresAt = expiryOf(record);
    if (expiresAt === undefined || expiresAt * 1000 > nowMs()) return record;
    throw new GatewayError("invalid_request", `The vector store '${excerpt(id)}' has expired.`);
  }

  function modelOf(body: JsonObject): string | undefined {
    const { embeddingModel } = services().config.routeiq.vectorStores;
    return optionalText(body, "embedding_model", 512) ?? embeddingModel;
  }

  /** The records of files on their way in; they are there before their ids are told. */
  async function addFiles(
    store: StoredRecord,
    ids: readonly string[],
    body: JsonObject,
    caller: Caller,
    batch = "",
  ): Promise<readonly StoredRecord[]> {
    const { shown } = readChunks(body);
    const attributes = readAttributes(body) ?? {};
    for (const id of ids) await assertFile(id, caller);
    const made: NewRecord[] = [...new Set(ids)].map((id) => ({
      kind: kinds.file,
      id: fileRecordId(store.id, id),
      owner: store.owner,
      parent: store.id,
      tag: "in_progress",
      value: {
        file_id: id,
        status: "in_progress",
        chunking_strategy: shown,
        attributes,
        caller: { id: caller.id, tenant: caller.tenant, admin: caller.admin },
        embedding_model: store.value["embedding_model"] ?? null,
        batch,
      },
    }));
    await records.putAll(made);
    for (const { id } of made) ingest.add(id);
    const stored = await Promise.all(made.map(({ id }) => records.get(kinds.file, id)));
    return stored.filter((each) => each !== undefined);
  }

  async function assertFile(id: string, caller: Caller): Promise<void> {
    await files.get(id, caller).catch((thrown: unknown) => {
      if (!(thrown instanceof GatewayError) || thrown.code !== "not_found") throw thrown;
      const message = `There is no file '${excerpt(id)}'.`;
      throw new GatewayError("invalid_request", message, { param: "file_id" });
    });
  }

  async function touch(id: string): Promise<void> {
    const last_active_at = Math.floor(nowMs() / 1000);
    await records.update(kind, id, ({ value }) =>
      value["last_active_at"] === last_active_at
        ? undefined
        : { value: { ...value, last_active_at } },
    );
  }

  async function find(
    ids: readonly string[],
    asked: StoreQuery,
    caller: Caller,
  ): Promise<readonly FoundPassage[]> {
    const { queries, limit, filter, threshold, weights } = asked;
    const best = new Map<string, VectorHit & { readonly filename?: string }>();
    /** Who sees a store sees what its owner's files are called. */
    const owners = new Set([caller.id]);
    for (const id of ids) {
      const there = await findThere(id, asked, caller);
      if (there) {
        for (const hit of there) {
          const key = `${id} ${hit.document} ${hit.text}`;
          if (hit.score > (best.get(key)?.score ?? -1)) best.set(key, hit);
        }
        continue;
      }
      const store = await getOpen(id, caller);
      owners.add(store.owner);
      const signal = AbortSignal.timeout(searchMs);
      const { embedding_model: named } = store.value;
      const model = typeof named === "string" ? named : undefined;
      const embedded = await embedTexts({ texts: queries, model, caller, signal }, parts);
      for (const [i, words] of queries.entries()) {
        const vector = embedded[i];
        const query = {
          words,
          limit,
          ...(vector ? { vector } : {}),
          ...(filter ? { filter } : {}),
          ...(weights ? { weights } : {}),
        };
        for (const hit of await whole(store, await backends.of(store).search(id, query))) {
          const key = `${id} ${hit.document} ${hit.passage}`;
          if (hit.score >= threshold && hit.score > (best.get(key)?.score ?? -1))
            best.set(key, hit);
        }
      }
      await touch(id);
    }
    const ranked = [...best.values()].sort((a, b) => b.score - a.score).slice(0, limit);
    const names = new Map<string, string>();
    for (const { document, filename } of ranked) {
      if (filename !== undefined) continue;
      if (!names.has(document)) names.set(document, await nameOf(document, caller, owners));
    }
    return ranked.map((hit) => ({
      ...hit,
      filename: hit.filename ?? names.get(hit.document) ?? "",
    }));
  }

  /** Without passages of files that are on their way in, where the backend cannot hide them. */
  async function whole(store: StoredRecord, hits: readonly VectorHit[]) {
    if (backends.of(store).isWhole) return hits;
    const states = new Map<string, string | undefined>();
    for (const { document } of hits) {
      if (states.has(document)) continue;
      const file = await records.get(kinds.file, fileRecordId(store.id, document));
      states.set(document, file?.tag);
    }
    return hits.filter(({ document }) => states.get(document) === "completed");
  }

  /** A file may be deleted and still lie in a store. */
  async function nameOf(
    file: string,
    caller: Caller,
    owners: ReadonlySet<string>,
  ): Promise<string> {
    const record = await records.get("file", file);
    const seen = record && (caller.admin || owners.has(record.owner));
    return seen ? String(record.value["filename"] ?? "") : "";
  }

  const access = {
    see: getOpen,
    change: getOwnOpen,
    there(id: string, caller: Caller) {
      const store = registered.find(id);
      if (!store) return undefined;
      assertStoreGranted(id, caller, services());
      return (path: string, query?: URLSearchParams) => registered.files(store, path, query);
    },
  };

  return {
    async create(body, caller) {
      // A new id is in no list: only a key that names no stores, or all, can use what it makes.
      assertStoreGranted("(new)", caller, services());
      const ids = readFileIds(body);
      const value = readStore(body);
      readChunks(body);
      const backend = backends.choose(optionalText(body, "backend", 128));
      for (const id of ids) await assertFile(id, caller);
      const record = await records.put({
        kind,
        id: newId("vs"),
        owner: caller.id,
        value: {
          ...value,
          embedding_model: modelOf(body) ?? null,
          ...(backend ? { backend } : {}),
        },
      });
      if (ids.length > 0) await addFiles(record, ids, body, caller);
      return show(record);
    },
    async get(id, caller) {
      const there = registered.find(id);
      if (!there) return show(await see(id, caller));
      assertStoreGranted(id, caller, services());
      return registered.show(there);
    },
    async assertSeen(id, caller) {
      if (registered.find(id)) assertStoreGranted(id, caller, services());
      else await see(id, caller);
    },
    async change(id, body, caller) {
      const held = await getChangeable(id, caller);
      const next = readStore(body);
      const changed = await records.update(kind, id, ({ value }) => ({
        value: { ...value, ...next },
      }));
      return show(changed ?? held);
    },
    async remove(id, caller) {
      const store = await getChangeable(id, caller);
      await records.removeAll(kinds.file, id);
      await records.removeAll(kinds.batch, id);
      await backends.of(store).drop(id);
      await records.remove(kind, id);
      return { id, object: "vector_store.deleted", deleted: true };
    },
    async list(query, caller) {
      const page = await listGranted(records, readPageQuery(query, storePages), caller, services());
      const shown = new Map<string, JsonObject>();
      for (const record of page.records) shown.set(record.id, await show(record));
      const reply = toListReply(page, ({ id }) => shown.get(id) ?? {});
      return withRegistered(reply, query, openRegistered(caller));
    },
    async search(id, body, caller) {
      const query = readQuery(body);
      const found = await find([id], query, caller);
      return {
        object: "vector_store.search_results.page",
        search_query: query.queries as Json,
        data: found.map(({ document, filename, score, attributes, text }) => ({
          file_id: document,
          filename,
          score,
          attributes,
          content: [{ type: "text", text }],
        })),
        has_more: false,
        next_page: null,
      };
    },
    find,
    files: createStoreFiles(parts, access, addFiles),
    batches: createStoreBatches(parts, access, addFiles),
    start: ingest.start,
    close: ingest.close,
  };
}

/** Before the first page of the others, in the file's order; cursors are of the others alone. */
function withRegistered(
  reply: JsonObject,
  query: URLSearchParams,
  stores: readonly RegisteredStore[],
): JsonObject {
  if (stores.length === 0 || query.has("after") || query.has("before")) return reply;
  const { data } = reply;
  const first = stores.map(toShown);
  return { ...reply, data: [...first, ...(Array.isArray(data) ? data : [])] };
}

const searchMs = 60_000;
