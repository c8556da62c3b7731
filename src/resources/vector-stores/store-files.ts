/** Files of a store, and batches of them: what their records say, and how they are added, changed, removed. */
import type { Caller } from "../../domain/call.ts";
import { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { optionalText } from "../fields.ts";
import { getOwn, noSuch, type PageLimits, readPageQuery } from "../listing.ts";
import type { IngestParts } from "./ingest.ts";
import { fileRecordId, fileStates, kinds, toBatch, toFile } from "./objects.ts";
import { readAttributes, readFileIds } from "./read-body.ts";

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

export const storePages: PageLimits = { preset: 20, most: 100 };
const newId = (prefix: string) => `${prefix}_${crypto.randomUUID().replaceAll("-", "")}`;

/** One that has not expired: that the caller may see, or change. */
export interface GetStore {
  readonly see: (id: string, caller: Caller) => Promise<StoredRecord>;
  readonly change: (id: string, caller: Caller) => Promise<StoredRecord>;
  /** Of one that lies at a provider: how its files are asked for there. */
  readonly there: (
    id: string,
    caller: Caller,
  ) => ((path: string, query?: URLSearchParams) => Promise<JsonObject>) | undefined;
}
/** Records of files on their way in. */
export type AddFiles = (
  store: StoredRecord,
  ids: readonly string[],
  body: JsonObject,
  caller: Caller,
  batch?: string,
) => Promise<readonly StoredRecord[]>;

export function createStoreFiles(
  parts: IngestParts,
  getStore: GetStore,
  add: AddFiles,
): StoreFiles {
  const { records, backends } = parts;
  const { file: kind } = kinds;

  async function findFile(
    store: string,
    file: string,
    caller: Caller,
    way: "see" | "change" = "see",
  ) {
    const vectors = backends.of(await getStore[way](store, caller));
    const record = await records.get(kind, fileRecordId(store, file));
    if (record) return { record, vectors };
    throw noSuch("vector-store-file", file);
  }

  return {
    async add(store, body, caller) {
      const id = optionalText(body, "file_id", 128) ?? "";
      const [record] = await add(await getStore.change(store, caller), [id], body, caller);
      if (!record) throw new GatewayError("storage_failed", "The file could not be recorded.");
      return toFile(record);
    },
    async get(store, file, caller) {
      const there = getStore.there(store, caller);
      if (there) return there(`/${encodeURIComponent(file)}`);
      return toFile((await findFile(store, file, caller)).record);
    },
    async change(store, file, body, caller) {
      const { record: held, vectors } = await findFile(store, file, caller, "change");
      const attributes = readAttributes(body) ?? {};
      const changed = await records.update(kind, held.id, ({ value }) => ({
        value: { ...value, attributes },
      }));
      await vectors.setAttributes(store, file, attributes);
      return toFile(changed ?? held);
    },
    async remove(store, file, caller) {
      const { record: held, vectors } = await findFile(store, file, caller, "change");
      await records.remove(kind, held.id);
      await vectors.remove(store, file);
      return { id: file, object: "vector_store.file.deleted", deleted: true };
    },
    async list(store, query, caller) {
      const there = getStore.there(store, caller);
      if (there) return there("", query);
      await getStore.see(store, caller);
      return listFiles(records, store, query, () => true);
    },
    async content(store, file, caller) {
      const there = getStore.there(store, caller);
      if (there) return there(`/${encodeURIComponent(file)}/content`);
      const { vectors } = await findFile(store, file, caller);
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
  const { limit, order, after, before } = readPageQuery(query, storePages);
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

export function createStoreBatches(
  parts: IngestParts,
  getStore: GetStore,
  add: AddFiles,
): StoreBatches {
  const { records } = parts;
  const { batch: kind } = kinds;

  async function findBatch(store: string, id: string, caller: Caller): Promise<StoredRecord> {
    await getStore.change(store, caller);
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
      const held = await getStore.change(store, caller);
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
