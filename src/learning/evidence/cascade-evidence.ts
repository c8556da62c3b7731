/**
 * What a trained cascade (llmrouter-automix) gained on rows that tell: both models' scores and the
 * verifier's share for the small one's answer. Each row is decided by a rule fitted to the other folds.
 * The cascade stands among the models as one more, with its own quality and its full cost (the small
 * answer, its verdicts, and the large answer where it escalates), so the gate compares it at equal cost
 * like any router; its control escalates the same share of the queries at random.
 */
import { isObject } from "../../domain/json.ts";
import {
  type AutomixCosts,
  type AutomixRow,
  type AutomixRule,
  escalates,
  fitAutomix,
  type RoutingMethod,
} from "../../routing/policies/automix-rules.ts";
import { routerPaths } from "../../routing/router-format.ts";
import { toAutomixCosts } from "../../routing/strategies/automix.ts";
import { assignFolds } from "../../routing/strategies/examples.ts";
import { unitsOf } from "../off-policy/units.ts";
import type { Table } from "../table.ts";
import type { Choices } from "./evidence.ts";
import { type Judged, toCosts } from "./judged.ts";

export const cascadeStrategy = "llmrouter-automix";

/** What remedies the lack of evidence. */
export const cascadeRemedy =
  "it carries no evidence: too few rows (under 50) have both models' scores and the verifier's share. " +
  'Train it with --data rows that give "verification" (0 to 1) beside the small model\'s score, and the ' +
  "large one's score; a gateway's own events have one answer's score each, which cannot show what the other would have been worth";

/** A fitted cascade, as its artifact has it. */
export interface Cascade {
  readonly small: string;
  readonly large: string;
  readonly rule: AutomixRule;
  readonly method: RoutingMethod;
  readonly bins: number;
  readonly costs: { readonly small?: number; readonly large?: number; readonly verifier?: number };
}

/** Undefined for the files of any other strategy. */
export function readCascade(files: ReadonlyMap<string, Uint8Array>): Cascade | undefined {
  const bytes = files.get(routerPaths.router);
  const router: unknown = bytes && JSON.parse(new TextDecoder().decode(bytes));
  if (!isObject(router) || router["strategy"] !== cascadeStrategy) return undefined;
  const { learned, options } = router;
  if (!isObject(learned) || !isObject(options)) return undefined;
  const number = (name: string) => {
    const value = options[name];
    return typeof value === "number" ? value : undefined;
  };
  const costs = {
    small: number("cost_small"),
    large: number("cost_large"),
    verifier: number("cost_verifier"),
  };
  return {
    small: String(learned["small"]),
    large: String(learned["large"]),
    rule: learned["rule"] as unknown as AutomixRule,
    method: options["routing_method"] as RoutingMethod,
    bins: number("num_bins") ?? 8,
    costs: Object.fromEntries(Object.entries(costs).filter(([, value]) => value !== undefined)),
  };
}

export interface CascadeEvidence {
  /** Of the judged columns' first: those that answered every judged row. */
  readonly labels: readonly string[];
  readonly judged: Judged;
  readonly choices: Choices;
  readonly control: Choices;
  /** Of the cascade in force; undefined where its models did not answer the judged rows. */
  readonly rival?: Choices;
}

const leastRows = 50;
const folds = 5;

/**
 * @param apart  rows that the cascade did not learn from: its own rule decides them
 * @param rival  the cascade in force
 */
export function toCascadeEvidence(
  table: Table,
  cascade: Cascade,
  { apart, rival }: { readonly apart: boolean; readonly rival?: Cascade | undefined },
): CascadeEvidence | undefined {
  const { labels, quality } = table;
  const m = labels.length;
  const rows = Array.from({ length: table.n }, (_, row) => row).filter((row) =>
    isTold(table, cascade, row),
  );
  if (rows.length < leastRows) return undefined;
  const known = labels.flatMap((_, j) =>
    rows.some((row) => Number.isNaN(quality[row * m + j])) ? [] : [j],
  );
  const costOf = toCosts(table);
  const rules = apart ? () => cascade.rule : crossFit(table, cascade, rows);
  const own = runCascade(table, cascade, { rows, rules, costOf });
  const share = own.escalated.reduce((sum, up) => sum + up, 0) / rows.length;
  const dealt = runCascade(table, cascade, { rows, rules, costOf, share });
  const other =
    rival && rows.every((row) => isTold(table, rival, row))
      ? runCascade(table, rival, { rows, rules: () => rival.rule, costOf })
      : undefined;
  const columns = [own, dealt, ...(other ? [other] : [])].map((one) =>
    atMostDearest(table, cascade.small, { rows, one, known, costOf }),
  );
  const width = known.length + columns.length;
  const cells = (
    of: (row: number, j: number) => number,
    column: (one: Outcome, at: number) => number,
  ) =>
    Float64Array.from({ length: rows.length * width }, (_, i) => {
      const [at, j] = [Math.floor(i / width), i % width];
      const virtual = columns[j - known.length];
      if (virtual) return column(virtual, at);
      return of(rows[at] as number, known[j] as number);
    });
  const column = (at: number): Choices => [new Int32Array(table.n).fill(known.length + at)];
  return {
    labels: known.map((j) => labels[j] as string),
    judged: {
      method: "full-information",
      n: rows.length,
      m: width,
      rows: Int32Array.from(rows),
      quality: cells(
        (row, j) => quality[row * m + j] as number,
        (one, at) => one.quality[at] as number,
      ),
      costUsd: cells(
        (row, j) => costOf(row * m + j),
        (one, at) => one.cost[at] as number,
      ),
      unit: unitsOf(rows, (row) => table.group[row] as number),
    },
    choices: column(0),
    control: column(1),
    ...(other ? { rival: column(2) } : {}),
  };
}

interface Affording {
  readonly rows: readonly number[];
  readonly one: Outcome;
  /** Models that the cascade is compared with. */
  readonly known: readonly number[];
  readonly costOf: (at: number) => number;
}

/**
 * A cascade that costs more than the dearest model has no fixed model of equal cost. A coin between it
 * and its small model alone has: that is what stands for it.
 */
function atMostDearest(
  { labels, quality }: Table,
  small: string,
  { rows, one, known, costOf }: Affording,
): Outcome {
  const m = labels.length;
  const at = labels.indexOf(small);
  const mean = (of: (row: number, i: number) => number) =>
    rows.reduce((sum, row, i) => sum + of(row, i), 0) / rows.length;
  const dearest = Math.max(...known.map((j) => mean((row) => costOf(row * m + j))));
  const cost = mean((_, i) => one.cost[i] as number);
  if (cost <= dearest) return one;
  const least = mean((row) => costOf(row * m + at));
  const share = (dearest - least) / (cost - least);
  const mix = (values: readonly number[], of: (row: number) => number) =>
    values.map((value, i) => share * value + (1 - share) * of(rows[i] as number));
  return {
    quality: mix(one.quality, (row) => quality[row * m + at] as number),
    cost: mix(one.cost, (row) => costOf(row * m + at)),
    escalated: one.escalated,
  };
}

function toRow({ labels, quality, verification, weight }: Table, c: Cascade, row: number) {
  const m = labels.length;
  const [small, large] = [labels.indexOf(c.small), labels.indexOf(c.large)];
  const at = (values: ArrayLike<number> | undefined, j: number) =>
    j < 0 ? Number.NaN : (values?.[row * m + j] ?? Number.NaN);
  return {
    small: at(quality, small),
    large: at(quality, large),
    p: at(verification, small),
    weight: weight[row] as number,
  } satisfies AutomixRow;
}

function isTold(table: Table, cascade: Cascade, row: number): boolean {
  const { small, large, p } = toRow(table, cascade, row);
  return !Number.isNaN(small + large + p);
}

function crossFit(
  table: Table,
  cascade: Cascade,
  rows: readonly number[],
): (row: number) => AutomixRule {
  const fold = assignFolds(table.group, folds);
  const costs = ratiosOf(table, cascade);
  const rules = Array.from({ length: folds }, (_, held) => {
    const others = rows.filter((row) => fold[row] !== held);
    const learnt = others.map((row) => toRow(table, cascade, row));
    return fitAutomix(learnt, cascade.method, cascade.bins, costs).rule;
  });
  return (row) => rules[fold[row] as number] as AutomixRule;
}

function ratiosOf({ labels, priceUsdPerMtok }: Table, { small, large, costs }: Cascade) {
  const pair = { small: labels.indexOf(small), large: labels.indexOf(large) };
  return toAutomixCosts({ priceUsdPerMtok }, pair, {
    ...(costs.small === undefined ? {} : { cost_small: costs.small }),
    ...(costs.large === undefined ? {} : { cost_large: costs.large }),
    ...(costs.verifier === undefined ? {} : { cost_verifier: costs.verifier }),
  }) satisfies AutomixCosts;
}

interface Outcome {
  readonly quality: number[];
  readonly cost: number[];
  readonly escalated: number[];
}

interface Running {
  readonly rows: readonly number[];
  readonly rules: (row: number) => AutomixRule;
  readonly costOf: (at: number) => number;
  /** Escalates so much of every row, in place of the rule. */
  readonly share?: number;
}

function runCascade(
  table: Table,
  cascade: Cascade,
  { rows, rules, costOf, share }: Running,
): Outcome {
  const m = table.labels.length;
  const [small, large] = [cascade.small, cascade.large].map((name) => table.labels.indexOf(name));
  const ratios = ratiosOf(table, cascade);
  const first = 1 + ratios.verifier / ratios.small;
  const out: Outcome = { quality: [], cost: [], escalated: [] };
  for (const row of rows) {
    const one = toRow(table, cascade, row);
    const up = share ?? (escalates(rules(row), one.p) ? 1 : 0);
    out.quality.push((1 - up) * one.small + up * one.large);
    out.cost.push(first * costOf(row * m + (small ?? 0)) + up * costOf(row * m + (large ?? 0)));
    out.escalated.push(up);
  }
  return out;
}
