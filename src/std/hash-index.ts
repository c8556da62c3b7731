/**
 * Millions of texts to small numbers, by their 64-bit hashes: 24 bytes a text at worst, where a Map
 * of strings takes a hundred. Two texts may share a hash: of a million, with a chance of 3·10⁻⁸.
 */

export interface HashIndex {
  /** The number under a text, or -1. */
  get(text: string): number;
  /** Sets it; a text that is there is overwritten. */
  set(text: string, value: number): void;
  readonly size: number;
}

const initialSlots = 1024;

/** Open addressing with linear steps, at most half full. */
export function createHashIndex(): HashIndex {
  let keys = new BigUint64Array(initialSlots);
  let values = new Int32Array(initialSlots);
  let size = 0;

  function slotOf(key: bigint): number {
    const mask = keys.length - 1;
    let at = Number(key & 0x7fffffffn) & mask;
    while (keys[at] !== 0n && keys[at] !== key) at = (at + 1) & mask;
    return at;
  }

  function grow(): void {
    const [oldKeys, oldValues] = [keys, values];
    keys = new BigUint64Array(oldKeys.length * 2);
    values = new Int32Array(oldKeys.length * 2);
    for (let i = 0; i < oldKeys.length; i++) {
      const key = oldKeys[i] as bigint;
      if (key === 0n) continue;
      const at = slotOf(key);
      keys[at] = key;
      values[at] = oldValues[i] as number;
    }
  }

  return {
    get(text) {
      const at = slotOf(hashOf(text));
      return keys[at] === 0n ? -1 : (values[at] as number);
    },
    set(text, value) {
      const key = hashOf(text);
      let at = slotOf(key);
      if (keys[at] === 0n) {
        if (++size * 2 > keys.length) {
          grow();
          at = slotOf(key);
        }
        keys[at] = key;
      }
      values[at] = value;
    },
    get size() {
      return size;
    },
  };
}

/** Zero marks an empty slot. */
function hashOf(text: string): bigint {
  const hash = BigInt(Bun.hash(text));
  return hash === 0n ? 1n : hash;
}
