/** How far a judge agrees with itself in another order, and with people. */

export interface Agreement {
  /** Cases that both judged. */
  readonly cases: number;
  /** Share on which they say the same. */
  readonly agreed: number;
  /** Beyond chance: 1 is full agreement, 0 is chance's. NaN without cases, or where none differ. */
  readonly kappa: number;
}

/** Source: Cohen, "A Coefficient of Agreement for Nominal Scales", 1960. */
export function toAgreement(pairs: readonly (readonly [string, string])[]): Agreement {
  const cases = pairs.length;
  const first = new Map<string, number>();
  const second = new Map<string, number>();
  let same = 0;
  for (const [a, b] of pairs) {
    first.set(a, (first.get(a) ?? 0) + 1);
    second.set(b, (second.get(b) ?? 0) + 1);
    if (a === b) same++;
  }
  let chance = 0;
  for (const [name, count] of first) chance += (count * (second.get(name) ?? 0)) / cases ** 2;
  const agreed = same / cases;
  return { cases, agreed, kappa: chance < 1 ? (agreed - chance) / (1 - chance) : Number.NaN };
}

/** Which of two grades is better: how a pair of answers is compared in one order. */
export function verdictOf(a: number, b: number): "first" | "second" | "tie" {
  if (a === b) return "tie";
  return a > b ? "first" : "second";
}

/** A score as people give it: a thumb. */
export const thumbOf = (score: number) => (score >= 0.5 ? "up" : "down");
