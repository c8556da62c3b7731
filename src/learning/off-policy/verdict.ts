/** Whether a log can tell that a router is better, and what it says. No verdict is a verdict too. */
import type { EstimateIntervals, Overlap } from "./estimators.ts";

export interface Verdict {
  readonly verdict: "better" | "worse" | "refused";
  /** In one sentence, with what would help where it is refused. */
  readonly reason: string;
}

/** Fewer equally weighted calls than this tell nothing that should change a router. */
export const leastEffectiveSamples = 200;
/** Where the router picks what had no chance on more of the calls, the log does not know it. */
export const mostUnsupported = 0.1;
/** The mean weight is 1 but for chance: so many standard errors off, the probabilities are wrong. */
const weightTolerance = 5;

export interface LogFindings {
  readonly calls: number;
  readonly overlap: Overlap;
  readonly gain: EstimateIntervals;
}

export function judgeLog({ calls, overlap, gain }: LogFindings): Verdict {
  const { effectiveSamples, unsupported, meanWeight } = overlap;
  if (calls === 0) {
    return refuse("no call was decided by chance and has a label: switch exploration on");
  }
  if (unsupported > mostUnsupported) {
    const share = (100 * unsupported).toFixed(0);
    return refuse(
      `on ${share} % of the calls the router picks a model that had no chance there: explore it first`,
    );
  }
  if (effectiveSamples < leastEffectiveSamples) {
    const factor = leastEffectiveSamples / Math.max(1, effectiveSamples);
    return refuse(
      `the effective sample of ${Math.floor(effectiveSamples)} is under ${leastEffectiveSamples}: ` +
        `explore more, or wait for about ${Math.ceil(calls * factor)} such calls`,
    );
  }
  if (Math.abs(meanWeight - 1) > weightTolerance / Math.sqrt(effectiveSamples)) {
    return refuse(
      `the weights have a mean of ${meanWeight.toFixed(2)} and should have one of 1: the logged probabilities are not those that ran`,
    );
  }
  const { low, high, value } = gain.doublyRobustClipped;
  const interval = `${signed(value)} [${signed(low)}, ${signed(high)}]`;
  if (low > 0) return { verdict: "better", reason: `its utility is higher by ${interval}` };
  if (high < 0) return { verdict: "worse", reason: `its utility is lower by ${interval}` };
  return refuse(`the interval of its gain, ${interval}, spans the incumbent`);
}

function refuse(reason: string): Verdict {
  return { verdict: "refused", reason };
}

function signed(value: number): string {
  return `${value >= 0 ? "+" : ""}${value.toFixed(4)}`;
}
