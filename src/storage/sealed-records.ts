/**
 * Records whose values hold credentials, encrypted at rest: a store before the store, which seals
 * the values of some kinds and leaves the others alone. Ids, owners, parents and tags stay readable.
 */
import { isObject, type JsonObject } from "../domain/json.ts";
import type { Sealer } from "../security/sealing.ts";
import {
  type NewRecord,
  type PutCondition,
  type RecordStore,
  recordLimits,
  type StoredRecord,
} from "./record-store.ts";
import { updateRecord } from "./update-record.ts";

/** What registers credentials by API. A new kind that does belongs here. */
export const sealedKinds: ReadonlySet<string> = new Set([
  "mcp-server",
  "mcp-server-trial",
  "mcp-oauth",
  "mcp-oauth-pending",
  "a2a_agent",
  "a2a_push",
]);

export interface SealedRecords extends RecordStore {
  /**
   * Seals what lies in plain text, or under a former key. Says how many records it wrote; what
   * cannot be opened stays as it is. What is read meanwhile is read as ever.
   */
  sealOld(): Promise<number>;
}

/** The only field of a sealed value. */
const field = "sealed";

/** @throws GatewayError sealed_unreadable from what reads, beside the store's own */
export function createSealedRecords(
  inner: RecordStore,
  sealer: Sealer,
  kinds: ReadonlySet<string> = sealedKinds,
): SealedRecords {
  const placeOf = ({ kind, id }: Pick<StoredRecord, "kind" | "id">) => `${kind}/${id}`;

  async function seal<T extends NewRecord>(record: T): Promise<T> {
    if (!kinds.has(record.kind)) return record;
    const text = await sealer.seal(JSON.stringify(record.value), placeOf(record));
    return { ...record, value: { [field]: text } };
  }

  async function open(record: StoredRecord): Promise<StoredRecord> {
    return (await read(record)).record;
  }

  /** A value in plain text is of a time before there was sealing. */
  async function read(record: StoredRecord): Promise<{ record: StoredRecord; isOld: boolean }> {
    const sealed = sealedText(record.value);
    if (!kinds.has(record.kind)) return { record, isOld: false };
    if (sealed === undefined) return { record, isOld: true };
    const { text, isOld } = await sealer.open(sealed, placeOf(record));
    return { record: { ...record, value: JSON.parse(text) as JsonObject }, isOld };
  }

  function put(record: NewRecord): Promise<StoredRecord>;
  function put(record: NewRecord, condition: PutCondition): Promise<StoredRecord | undefined>;
  async function put(record: NewRecord, condition: PutCondition = {}) {
    const written = await inner.put(await seal(record), condition);
    return written && { ...written, value: record.value };
  }

  async function* allOf(kind: string): AsyncGenerator<StoredRecord> {
    for (let after: string | undefined; ; ) {
      const cursor = after === undefined ? {} : { after };
      const page = await inner.list({ kind, order: "asc", limit: recordLimits.page, ...cursor });
      yield* page.records;
      after = page.records.at(-1)?.id;
      if (!page.hasMore || after === undefined) return;
    }
  }

  const store: SealedRecords = {
    get problem() {
      return inner.problem;
    },
    async get(kind, id) {
      const record = await inner.get(kind, id);
      return record && open(record);
    },
    put,
    async putAll(records) {
      await inner.putAll(await Promise.all(records.map(seal)));
    },
    update: (...asked) => updateRecord(store, asked),
    remove: (kind, id) => inner.remove(kind, id),
    removeAll: (kind, parent) => inner.removeAll(kind, parent),
    async list(query) {
      const page = await inner.list(query);
      if (!kinds.has(query.kind)) return page;
      return { ...page, records: await Promise.all(page.records.map(open)) };
    },
    count: (query) => inner.count(query),
    async sealOld() {
      let written = 0;
      for (const kind of kinds) {
        for await (const record of allOf(kind)) {
          const held = await read(record).catch(() => undefined); // whoever asks for it is told
          if (!held?.isOld) continue;
          const sealed = await seal(held.record);
          if (await inner.put(sealed, { ifVersion: record.version })) written++;
        }
      }
      return written;
    },
    close: () => inner.close(),
  };
  return store;
}

function sealedText(value: JsonObject): string | undefined {
  const text = isObject(value) && Object.keys(value).length === 1 ? value[field] : undefined;
  return typeof text === "string" ? text : undefined;
}
