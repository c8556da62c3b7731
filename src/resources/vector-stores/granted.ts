/** Which stores a caller may see: his own, and those that his key names; where it names some, no others. */
import type { Caller } from "../../domain/call.ts";
import { isListed } from "../../domain/grants.ts";
import { denyClosed, grantsOf } from "../../pipeline/grants.ts";
import type { Services } from "../../pipeline/services.ts";
import type { RecordQuery, RecordStore, StoredRecord } from "../../storage/record-store.ts";
import { getOwn, isOwn } from "../listing.ts";
import { kinds } from "./objects.ts";

/** @throws GatewayError permission_denied, which is written down */
export function assertStoreGranted(
  id: string,
  caller: Caller,
  services: Services,
  param?: string,
): void {
  const list = grantsOf(caller, services)?.vectorStores;
  if (isListed(list, id)) return;
  const told = param === undefined ? {} : { param };
  throw denyClosed({ what: "vector store", name: id, ...told }, caller, services);
}

/** To search and read: whose it is does not matter where the key names it. @throws as `getOwn`, and permission_denied */
export async function getGranted(
  records: RecordStore,
  id: string,
  caller: Caller,
  services: Services,
): Promise<StoredRecord> {
  assertStoreGranted(id, caller, services);
  const named = grantsOf(caller, services)?.vectorStores?.includes(id);
  const record = named ? await records.get(kinds.store, id) : undefined;
  return record ?? getOwn(records, kinds.store, id, caller);
}

/** One page of those that a caller may see; keys that name theirs have one page of these. */
export async function listGranted(
  records: RecordStore,
  query: Omit<RecordQuery, "kind" | "owner">,
  caller: Caller,
  services: Services,
) {
  const { store: kind } = kinds;
  const list = grantsOf(caller, services)?.vectorStores;
  if (list === undefined) {
    const owner = caller.admin ? {} : { owner: caller.id };
    return records.list({ kind, ...owner, ...query });
  }
  const seen = await namedStores(records, list, caller);
  const isLater =
    query.order === "asc" ? compare : (a: StoredRecord, b: StoredRecord) => compare(b, a);
  seen.sort(isLater);
  const { after, before, limit } = query;
  const from = after === undefined ? 0 : seen.findIndex(({ id }) => id === after) + 1;
  const to = before === undefined ? seen.length : seen.findIndex(({ id }) => id === before);
  const isKnown = (after === undefined || from > 0) && to >= 0;
  const rest = isKnown ? seen.slice(from, to) : [];
  return { records: rest.slice(0, limit), hasMore: rest.length > limit };
}

/** Own ones that a pattern fits, and those that are named, whoever made them. */
async function namedStores(
  records: RecordStore,
  list: readonly string[],
  caller: Caller,
): Promise<StoredRecord[]> {
  const { store: kind } = kinds;
  const named = await Promise.all(list.slice(0, namedLimit).map((id) => records.get(kind, id)));
  const found = new Map(named.flatMap((record) => (record ? [[record.id, record]] : [])));
  if (list.some((pattern) => pattern.includes("*"))) {
    const own = await records.list({ kind, owner: caller.id, limit: namedLimit });
    for (const record of own.records) {
      if (isListed(list, record.id) && isOwn(record, caller)) found.set(record.id, record);
    }
  }
  return [...found.values()];
}

/** Of one key's list. */
const namedLimit = 1_000;

const compare = (a: StoredRecord, b: StoredRecord) =>
  a.createdMs - b.createdMs || (a.id < b.id ? -1 : 1);
