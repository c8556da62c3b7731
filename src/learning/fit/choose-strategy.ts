/** What `--strategy auto` tries, which it keeps, and why. */
import type { Strategy } from "../../routing/strategies/strategy.ts";

/**
 * In order of preference: what is best on most traffic first, and among the others what is simpler.
 * An earlier one is kept unless a later one is better by more than chance.
 */
export const autoStrategies = [
  "llmrouter-ensemble",
  "llmrouter-linear",
  "llmrouter-knn",
  "llmrouter-svm",
] as const;

/**
 * One standard error of the difference of two strategies' gains, times √n: paired, on the public sets
 * .03 to .08. Source of the rule: Breiman et al., "Classification and Regression Trees", 1984, §3.4.3.
 */
const standardError = 0.05;

export interface Contender {
  readonly strategy: Strategy;
  /** Of the curve over the fixed models', on rows that were not trained on. */
  readonly gain: number;
}

/** The first within one standard error of the best. */
export function pickCandidate<T extends Contender>(candidates: readonly T[], n: number): T {
  const best = bestOf(candidates);
  const enough = best.gain - standardError / Math.sqrt(n);
  return candidates.find(({ gain }) => gain >= enough) ?? best;
}

function bestOf<T extends Contender>(candidates: readonly T[]): T {
  return candidates.reduce((top, next) => (next.gain > top.gain ? next : top));
}

export function explainChoice(
  candidates: readonly Contender[],
  chosen: Contender,
  n: number,
): string {
  const best = bestOf(candidates);
  const error = (standardError / Math.sqrt(n)).toFixed(4);
  const name = chosen.strategy.name;
  const harm =
    chosen.gain > 0 ? "" : "; it gains nothing over fixed models, which stay on the dial beside it";
  if (chosen === best) return `${name} gains most on queries it was not trained on${harm}`;
  const lead = (best.gain - chosen.gain).toFixed(4);
  return (
    `${name}: ${best.strategy.name} gains ${lead} more, within one standard error (${error}), and ` +
    `${name} is the better bet on other traffic or the simpler one${harm}`
  );
}
