/**
 * What the calls of one arm came to: moments, and sums by cell. A cell is a sixty-fourth of the
 * units (users, conversations) that calls are assigned by: calls of one user are alike, so that the
 * spread between cells, not between calls, says how sure a mean is (Deng, Knoblich, Lu, "Applying
 * the delta method in metric analytics", KDD 2018). Constant memory, O(1) a value.
 */
import { isObject, type JsonObject } from "../../domain/json.ts";

/** Past this many values the old ones begin to fade, so that "before" means lately. */
export const fadeAfter = 5_000;
export const cellCount = 64;
/** With fewer cells their spread says too little of that of the next user. */
const leastCells = 4;

export interface Figures {
  /** 1 for a failure, 0 for a success: its mean is the share of failures. */
  readonly failed: Moments;
  /** log of ms, of calls that succeeded: its mean is that of the geometric mean. */
  readonly logLatency: Moments;
  /** USD a call. */
  readonly cost: Moments;
  /** 1 − score: more is worse, as everywhere here. */
  readonly loss: Moments;
}

export const metrics = ["errors", "latency", "cost", "quality"] as const;
export type Metric = (typeof metrics)[number];

export const momentsOf: Readonly<Record<Metric, (figures: Figures) => Moments>> = {
  errors: ({ failed }) => failed,
  latency: ({ logLatency }) => logLatency,
  cost: ({ cost }) => cost,
  quality: ({ loss }) => loss,
};

export function newFigures(): Figures {
  return {
    failed: new Moments(true),
    logLatency: new Moments(),
    cost: new Moments(),
    loss: new Moments(),
  };
}

/** Welford, "Note on a method for calculating corrected sums of squares", Technometrics 4(3), 1962. */
export class Moments {
  /** Values that count; an old one counts less. */
  n = 0;
  /** All there ever were. */
  seen = 0;
  mean = 0;
  private squares = 0;
  private readonly isShare: boolean;
  /** Count and sum per cell, one after the other; undefined where calls have no unit. */
  private cells: Float64Array | undefined;

  /** @param isShare of zeros and ones: where no spread was seen yet there still may be some */
  constructor(isShare = false) {
    this.isShare = isShare;
  }

  /** @param unit a whole number that all calls of one user share; undefined: calls stand alone */
  add(value: number, unit?: number): void {
    if (this.n >= fadeAfter) this.fade();
    this.n++;
    this.seen++;
    const delta = value - this.mean;
    this.mean += delta / this.n;
    this.squares += delta * (value - this.mean);
    if (unit === undefined) return;
    this.cells ??= new Float64Array(2 * cellCount);
    const at = 2 * (unit % cellCount);
    this.cells[at] = (this.cells[at] as number) + 1;
    this.cells[at + 1] = (this.cells[at + 1] as number) + value;
  }

  private fade(): void {
    this.n /= 2;
    this.squares /= 2;
    if (this.cells)
      for (let i = 0; i < this.cells.length; i++) this.cells[i] = (this.cells[i] as number) / 2;
  }

  /**
   * Adds what another one counted, as if its values had come here. Chan, Golub, LeVeque, "Updating
   * formulae and a pairwise algorithm for computing sample variances", COMPSTAT 1982.
   */
  merge(other: Moments): void {
    if (other.n === 0) return;
    const n = this.n + other.n;
    const delta = other.mean - this.mean;
    this.squares += other.squares + (delta * delta * this.n * other.n) / n;
    this.mean += (delta * other.n) / n;
    this.n = n;
    this.seen += other.seen;
    if (!other.cells) return;
    this.cells ??= new Float64Array(2 * cellCount);
    for (let i = 0; i < this.cells.length; i++) {
      this.cells[i] = (this.cells[i] as number) + (other.cells[i] as number);
    }
  }

  get sum(): number {
    return this.mean * this.n;
  }

  /**
   * Of the mean: the larger of that by calls and that by cells. Infinite where there are units, but
   * too few to tell one user's ways from the router's. A share's is that of Laplace's rule of
   * succession, which is never zero.
   */
  variance(): number {
    const calls = this.varianceByCalls();
    return this.cells ? Math.max(calls, this.varianceByCells(this.cells)) : calls;
  }

  /** How many calls of one unit tell as much as one call that stands alone; at least 1. */
  designEffect(): number {
    if (!this.cells) return 1;
    const byCells = this.varianceByCells(this.cells);
    return Number.isFinite(byCells) ? Math.max(1, byCells / this.varianceByCalls()) : 1;
  }

  /** Cells that have been seen; 0 where calls have no unit. */
  cellsSeen(): number {
    let seen = 0;
    if (this.cells) for (let i = 0; i < this.cells.length; i += 2) if (this.cells[i]) seen++;
    return seen;
  }

  private varianceByCalls(): number {
    const { n } = this;
    const share = (this.sum + 1) / (n + 2);
    const one = this.isShare ? share * (1 - share) : this.squares / Math.max(1, n - 1);
    return (one / Math.max(1, n)) * ofFew(n);
  }

  private varianceByCells(cells: Float64Array): number {
    let seen = 0;
    let squares = 0;
    for (let i = 0; i < cells.length; i += 2) {
      const count = cells[i] as number;
      if (count === 0) continue;
      seen++;
      squares += ((cells[i + 1] as number) - count * this.mean) ** 2;
    }
    if (seen < leastCells) return Number.POSITIVE_INFINITY;
    return ((seen / (seen - 1)) * squares * ofFew(seen)) / (this.n * this.n);
  }

  toJson(): JsonObject {
    const { n, seen, mean, squares, cells } = this;
    return { n, seen, mean, squares, ...(cells && { cells: [...cells] }) };
  }

  /** False where it is not what `toJson` gave. */
  restore(saved: unknown): boolean {
    if (!isObject(saved)) return false;
    const [n, seen, mean, squares] = ["n", "seen", "mean", "squares"].map((key) =>
      typeof saved[key] === "number" ? saved[key] : Number.NaN,
    ) as [number, number, number, number];
    if (![n, seen, mean, squares].every(Number.isFinite) || n < 0 || squares < 0) return false;
    const { cells } = saved;
    if (cells !== undefined) {
      const numbers = Array.isArray(cells) ? cells.filter((one) => typeof one === "number") : [];
      if (numbers.length !== 2 * cellCount) return false;
      this.cells = Float64Array.from(numbers);
    }
    this.n = n;
    this.seen = seen;
    this.mean = mean;
    this.squares = squares;
    return true;
  }
}

/** A variance that was estimated from few is itself unsure: that of Student's t in the normal's place. */
function ofFew(n: number): number {
  return n > 3 ? (n - 1) / (n - 3) : 1;
}

/** New ones, of all of them together. */
export function sumFigures(all: readonly Figures[]): Figures {
  const sum = newFigures();
  for (const { failed, logLatency, cost, loss } of all) {
    sum.failed.merge(failed);
    sum.logLatency.merge(logLatency);
    sum.cost.merge(cost);
    sum.loss.merge(loss);
  }
  return sum;
}

export function saveFigures(figures: Figures): JsonObject {
  const { failed, logLatency, cost, loss } = figures;
  return {
    failed: failed.toJson(),
    logLatency: logLatency.toJson(),
    cost: cost.toJson(),
    loss: loss.toJson(),
  };
}

/** Undefined where it is not what `saveFigures` gave. */
export function restoreFigures(saved: unknown): Figures | undefined {
  if (!isObject(saved)) return undefined;
  const figures = newFigures();
  const whole =
    figures.failed.restore(saved["failed"]) &&
    figures.logLatency.restore(saved["logLatency"]) &&
    figures.cost.restore(saved["cost"]) &&
    figures.loss.restore(saved["loss"]);
  return whole ? figures : undefined;
}
