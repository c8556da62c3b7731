/** Rows that share a key, directly or by way of others, are one group: sets joined as rows come. */
import { createHashIndex } from "../../std/hash-index.ts";

export interface Groups {
  /** The next row, and its keys. */
  add(keys: readonly string[]): void;
  /** n: a number per row, equal within a group. */
  finish(): Int32Array;
}

/**
 * A group is not joined to another where both would be more than this share of all rows: one phrase
 * that everybody sends ("hello") would chain all conversations into one group, and nothing could be
 * split. Such a group is then several, which leaks little: what everybody sends is known anyway.
 */
export const largestShare = 0.05;
/** Under which joining is never refused. */
const alwaysJoined = 2_000;

export function createGroups(): Groups {
  const byKey = createHashIndex();
  let parents = new Int32Array(1024);
  let sizes = new Int32Array(1024);
  let n = 0;

  function find(id: number): number {
    let root = id;
    while (parents[root] !== root) root = parents[root] as number;
    for (let at = id; at !== root; ) {
      const next = parents[at] as number;
      parents[at] = root;
      at = next;
    }
    return root;
  }

  return {
    add(keys) {
      if (n === parents.length) {
        parents = grown(parents);
        sizes = grown(sizes);
      }
      const own = n++;
      parents[own] = own;
      sizes[own] = 1;
      const limit = Math.max(alwaysJoined, largestShare * n);
      for (const key of keys) {
        const other = byKey.get(key);
        if (other < 0) {
          byKey.set(key, own);
          continue;
        }
        const [to, from] = [find(other), find(own)];
        if (to === from) continue;
        if ((sizes[to] as number) + (sizes[from] as number) > limit) {
          byKey.set(key, own); // those to come join this one
          continue;
        }
        parents[from] = to;
        sizes[to] = (sizes[to] as number) + (sizes[from] as number);
      }
    },
    finish: () => Int32Array.from({ length: n }, (_, row) => find(row)),
  };
}

function grown(array: Int32Array): Int32Array<ArrayBuffer> {
  const next = new Int32Array(array.length * 2);
  next.set(array);
  return next;
}
