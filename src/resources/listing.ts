/** What every API of stored things shares: who may see one, and how a page of them is asked for. */
import type { Caller } from "../domain/call.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type {
  RecordPage,
  RecordQuery,
  RecordStore,
  StoredRecord,
} from "../storage/record-store.ts";

/** An administrator sees everybody's. */
export function isOwn({ owner }: StoredRecord, { id, admin }: Caller): boolean {
  return admin || owner === id;
}

/** @throws GatewayError not_found for what is not there and for what is somebody else's, alike */
export async function getOwn(
  records: RecordStore,
  kind: string,
  id: string,
  caller: Caller,
): Promise<StoredRecord> {
  const record = await records.get(kind, id);
  if (record && isOwn(record, caller)) return record;
  throw noSuch(kind, id);
}

export function noSuch(kind: string, id: string): GatewayError {
  const what = kind.replaceAll(/[-_.]/g, " ");
  return new GatewayError("not_found", `No ${what} found with id '${excerpt(id)}'.`);
}

export interface PageLimits {
  readonly preset: number;
  readonly most: number;
}

/** @throws GatewayError invalid_request naming the parameter */
export function readPageQuery(
  query: URLSearchParams,
  { preset, most }: PageLimits,
): Pick<RecordQuery, "limit" | "order" | "after" | "before"> {
  const order = query.get("order") ?? "desc";
  if (order !== "asc" && order !== "desc") {
    throw invalid("order", `'order' must be 'asc' or 'desc', not '${excerpt(order)}'.`);
  }
  const text = query.get("limit");
  const limit = text === null ? preset : Number(text);
  if (!Number.isInteger(limit) || limit < 1 || limit > most) {
    throw invalid("limit", `'limit' must be a whole number from 1 to ${most}.`);
  }
  const after = query.get("after");
  const before = query.get("before");
  return {
    limit,
    order,
    ...(after === null ? {} : { after }),
    ...(before === null ? {} : { before }),
  };
}

/** OpenAI's form of a page. */
export function toListReply(
  { records, hasMore }: RecordPage,
  toObject: (record: StoredRecord) => JsonObject,
): JsonObject {
  return {
    object: "list",
    data: records.map(toObject),
    first_id: records[0]?.id ?? null,
    last_id: records.at(-1)?.id ?? null,
    has_more: hasMore,
  };
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError("invalid_request", message, { param });
}
