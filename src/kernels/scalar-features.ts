/** The kernels of a decision in plain JavaScript: the oracle of wasm/assembly/{featurize,nearest}.ts. */
import type { Arithmetic, Kernels } from "./kernels.ts";

export type ScalarFeatures = Pick<Kernels, "featurize" | "averageNearest">;

type Parts = Pick<
  Arithmetic,
  "normalizeF32" | "quantizeQueryF32" | "matvecI8" | "projectSparseF32"
>;

const { fround } = Math;
const bins = 512;
const kept = 5;

export function createScalarFeatures(memory: ArrayBuffer, parts: Parts): ScalarFeatures {
  const f = new Float32Array(memory);
  const d = new Float64Array(memory);
  const b = new Int8Array(memory);
  const u8 = new Uint8Array(memory);
  const u16 = new Uint16Array(memory);
  const w = new Int32Array(memory);
  const at = (view: ArrayLike<number>, index: number) => view[index] as number;
  /** The i32 of a layout, at a byte. */
  const field = (layout: number, byte: number) => at(w, (layout + byte) >> 2);

  /** Number of a bucket's row; −1 without one. */
  function rowOf(words: number, bucket: number): number {
    const word = words + (bucket >> 6) * 16;
    let rank = at(w, (word >> 2) + 2);
    for (let bit = 0; bit <= (bucket & 63); bit++) {
      const isSet = ((at(u8, word + (bit >> 3)) >> (bit & 7)) & 1) === 1;
      if (bit === (bucket & 63)) return isSet ? rank : -1;
      if (isSet) rank++;
    }
    return -1;
  }

  function featurize(layout: number, buckets: number): number {
    const size = field(layout, 20);
    const embedding = field(layout, 16);
    const shape = field(layout, 24);
    const input = field(layout, 0);
    const rows = field(layout, 8);
    const stride = field(layout, 84);
    const out = field(layout, 48) >> 2;
    const scaleOf = (row: number) => at(f, (rows + row * stride) >> 2);
    const offsetOf = (row: number) => at(f, ((rows + row * stride) >> 2) + 1);
    const used: { readonly row: number; readonly factor: number }[] = [];
    const from = input + (embedding + shape) * 4;
    const ends = [field(layout, 64), field(layout, 68), 65536];
    let total = 0;
    let i = 0;
    for (const end of ends) {
      const found: { readonly row: number; readonly weight: number }[] = [];
      let squares = 0;
      for (; i < buckets; i++) {
        const bucket = at(u16, (from >> 1) + i);
        if (bucket >= end) break;
        const row = rowOf(field(layout, 4), bucket);
        if (row < 0) continue;
        const count = at(u8, from + buckets * 2 + i);
        const weight = at(f, (field(layout, 28) >> 2) + count) * offsetOf(row);
        found.push({ row, weight: fround(weight) });
        squares += weight * weight;
      }
      const factor = squares > 0 ? 1 / Math.sqrt(squares) : 0;
      for (const { row, weight } of found) {
        used.push({ row, factor: fround(fround(weight * factor) * scaleOf(row)) });
      }
      if (squares > 0) total += 1;
    }
    for (let e = 0; e < embedding; e++) {
      const row = field(layout, 12) + e;
      const weight = at(f, (layout + 52) >> 2) * (at(f, (input >> 2) + e) - offsetOf(row));
      used.push({ row, factor: fround(fround(weight) * scaleOf(row)) });
      total += weight * weight;
    }
    f.fill(0, out, out + size);
    for (const { row, factor } of used) {
      const data = rows + row * stride + 16;
      for (let c = 0; c < size; c++) {
        f[out + c] = at(f, out + c) + fround(factor * at(b, data + c));
      }
    }
    const length = parts.normalizeF32(out << 2, size);
    addShape(layout, out, size, length);
    return total > 0 ? length / Math.sqrt(total) : 0;
  }

  function addShape(layout: number, out: number, size: number, length: number): void {
    const shape = field(layout, 24);
    const input = (field(layout, 0) >> 2) + field(layout, 16);
    const weight = at(f, (layout + 56) >> 2);
    const limit = at(f, (layout + 60) >> 2);
    let squares = length > 0 ? 1 : 0;
    for (let i = 0; i < shape; i++) {
      const off = at(f, input + i) - at(f, (field(layout, 32) >> 2) + i);
      const standard = off * at(f, (field(layout, 36) >> 2) + i);
      const value = (Math.max(-limit, Math.min(limit, standard)) * weight) / Math.sqrt(shape);
      f[out + size + i] = value;
      squares += value * value;
    }
    const factor = squares > 0 ? 1 / Math.sqrt(squares) : 0;
    for (let i = out; i < out + size + shape; i++) f[i] = at(f, i) * factor;
  }

  function averageNearest(layout: number): number {
    const n = field(layout, 60);
    const size = field(layout, 64);
    const m = field(layout, 68);
    const query = field(layout, 28);
    const similarity = field(layout, 32);
    const found = field(layout, 36);
    const factor = field(layout, 40);
    const scale = parts.quantizeQueryF32(field(layout, 24), query, size);
    const rows = [field(layout, 0), field(layout, 4), field(layout, 8)] as const;
    parts.matvecI8(...rows, query, scale, 0, similarity, n, size);
    const count = select(layout, n);
    parts.projectSparseF32(field(layout, 12), found, factor, count, m, field(layout, 44));
    const weight = field(layout, 16);
    if (weight) parts.projectSparseF32(weight, found, factor, count, m, field(layout, 48));
    else {
      let sum = 0;
      for (let i = 0; i < count; i++) {
        const row = at(w, (found >> 2) + i);
        sum += at(f, (factor >> 2) + i) * at(f, (field(layout, 20) >> 2) + row);
      }
      d[(layout + 88) >> 3] = sum;
    }
    return keepNearest(layout, count);
  }

  function select(layout: number, n: number): number {
    const near = (row: number) => at(f, (field(layout, 32) >> 2) + row);
    const toBin = (row: number) =>
      Math.max(0, Math.min(bins - 1, ((near(row) + 1) * (bins / 2)) | 0));
    const wanted = at(d, (layout + 80) >> 3);
    const masses = new Float64Array(bins);
    for (let row = 0; row < n; row++) {
      const bin = toBin(row);
      masses[bin] = at(masses, bin) + at(f, (field(layout, 20) >> 2) + row);
    }
    let last = bins - 1;
    let above = 0;
    while (last > 0 && above + at(masses, last) < wanted) above += at(masses, last--);
    const inLast = at(masses, last);
    const share = inLast > 0 ? Math.min(1, (wanted - above) / inLast) : 0;
    let count = 0;
    for (let row = 0; row < n; row++) {
      const bin = toBin(row);
      if (bin < last) continue;
      w[(field(layout, 36) >> 2) + count] = row;
      const distance = field(layout, 72) === 1 ? Math.max(0.01, near(row)) : 1;
      f[(field(layout, 40) >> 2) + count++] = (bin === last ? share : 1) * distance;
    }
    return count;
  }

  function keepNearest(layout: number, count: number): number {
    const found = Array.from({ length: count }, (_, i) => at(w, (field(layout, 36) >> 2) + i));
    const near = (row: number) => at(f, (field(layout, 32) >> 2) + row);
    const best = found.sort((x, y) => near(y) - near(x) || x - y).slice(0, kept);
    const to = field(layout, 56) >> 2;
    best.forEach((row, i) => {
      w[to + 2 * i] = row;
      f[to + 2 * i + 1] = near(row);
    });
    return best.length;
  }

  return { featurize, averageNearest };
}
