/**
 * A change of mean in a stream, told soon and seldom falsely: CUSUM on standardised values, whose
 * baseline is learnt from the stream's own beginning. Source: Page, "Continuous inspection schemes",
 * Biometrika 41(1/2), 1954; Siegmund, "Sequential Analysis", 1985, for the lengths of runs.
 */

export interface CusumOptions {
  /** Values that make the baseline. */
  readonly baseline: number;
  /** Standard deviations of drift that are tolerated: half the smallest change worth telling. */
  readonly slack: number;
  /** Sum of standardised excess at which it tells. */
  readonly threshold: number;
  /** Which way is worse. */
  readonly side: "up" | "down" | "both";
  /** A spread is at least so much: a stream that never varied would tell of anything. */
  readonly leastDeviation: number;
}

export interface Change {
  readonly direction: "up" | "down";
  /** Mean of the baseline, and of what came since the change seems to have begun. */
  readonly before: number;
  readonly now: number;
  /** Values since then. */
  readonly since: number;
}

export interface Cusum {
  /** Gives the change when it tells; the baseline is learnt anew from then on. Cost: some 20 ns. */
  add(value: number): Change | undefined;
  /** Values of the baseline so far, at most its length. */
  readonly learnt: number;
}

/** One value counts at most so many deviations: an outlier is no drift. */
const mostDeviations = 4;

export function createCusum(options: CusumOptions): Cusum {
  const { slack, threshold, side } = options;
  let [count, mean, squares, deviation] = [0, 0, 0, 0];
  const up = newSide();
  const down = newSide();

  function learn(value: number): void {
    count++;
    const delta = value - mean;
    mean += delta / count;
    squares += delta * (value - mean);
    if (count < options.baseline) return;
    deviation = Math.max(options.leastDeviation, Math.sqrt(squares / (count - 1)));
  }

  function tell(direction: "up" | "down", of: Side): Change {
    const change = { direction, before: mean, now: of.total / of.since, since: of.since };
    [count, mean, squares] = [0, 0, 0];
    Object.assign(up, newSide());
    Object.assign(down, newSide());
    return change;
  }

  return {
    add(value) {
      if (count < options.baseline) {
        learn(value);
        return undefined;
      }
      const z = (value - mean) / deviation;
      const bounded = Math.max(-mostDeviations, Math.min(mostDeviations, z));
      if (side !== "down" && grows(up, bounded - slack, value) >= threshold) return tell("up", up);
      if (side !== "up" && grows(down, -bounded - slack, value) >= threshold) {
        return tell("down", down);
      }
      return undefined;
    },
    get learnt() {
      return count;
    },
  };
}

interface Side {
  sum: number;
  since: number;
  total: number;
}

const newSide = (): Side => ({ sum: 0, since: 0, total: 0 });

function grows(side: Side, excess: number, value: number): number {
  side.sum += excess;
  side.since++;
  side.total += value;
  if (side.sum > 0) return side.sum;
  side.sum = 0;
  side.since = 0;
  side.total = 0;
  return 0;
}
