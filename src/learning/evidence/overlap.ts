/**
 * Whether rows that are to judge a router are among those that taught it: by the features of their
 * queries, since the event log has no text. Two queries of the same words in the same order have the
 * same ones.
 */
import { createHash } from "node:crypto";
import type { RawFeatures } from "../../domain/features.ts";
import type { Table } from "../table.ts";

export interface Overlap {
  /** Rows that judge whose query taught as well, by their place. */
  readonly rows: ReadonlySet<number>;
  /** Of the first few of them. */
  readonly ids: readonly string[];
}

const namedIds = 3;

/** Undefined where there is none. Cost: a hash of some kB a row, 16 bytes a taught query. */
export function findOverlap(
  taught: Pick<Table, "features">,
  judging: Pick<Table, "features" | "ids">,
): Overlap | undefined {
  const known = new Set(taught.features.map(keyOf));
  const rows = new Set<number>();
  for (const [row, features] of judging.features.entries()) {
    if (known.has(keyOf(features))) rows.add(row);
  }
  if (rows.size === 0) return undefined;
  const first = [...rows].slice(0, namedIds);
  return { rows, ids: first.map((row) => judging.ids[row] ?? "") };
}

function keyOf({ embedding, lexicalBuckets }: RawFeatures): string {
  const hash = createHash("sha256");
  for (const { buffer, byteOffset, byteLength } of [embedding, lexicalBuckets]) {
    hash.update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  return hash.digest("base64").slice(0, 16);
}
