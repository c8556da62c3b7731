/** Read, change, write; again where somebody else wrote meanwhile: every record store's `update`. */
import { excerpt, GatewayError } from "../domain/errors.ts";
import type { RecordStore } from "./record-store.ts";

/** Of a change that others keep undoing. */
const attempts = 50;

/** @throws GatewayError storage_failed where others keep writing */
export async function updateRecord(
  store: Pick<RecordStore, "get" | "put">,
  [kind, id, change]: Parameters<RecordStore["update"]>,
): ReturnType<RecordStore["update"]> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const held = await store.get(kind, id);
    const next = held && change(held);
    if (!held || !next) return held;
    const written = await store.put({ ...held, ...next }, { ifVersion: held.version });
    if (written) return written;
  }
  const message = `${kind} ${excerpt(id)} is being written by too many at once. Try again.`;
  throw new GatewayError("storage_failed", message);
}
