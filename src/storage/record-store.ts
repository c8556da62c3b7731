/**
 * JSON records of the APIs that have memory: files, vector stores, batches, assistants, agents'
 * tasks, registered servers, skills. A record has a kind, an id, an owner, and a version that grows
 * with every write, so that two writers cannot undo one another in silence.
 */
import type { JsonObject } from "../domain/json.ts";

export interface StoredRecord {
  readonly kind: string;
  readonly id: string;
  /** The caller whose it is; "" where it belongs to the gateway. */
  readonly owner: string;
  /** What it is part of: the thread of a message, the store of a file. Removed with `removeAll`. */
  readonly parent: string;
  /** Free text to find it by, exact: a status, a hash, a name. */
  readonly tag: string;
  readonly createdMs: number;
  readonly updatedMs: number;
  /** Gone from then on; undefined: kept until removed. */
  readonly expiresMs?: number;
  /** 1 for a new one. */
  readonly version: number;
  readonly value: JsonObject;
}

export interface NewRecord {
  readonly kind: string;
  readonly id: string;
  readonly owner?: string;
  readonly parent?: string;
  readonly tag?: string;
  /** Default: now. */
  readonly createdMs?: number;
  readonly expiresMs?: number;
  readonly value: JsonObject;
}

export interface PutCondition {
  /** Only where there is none of this kind and id. */
  readonly ifAbsent?: boolean;
  /** Only where the record still has this version. */
  readonly ifVersion?: number;
}

export interface RecordQuery {
  readonly kind: string;
  readonly owner?: string;
  readonly parent?: string;
  readonly tag?: string;
  /** Newest first by default, by creation and then by id. */
  readonly order?: "asc" | "desc";
  /** Cursors: ids of records of this kind; one that is not there finds nothing. */
  readonly after?: string;
  readonly before?: string;
  /** At most `recordLimits.page`. */
  readonly limit: number;
}

export interface RecordPage {
  readonly records: readonly StoredRecord[];
  readonly hasMore: boolean;
}

/** @throws GatewayError storage_failed from every method; body_too_large where a record is over its limit. */
export interface RecordStore {
  get(kind: string, id: string): Promise<StoredRecord | undefined>;
  /** Writes whole, durably. The time of creation and the owner stay the first writer's. */
  put(record: NewRecord): Promise<StoredRecord>;
  /** Undefined where the condition does not hold. */
  put(record: NewRecord, condition: PutCondition): Promise<StoredRecord | undefined>;
  /** Several at once, or none. */
  putAll(records: readonly NewRecord[]): Promise<void>;
  /**
   * Reads, changes, writes; again where somebody else wrote meanwhile. `change` answers undefined to
   * leave it as it is. Undefined where there is none.
   */
  update(
    kind: string,
    id: string,
    change: (record: StoredRecord) => RecordChange | undefined,
  ): Promise<StoredRecord | undefined>;
  /** Says whether there was one. */
  remove(kind: string, id: string): Promise<boolean>;
  /** All of a kind with this parent. Says how many. */
  removeAll(kind: string, parent: string): Promise<number>;
  list(query: RecordQuery): Promise<RecordPage>;
  count(query: Pick<RecordQuery, "kind" | "owner" | "parent" | "tag">): Promise<number>;
  /** Why nothing survives a restart just now; undefined where all is well. */
  readonly problem: string | undefined;
  close(): Promise<void>;
}

export type RecordChange = Partial<Pick<StoredRecord, "value" | "tag" | "expiresMs">>;

export const recordLimits = {
  /** Of one record's JSON. */
  bytes: 16 * 1024 * 1024,
  page: 1_000,
  /** Of one `putAll`. */
  batch: 10_000,
} as const;

export const recordFileName = "records.db";
