/** Vector stores, their files and batches as the API shows them. Source: OpenAI's vector stores. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";

export const kinds = {
  store: "vector-store",
  file: "vector-store-file",
  batch: "vector-store-file-batch",
} as const;

export const fileStates = ["in_progress", "completed", "failed", "cancelled"] as const;

/** A file lies in several stores, and in each of them once. */
export const fileRecordId = (store: string, file: string) => `${store}.${file}`;

const seconds = (ms: number) => Math.floor(ms / 1000);
const dayS = 86_400;

export function expiryOf({ value, createdMs }: StoredRecord): number | undefined {
  const after = value["expires_after"];
  if (!isObject(after)) return undefined;
  const active = Number(value["last_active_at"] ?? seconds(createdMs));
  return active + Number(after["days"]) * dayS;
}

export async function toStore(
  record: StoredRecord,
  records: RecordStore,
  nowMs: number,
): Promise<JsonObject> {
  const { id, createdMs, value } = record;
  const counts = await countFiles(id, records);
  const expiresAt = expiryOf(record);
  const expired = expiresAt !== undefined && expiresAt <= seconds(nowMs);
  const working = Number(counts["in_progress"]) > 0;
  return {
    id,
    object: "vector_store",
    created_at: seconds(createdMs),
    name: value["name"] ?? "",
    ...(typeof value["description"] === "string" ? { description: value["description"] } : {}),
    usage_bytes: value["usage_bytes"] ?? 0,
    file_counts: counts,
    status: expired ? "expired" : working ? "in_progress" : "completed",
    ...(isObject(value["expires_after"]) ? { expires_after: value["expires_after"] } : {}),
    expires_at: expiresAt ?? null,
    last_active_at: value["last_active_at"] ?? seconds(createdMs),
    metadata: value["metadata"] ?? {},
    ...(typeof value["backend"] === "string" ? { backend: value["backend"] } : {}),
  };
}

async function countFiles(store: string, records: RecordStore): Promise<JsonObject> {
  const { file: kind } = kinds;
  const counts = await Promise.all(
    fileStates.map((tag) => records.count({ kind, parent: store, tag })),
  );
  const entries = fileStates.map((state, i): [string, Json] => [state, counts[i] ?? 0]);
  return { ...Object.fromEntries(entries), total: counts.reduce((sum, each) => sum + each, 0) };
}

export function toFile({ createdMs, parent, value }: StoredRecord): JsonObject {
  return {
    id: value["file_id"] ?? "",
    object: "vector_store.file",
    usage_bytes: value["usage_bytes"] ?? 0,
    created_at: seconds(createdMs),
    vector_store_id: parent,
    status: value["status"] ?? "in_progress",
    last_error: value["last_error"] ?? null,
    chunking_strategy: value["chunking_strategy"] ?? {},
    attributes: value["attributes"] ?? {},
  };
}

export function toBatch(
  { id, createdMs, parent, value }: StoredRecord,
  files: readonly StoredRecord[],
): JsonObject {
  const of = (state: string) => files.filter(({ tag }) => tag === state).length;
  const counts = Object.fromEntries(fileStates.map((state) => [state, of(state)]));
  const cancelled = value["cancelled"] === true;
  return {
    id,
    object: "vector_store.files_batch",
    created_at: seconds(createdMs),
    vector_store_id: parent,
    status: of("in_progress") > 0 ? "in_progress" : cancelled ? "cancelled" : "completed",
    file_counts: { ...counts, total: files.length },
  };
}
