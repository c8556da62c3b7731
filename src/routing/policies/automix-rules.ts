/**
 * When to escalate, by how sure the verifier is: AutoMix's meta-verifiers, and how their parameter is
 * fitted. Everything is a function of the share of "correct" verdicts, p, sorted into bins.
 * Source: Aggarwal, Madaan et al., "AutoMix: Automatically Mixing Language Models", NeurIPS 2024,
 * arXiv:2310.12963: thresholds, self-consistency and a POMDP of one step, chosen by the lift of the
 * incremental benefit per cost (IBC) over the straight line from the small model to the large one.
 */

export const routingMethods = [
  "Threshold",
  "DoubleThreshold",
  "TripleThreshold",
  "SelfConsistency",
  "POMDP",
] as const;
export type RoutingMethod = (typeof routingMethods)[number];

export type AutomixRule =
  /** Escalates at or below. */
  | { readonly method: "Threshold" | "SelfConsistency"; readonly thresholds: readonly [number] }
  /** Escalates between the two: below them the query is hopeless, and money would be lost. */
  | { readonly method: "DoubleThreshold"; readonly thresholds: readonly [number, number] }
  /** Escalates at or below the first, and between the others. */
  | { readonly method: "TripleThreshold"; readonly thresholds: readonly [number, number, number] }
  /** Per bin, 0 to 1 in equal steps: whether to escalate. */
  | { readonly method: "POMDP"; readonly actions: readonly boolean[] };

export function escalates(rule: AutomixRule, p: number): boolean {
  if (rule.method === "POMDP") {
    return rule.actions[binOf(p, rule.actions.length - 1)] ?? true;
  }
  const [a, b, c] = rule.thresholds;
  if (b === undefined) return p <= a;
  if (c === undefined) return p >= a && p <= b;
  return p <= a || (p >= b && p <= c);
}

/** @param bins steps from 0 to 1; bin numbers go from 0 to `bins` */
export function binOf(p: number, bins: number): number {
  return Math.max(0, Math.min(bins, Math.round(p * bins)));
}

/**
 * One query of the training data: how good both answers were, and what the verifier thought of the
 * small model's. NaN where one was not given: a log knows one answer of each.
 */
export interface AutomixRow {
  readonly small: number;
  readonly large: number;
  readonly p: number;
  readonly weight: number;
}

/** In whatever unit; their ratios count. LLMRouter's defaults: 1, 50, 1. */
export interface AutomixCosts {
  readonly small: number;
  readonly large: number;
  readonly verifier: number;
}

export const defaultCosts: AutomixCosts = { small: 1, large: 50, verifier: 1 };

export interface AutomixFit {
  readonly rule: AutomixRule;
  /** (IBC of the rule − IBC of the large model) / the latter; what the rule was chosen by. */
  readonly ibcLift: number;
  readonly quality: number;
  readonly cost: number;
  /** Share of the queries that go to the large model. */
  readonly escalated: number;
}

/**
 * The rule of a method that has the greatest lift on these rows; the one that escalates least among
 * equals. Where the large model is no better, none pays, and the rule never escalates.
 * Cost: rules × bins; the rows are read once.
 */
export function fitAutomix(
  rows: readonly AutomixRow[],
  method: RoutingMethod,
  bins: number,
  costs: AutomixCosts,
): AutomixFit {
  const table = toTable(rows, bins);
  const judged = rulesOf(method, bins, table).map((rule) => judge(rule, table, costs));
  const never = judge({ method: "POMDP", actions: Array(bins + 1).fill(false) }, table, costs);
  if (table.large <= table.small) return never;
  const best = judged.reduce((a, b) => (better(b, a) ? b : a), judged[0] ?? never);
  return best;
}

const better = (b: AutomixFit, a: AutomixFit) =>
  b.ibcLift > a.ibcLift + 1e-12 ||
  (Math.abs(b.ibcLift - a.ibcLift) <= 1e-12 && b.escalated < a.escalated);

interface Table {
  readonly bins: readonly Bin[];
  readonly weight: number;
  readonly small: number;
  readonly large: number;
}

interface Bin {
  weight: number;
  /** Weight × mean quality of either model here. */
  small: number;
  large: number;
  /** Of the rows that know both: weight where the large model is better, and in all. */
  needy: number;
  both: number;
}

/** Rows that a bin's own are worth beside what holds for all bins. */
const priorRows = 4;

function toTable(rows: readonly AutomixRow[], count: number): Table {
  const small = createMeans(count);
  const large = createMeans(count);
  const bins = Array.from(
    { length: count + 1 },
    (): Bin => ({
      weight: 0,
      small: 0,
      large: 0,
      needy: 0,
      both: 0,
    }),
  );
  for (const row of rows) {
    const at = binOf(row.p, count);
    const bin = bins[at] as Bin;
    bin.weight += row.weight;
    small.add(at, row.small, row.weight);
    large.add(at, row.large, row.weight);
    if (Number.isNaN(row.small - row.large)) continue;
    bin.both += row.weight;
    if (row.large > row.small) bin.needy += row.weight;
  }
  bins.forEach((bin, n) => {
    bin.small = bin.weight * small.of(n, bin.weight);
    bin.large = bin.weight * large.of(n, bin.weight);
  });
  const sum = (of: (bin: Bin) => number) => bins.reduce((total, bin) => total + of(bin), 0);
  const weight = sum((bin) => bin.weight) || 1;
  return {
    bins,
    weight,
    small: sum((bin) => bin.small) / weight,
    large: sum((bin) => bin.large) / weight,
  };
}

/** Mean quality per bin; where not all of a bin's rows are known, drawn to the mean of all bins. */
function createMeans(count: number) {
  const sums = new Float64Array(count + 1);
  const weights = new Float64Array(count + 1);
  let sum = 0;
  let total = 0;
  return {
    add(bin: number, value: number, weight: number): void {
      if (Number.isNaN(value)) return;
      sums[bin] = (sums[bin] as number) + weight * value;
      weights[bin] = (weights[bin] as number) + weight;
      sum += weight * value;
      total += weight;
    },
    of(bin: number, whole: number): number {
      const known = weights[bin] as number;
      const prior = known < whole || known === 0 ? priorRows : 0;
      const mean = total > 0 ? sum / total : 0;
      return ((sums[bin] as number) + prior * mean) / (known + prior);
    },
  };
}

function judge(rule: AutomixRule, { bins, weight, small, large }: Table, costs: AutomixCosts) {
  let quality = 0;
  let escalated = 0;
  bins.forEach((bin, n) => {
    const up = escalates(rule, n / (bins.length - 1));
    quality += up ? bin.large : bin.small;
    if (up) escalated += bin.weight;
  });
  const share = escalated / weight;
  const mean = quality / weight;
  const cost = costs.small + costs.verifier + share * costs.large;
  const line = (large - small) / (costs.large - costs.small || 1);
  const slope = (mean - small) / (cost - costs.small || 1);
  const ibcLift = line > 0 ? (slope - line) / line : 0;
  return { rule, ibcLift, quality: mean, cost, escalated: share };
}

function rulesOf(method: RoutingMethod, bins: number, table: Table): readonly AutomixRule[] {
  const at = (n: number) => n / bins;
  const numbers = Array.from({ length: bins + 1 }, (_, n) => n);
  if (method === "SelfConsistency") return [{ method, thresholds: [0.5] }];
  if (method === "Threshold") return numbers.map((n) => ({ method, thresholds: [at(n)] }));
  if (method === "DoubleThreshold") return pairs(numbers).map(([a, b]) => double(at(a), at(b)));
  if (method === "TripleThreshold") {
    return pairs(numbers).flatMap(([a, b]) =>
      numbers
        .filter((c) => c > b)
        .map((c): AutomixRule => ({ method, thresholds: [at(a), at(b), at(c)] })),
    );
  }
  // As AutoMix's own: the belief's actions, the greedy ones, and both families of thresholds.
  return [
    ...byBelief(table),
    ...greedily(table),
    ...rulesOf("DoubleThreshold", bins, table),
    ...rulesOf("Threshold", bins, table),
  ].map(
    (rule): AutomixRule => ({
      method: "POMDP",
      actions: numbers.map((n) => escalates(rule, at(n))),
    }),
  );
}

const double = (a: number, b: number): AutomixRule => ({
  method: "DoubleThreshold",
  thresholds: [a, b],
});

function pairs(numbers: readonly number[]): readonly (readonly [number, number])[] {
  return numbers.flatMap((a) => numbers.filter((b) => b > a).map((b) => [a, b] as const));
}

/**
 * The POMDP's one step: the state (needy: the large model is better; good or hopeless: it is not) is
 * not seen, the bin is. Escalating gains where the state is needy and loses money elsewhere; each
 * weight of the two gives a row of actions.
 */
function byBelief({ bins }: Table): readonly AutomixRule[] {
  const both = bins.reduce((sum, bin) => sum + bin.both, 0);
  if (both === 0) return []; // a log never sees the state
  const before = bins.reduce((sum, bin) => sum + bin.needy, 0) / both;
  const belief = bins.map((bin) => (bin.needy + priorRows * before) / (bin.both + priorRows));
  return [...new Set(belief)].map((least) => ({
    method: "POMDP",
    actions: belief.map((needy) => needy >= least),
  }));
}

/** Bins in the order of what escalating gains there, smoothed over their neighbours. */
function greedily({ bins }: Table): readonly AutomixRule[] {
  const gains = bins.map(({ weight, large, small }) => (weight > 0 ? (large - small) / weight : 0));
  const smooth = gains.map((_, n) => blurred(gains, n));
  const order = smooth.map((_, n) => n).sort((a, b) => (smooth[b] ?? 0) - (smooth[a] ?? 0));
  return order.map((_, count) => {
    const chosen = new Set(order.slice(0, count + 1));
    return { method: "POMDP", actions: bins.map((_bin, n) => chosen.has(n)) };
  });
}

function blurred(values: readonly number[], at: number): number {
  let sum = 0;
  let total = 0;
  values.forEach((value, n) => {
    const share = Math.exp(-((n - at) ** 2) / 8); // a Gaussian of two bins, as AutoMix smooths
    sum += share * value;
    total += share;
  });
  return sum / total;
}

/** A fitted rule out of an artifact; undefined where it is none. */
export function parseRule(value: unknown): AutomixRule | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { method, thresholds, actions } = value as Record<string, unknown>;
  if (method === "POMDP") {
    const fits =
      Array.isArray(actions) &&
      actions.length >= 2 &&
      actions.length <= 257 &&
      actions.every((each) => typeof each === "boolean");
    return fits ? { method, actions } : undefined;
  }
  const wanted = thresholdCounts[method as keyof typeof thresholdCounts];
  if (wanted === undefined || !Array.isArray(thresholds) || thresholds.length !== wanted)
    return undefined;
  const valid = thresholds.every((each) => typeof each === "number" && each >= 0 && each <= 1);
  return valid ? ({ method, thresholds } as unknown as AutomixRule) : undefined;
}

export const thresholdCounts = {
  Threshold: 1,
  SelfConsistency: 1,
  DoubleThreshold: 2,
  TripleThreshold: 3,
} as const;
