/** WordPiece in plain JavaScript, on strings and a Map: the oracle of wasm/assembly/pieces.ts. */
import type { Kernels } from "./kernels.ts";

export type ScalarPieces = Pick<Kernels, "indexPieces" | "wordPieces">;

/** Where indexPieces finds things, in i32 from `index`. */
const field = { text: 0, length: 1, unknown: 6 } as const;

export function createPieces(memory: ArrayBuffer): ScalarPieces {
  const words = new Int32Array(memory);
  const bytes = new Uint8Array(memory);
  const vocabularies = new Map<number, ReadonlyMap<string, number>>();
  const at = (index: number, name: keyof typeof field) => words[(index >> 2) + field[name]] ?? 0;

  return {
    indexPieces(index) {
      const start = at(index, "text");
      const text = decode(bytes.subarray(start, start + at(index, "length")));
      const lines = text.endsWith("\n") ? text.slice(0, -1).split("\n") : text.split("\n");
      const ids = new Map<string, number>();
      for (const [id, piece] of lines.entries()) if (!ids.has(piece)) ids.set(piece, id);
      vocabularies.set(index, ids);
      return lines.length;
    },
    wordPieces(index, text, length, lower, prepared, out, limit) {
      const ids = vocabularies.get(index);
      if (!ids) throw new RangeError("kernels: wordPieces without indexPieces");
      const found: number[] = [];
      const source = decode(bytes.subarray(text, text + length));
      for (const [word] of source.matchAll(/[!-/:-@[-`{-~]|[^ \t\n\r!-/:-@[-`{-~]+/g)) {
        if (found.length >= limit) break;
        if (!prepared && /[^ -~]/.test(word)) return -1;
        const known = splitWord(lower ? lowerAscii(word) : word, ids);
        found.push(...(known ?? [at(index, "unknown")]));
      }
      const count = Math.min(found.length, limit);
      words.set(found.slice(0, count), out >> 2);
      return count;
    },
  };
}

function splitWord(word: string, ids: ReadonlyMap<string, number>): number[] | undefined {
  if ([...word].length > 100) return undefined;
  const found: number[] = [];
  let start = 0;
  while (start < word.length) {
    let end = word.length;
    let id: number | undefined;
    for (; end > start && id === undefined; end--) {
      id = ids.get((start > 0 ? "##" : "") + word.slice(start, end));
    }
    if (id === undefined) return undefined;
    found.push(id);
    start = end + 1;
  }
  return found;
}

const lowerAscii = (word: string) => word.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
