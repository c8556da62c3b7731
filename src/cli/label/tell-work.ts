/** What a budget is expected to do for, and what was done within it, as both ways of labelling tell it. */
import type { WorkReport } from "../../learning/label/work.ts";
import type { CommandContext } from "../command.ts";

export interface Affordable<T> {
  readonly items: readonly T[];
  readonly costUsd: number;
  readonly outOf: number;
}

/** As many, in order, as the budget is expected to do for. */
export function withinBudget<T>(
  items: readonly T[],
  costOf: (item: T) => number,
  budgetUsd: number,
): Affordable<T> {
  let costUsd = 0;
  let count = 0;
  for (const item of items) {
    const cost = costOf(item);
    if (costUsd + cost > budgetUsd) break;
    costUsd += cost;
    count++;
  }
  return { items: items.slice(0, count), costUsd, outOf: items.length };
}

const plannedShown = 10;

export function tellPlan<T>(
  { out }: CommandContext,
  { items, costUsd, outOf }: Affordable<T>,
  show: (item: T) => Readonly<Record<string, unknown>>,
): void {
  out.line(
    `plan: ${items.length} of ${outOf} for about $${costUsd.toFixed(4)}; nothing was asked. First:`,
  );
  for (const item of items.slice(0, plannedShown)) out.line(`  ${JSON.stringify(show(item))}`);
  out.json({ ok: true, plan: items.map(show), cost_usd: costUsd, out_of: outOf });
}

export function tellWork(out: CommandContext["out"], report: WorkReport, spentUsd: number): void {
  const { done, skipped, failed, failures, stopped } = report;
  out.line(
    `${done} done, ${skipped} skipped, ${failed} failed; $${spentUsd.toFixed(4)} spent` +
      (stopped === "finished" ? "" : `; stopped: ${stopped}`),
  );
  for (const failure of failures) out.note(`routeiq: ${failure}`);
}
