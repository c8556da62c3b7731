/**
 * Costs, tokens and latencies of a model that was observed on some rows, where others were on all of
 * them: what is long or dear for the others is so for it, by a factor and a power of their (geometric)
 * mean, which a few dozen rows tell. A regression on a few hundred rows alone would be mostly luck, and
 * a router goes where luck says it is cheap.
 */
import type { Table } from "../table.ts";

/** Rows of a model below which nothing is reckoned from them. */
const leastRows = 10;
/** How many variances of the others' level count for a power of one before anything is seen. */
const powerMass = 30;

type Values = Float32Array | Float64Array;

/** n×m: with the gaps filled that the others can fill; the same array if there are none. */
export function imputePositive<T extends Values>(values: T, { n, labels }: Table): T {
  const m = labels.length;
  const seen = new Int32Array(m);
  for (let at = 0; at < n * m; at++) {
    if (!Number.isNaN(values[at])) seen[at % m] = (seen[at % m] as number) + 1;
  }
  const whole = labels.flatMap((_, j) => (seen[j] === n ? [j] : []));
  const gaps = labels.flatMap((_, j) => {
    const count = seen[j] as number;
    return count < n && count >= leastRows ? [j] : [];
  });
  if (whole.length === 0 || gaps.length === 0) return values;
  const level = toLevel(values, { n, m, whole });
  const out = values.slice() as T;
  for (const j of gaps) {
    const reckon = fitPower(values, level, { m, j });
    for (let row = 0; row < n; row++) {
      const at = row * m + j;
      if (Number.isNaN(values[at])) out[at] = reckon(level[row] as number);
    }
  }
  return out;
}

/** n: mean logarithm of the models that were observed everywhere. */
function toLevel(
  values: Values,
  { n, m, whole }: { n: number; m: number; whole: readonly number[] },
): Float64Array {
  const level = new Float64Array(n);
  for (let row = 0; row < n; row++) {
    for (const j of whole) {
      level[row] = (level[row] as number) + toLog(values[row * m + j]) / whole.length;
    }
  }
  return level;
}

/** value = factor · e^(power·level), its mean over the rows seen as theirs. */
function fitPower(
  values: Values,
  level: Float64Array,
  { m, j }: { m: number; j: number },
): (level: number) => number {
  const rows = [...level.keys()].filter((row) => !Number.isNaN(values[row * m + j]));
  const own = (row: number) => values[row * m + j] as number;
  const mean = (of: (row: number) => number) =>
    rows.reduce((sum, row) => sum + of(row), 0) / rows.length;
  const centre = mean((row) => level[row] as number);
  const middle = mean((row) => toLog(own(row)));
  const spread = mean((row) => ((level[row] as number) - centre) ** 2);
  const both = mean((row) => ((level[row] as number) - centre) * (toLog(own(row)) - middle));
  const prior = (powerMass * spread) / rows.length;
  const power = spread > 0 ? (both + prior) / (spread + prior) : 1;
  const raised = mean((row) => Math.exp(power * ((level[row] as number) - centre)));
  const factor = mean(own) / raised;
  return (at) => factor * Math.exp(power * (at - centre));
}

const tiny = 1e-12;
const toLog = (value: number | undefined) => Math.log(Math.max(tiny, value ?? tiny));
