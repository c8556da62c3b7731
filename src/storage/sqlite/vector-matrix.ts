/**
 * A collection's vectors in memory: int8 rows in a kernels instance of their own, with the numbers
 * of their passages. Removing moves the last row into the gap, so that the rows stay dense.
 * Cost of a search: 9 ns a row of 256 dimensions (test/bench/vectors.bench.ts).
 */
import { createKernels } from "../../kernels/create.ts";
import type { Kernels } from "../../kernels/kernels.ts";

export interface Scored {
  readonly passage: number;
  readonly score: number;
}

interface Block {
  readonly kernels: Kernels;
  readonly capacity: number;
  readonly rowsAt: number;
  readonly scalesAt: number;
  readonly sumsAt: number;
  readonly queryAt: number;
  readonly unitAt: number;
  readonly outAt: number;
}

const firstCapacity = 1_024;
const lane = 16;

export class VectorMatrix {
  /** Of the vectors as they are given; rows are padded to a multiple of 16. */
  readonly dimensions: number;
  readonly #d: number;
  #block: Block;
  #count = 0;
  readonly #passages: number[] = [];
  /** A number of the passage's document: what is filtered by. */
  readonly #documents: number[] = [];
  readonly #rowOf = new Map<number, number>();

  constructor(dimensions: number, capacity = firstCapacity) {
    this.dimensions = dimensions;
    this.#d = Math.ceil(dimensions / lane) * lane;
    this.#block = this.#allocate(capacity);
  }

  get size(): number {
    return this.#count;
  }

  get bytes(): number {
    return this.#block.capacity * (this.#d + 12);
  }

  /** What is written to disk: quantized as here, so that a restart changes nothing. */
  quantize(vector: Float32Array): { readonly row: Int8Array; readonly scale: number } {
    const { kernels, unitAt, queryAt } = this.#block;
    const unit = kernels.f32(unitAt, this.#d);
    unit.fill(0);
    unit.set(vector);
    kernels.normalizeF32(unitAt, this.#d);
    const scale = kernels.quantizeF32(unitAt, queryAt, this.#d);
    return { row: kernels.i8(queryAt, this.#d).slice(), scale };
  }

  add(passage: number, document: number, row: Int8Array, scale: number): void {
    if (this.#count === this.#block.capacity) this.#grow();
    const { kernels, rowsAt, scalesAt } = this.#block;
    const at = this.#count;
    kernels.i8(rowsAt + at * this.#d, this.#d).set(row);
    kernels.f32(scalesAt, at + 1)[at] = scale;
    this.#sum(at);
    this.#passages[at] = passage;
    this.#documents[at] = document;
    this.#rowOf.set(passage, at);
    this.#count += 1;
  }

  remove(passage: number): void {
    const at = this.#rowOf.get(passage);
    if (at === undefined) return;
    this.#rowOf.delete(passage);
    this.#count -= 1;
    const last = this.#count;
    const moved = this.#passages.pop();
    const document = this.#documents.pop();
    if (at === last || moved === undefined || document === undefined) return;
    const { kernels, rowsAt, scalesAt } = this.#block;
    kernels.i8(rowsAt + at * this.#d, this.#d).set(kernels.i8(rowsAt + last * this.#d, this.#d));
    const scales = kernels.f32(scalesAt, last + 1);
    scales[at] = scales[last] ?? 0;
    this.#sum(at);
    this.#passages[at] = moved;
    this.#documents[at] = document;
    this.#rowOf.set(moved, at);
  }

  /** The document of a passage; undefined where it is not here. */
  documentOf(passage: number): number | undefined {
    const at = this.#rowOf.get(passage);
    return at === undefined ? undefined : this.#documents[at];
  }

  /** The best by cosine, best first; with `allowed`, of those documents alone. */
  search(vector: Float32Array, k: number, allowed?: ReadonlySet<number>): readonly Scored[] {
    const n = this.#count;
    if (n === 0) return [];
    const { kernels, rowsAt, scalesAt, sumsAt, queryAt, unitAt, outAt } = this.#block;
    const unit = kernels.f32(unitAt, this.#d);
    unit.fill(0);
    unit.set(vector.subarray(0, this.dimensions));
    kernels.normalizeF32(unitAt, this.#d);
    const queryScale = kernels.quantizeQueryF32(unitAt, queryAt, this.#d);
    if (allowed) {
      kernels.matvecI8(rowsAt, scalesAt, sumsAt, queryAt, queryScale, 0, outAt, n, this.#d);
      return this.#bestOf(kernels.f32(outAt, n), Math.min(k, n), allowed);
    }
    const most = Math.min(k, n);
    const scoresAt = outAt + most * 4;
    kernels.topKI8(
      rowsAt,
      scalesAt,
      sumsAt,
      queryAt,
      queryScale,
      n,
      this.#d,
      most,
      outAt,
      scoresAt,
    );
    const rows = kernels.i32(outAt, most);
    const scores = kernels.f32(scoresAt, most);
    return Array.from(rows, (row, i) => ({
      passage: this.#passages[row] ?? -1,
      score: scores[i] ?? 0,
    }));
  }

  #bestOf(scores: Float32Array, k: number, allowed: ReadonlySet<number>): readonly Scored[] {
    const best: Scored[] = [];
    let floor = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < scores.length; row++) {
      const score = scores[row] ?? 0;
      if (score <= floor || !allowed.has(this.#documents[row] ?? -1)) continue;
      const passage = this.#passages[row] ?? -1;
      let at = best.length;
      while (at > 0 && (best[at - 1]?.score ?? 0) < score) at -= 1;
      best.splice(at, 0, { passage, score });
      if (best.length > k) best.pop();
      if (best.length === k) floor = best.at(-1)?.score ?? floor;
    }
    return best;
  }

  #sum(row: number): void {
    const { kernels, rowsAt, sumsAt } = this.#block;
    kernels.rowSumsI8(rowsAt + row * this.#d, 1, this.#d, sumsAt + row * 4);
  }

  #grow(): void {
    const old = this.#block;
    const n = this.#count;
    const next = this.#allocate(old.capacity * 2);
    next.kernels.i8(next.rowsAt, n * this.#d).set(old.kernels.i8(old.rowsAt, n * this.#d));
    next.kernels.f32(next.scalesAt, n).set(old.kernels.f32(old.scalesAt, n));
    next.kernels.i32(next.sumsAt, n).set(old.kernels.i32(old.sumsAt, n));
    this.#block = next;
  }

  #allocate(capacity: number): Block {
    const d = this.#d;
    const kernels = createKernels(capacity * (d + 4 + 4 + 8) + d * 5 + 8 * 64);
    return {
      kernels,
      capacity,
      rowsAt: kernels.alloc(capacity * d),
      scalesAt: kernels.alloc(capacity * 4),
      sumsAt: kernels.alloc(capacity * 4),
      queryAt: kernels.alloc(d),
      unitAt: kernels.alloc(d * 4),
      outAt: kernels.alloc(capacity * 8),
    };
  }
}
