/**
 * Vector stores of the OpenAI API on the gateway's own store: files in passages, found by meaning and
 * by words. Callers see their own. Source: https://platform.openai.com/docs/api-reference/vector-stores
 */
import type { Caller } from "../../domain/call.ts";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import type { Json, JsonObject } from "../../domain/json.ts";
import type { NewRecord, RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { VectorHit } from "../../storage/vectors.ts";
import { optionalText } from "../fields.ts";
import { getOwn, noSuch, type PageLimits, readPageQuery, toListReply } from "../listing.ts";
import { embedTexts } from "./embed.ts";
import { createIngest, type IngestParts } from "./ingest.ts";
import { expiryOf, fileRecordId, fileStates, kinds, toBatch, toFile, toStore } from "./objects.ts";
import {
  readAttributes,
  readChunks,
  readFileIds,
  readQuery,
  readStore,
  type StoreQuery,
} from "./read-body.ts";

/** @throws GatewayError invalid_request, not_found, storage_failed from every method */
export interface VectorStores {
  create(body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(id: string, caller: Caller): Promise<JsonObject>;
  change(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  /** With all that lies in it; the files themselves stay. */
  remove(id: string, caller: Caller): Promise<JsonObject>;
  list(query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  /** OpenAI's page of results. */
  search(id: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  /** The best passages of several stores, for tools. */
  find(ids: readonly string[], query: StoreQuery, caller: Caller): Promise<readonly FoundPassage[]>;
  readonly files: StoreFiles;
  readonly batches: StoreBatches;
  start(): void;
  close(): Promise<void>;
}

export interface StoreFiles {
  add(store: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(store: string, file: string, caller: Caller): Promise<JsonObject>;
  change(store: string, file: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  remove(store: string, file: string, caller: Caller): Promise<JsonObject>;
  list(store: string, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
  content(store: string, file: string, caller: Caller): Promise<JsonObject>;
}

export interface StoreBatches {
  add(store: string, body: JsonObject, caller: Caller): Promise<JsonObject>;
  get(store: string, batch: string, caller: Caller): Promise<JsonObject>;
  cancel(store: string, batch: string, caller: Caller): Promise<JsonObject>;
  files(store: string, batch: string, query: URLSearchParams, caller: Caller): Promise<JsonObject>;
}

export interface FoundPassage extends VectorHit {
  readonly filename: string;
}

const pages: PageLimits = { preset: 20, most: 100 };
const newId = (prefix: string) => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;

export function createVectorStores(parts: IngestParts): VectorStores {
  const { records, vectors, services, files } = parts;
  const ingest = createIngest(parts);
  const { store: kind } = kinds;
  const nowMs = () => services().clock.now();
  const show = (record: StoredRecord) => toStore(record, records, nowMs());

  async function getOpen(id: string, caller: Caller): Promise<StoredRecord> {
    const record = await getOwn(records, kind, id, caller);
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
    { queries, limit, filter, threshold, weights }: StoreQuery,
    caller: Caller,
  ): Promise<readonly FoundPassage[]> {
    const best = new Map<string, VectorHit>();
    for (const id of ids) {
      const store = await getOpen(id, caller);
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
        for (const hit of await vectors.search(id, query)) {
          const key = `${id} ${hit.document} ${hit.passage}`;
          if (hit.score >= threshold && hit.score > (best.get(key)?.score ?? -1))
            best.set(key, hit);
        }
      }
      await touch(id);
    }
    const ranked = [...best.values()].sort((a, b) => b.score - a.score).slice(0, limit);
    const names = new Map<string, string>();
    for (const { document } of ranked) {
      if (!names.has(document)) names.set(document, await nameOf(document, caller));
    }
    return ranked.map((hit) => ({ ...hit, filename: names.get(hit.document) ?? "" }));
  }

  /** A file may be deleted and still lie in a store. */
  async function nameOf(file: string, caller: Caller): Promise<string> {
    const record = await records.get("file", file);
    const seen = record && (caller.admin || record.owner === caller.id);
    return seen ? String(record.value["filename"] ?? "") : "";
  }

  return {
    async create(body, caller) {
      const ids = readFileIds(body);
      const value = readStore(body);
      readChunks(body);
      for (const id of ids) await assertFile(id, caller);
      const record = await records.put({
        kind,
        id: newId("vs"),
        owner: caller.id,
        value: { ...value, embedding_model: modelOf(body) ?? null },
      });
      if (ids.length > 0) await addFiles(record, ids, body, caller);
      return show(record);
    },
    get: async (id, caller) => show(await getOwn(records, kind, id, caller)),
    async change(id, body, caller) {
      const held = await getOwn(records, kind, id, caller);
      const next = readStore(body);
      const changed = await records.update(kind, id, ({ value }) => ({
        value: { ...value, ...next },
      }));
      return show(changed ?? held);
    },
    async remove(id, caller) {
      await getOwn(records, kind, id, caller);
      await records.removeAll(kinds.file, id);
      await records.removeAll(kinds.batch, id);
      await vectors.drop(id);
      await records.remove(kind, id);
      return { id, object: "vector_store.deleted", deleted: true };
    },
    async list(query, caller) {
      const owner = caller.admin ? {} : { owner: caller.id };
      const page = await records.list({ kind, ...owner, ...readPageQuery(query, pages) });
      const shown = new Map<string, JsonObject>();
      for (const record of page.records) shown.set(record.id, await show(record));
      return toListReply(page, ({ id }) => shown.get(id) ?? {});
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
    files: createStoreFiles(parts, getOpen, addFiles),
    batches: createStoreBatches(parts, getOpen, addFiles),
    start: ingest.start,
    close: ingest.close,
  };
}

const searchMs = 60_000;

type GetStore = (id: string, caller: Caller) => Promise<StoredRecord>;
type AddFiles = (
  store: StoredRecord,
  ids: readonly string[],
  body: JsonObject,
  caller: Caller,
  batch?: string,
) => Promise<readonly StoredRecord[]>;

function createStoreFiles(parts: IngestParts, getStore: GetStore, add: AddFiles): StoreFiles {
  const { records, vectors } = parts;
  const { file: kind } = kinds;

  async function findFile(store: string, file: string, caller: Caller): Promise<StoredRecord> {
    await getStore(store, caller);
    const record = await records.get(kind, fileRecordId(store, file));
    if (record) return record;
    throw noSuch("vector-store-file", file);
  }

  return {
    async add(store, body, caller) {
      const id = optionalText(body, "file_id", 128) ?? "";
      const [record] = await add(await getStore(store, caller), [id], body, caller);
      if (!record) throw new GatewayError("storage_failed", "The file could not be recorded.");
      return toFile(record);
    },
    get: async (store, file, caller) => toFile(await findFile(store, file, caller)),
    async change(store, file, body, caller) {
      const held = await findFile(store, file, caller);
      const attributes = readAttributes(body) ?? {};
      const changed = await records.update(kind, held.id, ({ value }) => ({
        value: { ...value, attributes },
      }));
      await vectors.setAttributes(store, file, attributes);
      return toFile(changed ?? held);
    },
    async remove(store, file, caller) {
      const held = await findFile(store, file, caller);
      await records.remove(kind, held.id);
      await vectors.remove(store, file);
      return { id: file, object: "vector_store.file.deleted", deleted: true };
    },
    async list(store, query, caller) {
      await getStore(store, caller);
      return listFiles(records, store, query, () => true);
    },
    async content(store, file, caller) {
      await findFile(store, file, caller);
      const texts = await vectors.read(store, file);
      const data = texts.map((text) => ({ type: "text", text }));
      return { object: "vector_store.file_content.page", data, has_more: false, next_page: null };
    },
  };
}

/** Cursors are ids of files, as callers know them. */
async function listFiles(
  records: RecordStore,
  store: string,
  query: URLSearchParams,
  wanted: (record: StoredRecord) => boolean,
): Promise<JsonObject> {
  const { limit, order, after, before } = readPageQuery(query, pages);
  const state = query.get("filter");
  const tag = fileStates.find((each) => each === state);
  const page = await records.list({
    kind: kinds.file,
    parent: store,
    limit,
    ...(order ? { order } : {}),
    ...(tag ? { tag } : {}),
    ...(after === undefined ? {} : { after: fileRecordId(store, after) }),
    ...(before === undefined ? {} : { before: fileRecordId(store, before) }),
  });
  const shown = page.records.filter(wanted);
  return {
    object: "list",
    data: shown.map(toFile),
    first_id: shown[0]?.value["file_id"] ?? null,
    last_id: shown.at(-1)?.value["file_id"] ?? null,
    has_more: page.hasMore,
  };
}

function createStoreBatches(parts: IngestParts, getStore: GetStore, add: AddFiles): StoreBatches {
  const { records } = parts;
  const { batch: kind } = kinds;

  async function findBatch(store: string, id: string, caller: Caller): Promise<StoredRecord> {
    await getStore(store, caller);
    const record = await getOwn(records, kind, id, caller);
    if (record.parent === store) return record;
    throw noSuch("vector-store-file-batch", id);
  }

  async function filesOf({ parent, id }: StoredRecord): Promise<readonly StoredRecord[]> {
    const found: StoredRecord[] = [];
    for (let after: string | undefined; ; ) {
      const cursor = after === undefined ? {} : { after };
      const query = { kind: kinds.file, parent, ...cursor, order: "asc", limit: 1_000 } as const;
      const page = await records.list(query);
      found.push(...page.records.filter(({ value }) => value["batch"] === id));
      after = page.records.at(-1)?.id;
      if (!page.hasMore || after === undefined) return found;
    }
  }

  return {
    async add(store, body, caller) {
      const held = await getStore(store, caller);
      const ids = readFileIds(body);
      if (ids.length === 0) {
        const message = "'file_ids' must name the files to add.";
        throw new GatewayError("invalid_request", message, { param: "file_ids" });
      }
      const id = newId("vsfb");
      const batch = { kind, id, owner: held.owner, parent: store, value: {} };
      const added = await add(held, ids, body, caller, id);
      return toBatch(await records.put(batch), added);
    },
    async get(store, id, caller) {
      const batch = await findBatch(store, id, caller);
      return toBatch(batch, await filesOf(batch));
    },
    async cancel(store, id, caller) {
      const batch = await findBatch(store, id, caller);
      for (const file of await filesOf(batch)) {
        await records.update(kinds.file, file.id, ({ value, tag }) =>
          tag === "in_progress"
            ? { value: { ...value, status: "cancelled" }, tag: "cancelled" }
            : undefined,
        );
      }
      const cancelled = await records.update(kind, id, ({ value }) => ({
        value: { ...value, cancelled: true },
      }));
      return toBatch(cancelled ?? batch, await filesOf(batch));
    },
    async files(store, id, query, caller) {
      await findBatch(store, id, caller);
      return listFiles(records, store, query, ({ value }) => value["batch"] === id);
    },
  };
}
