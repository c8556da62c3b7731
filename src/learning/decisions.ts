/** Decisions as lines that another program can score: one per query and operating point. */
import type { TrainedRouter } from "../routing/trained-router.ts";
import { strongOf, strongScores } from "./evidence/pair.ts";
import type { Routed } from "./evidence/route-table.ts";
import type { Table } from "./table.ts";

/** `{"id","point","model"}` a line; for a pair of models also `"strong_score"`. */
export function* toDecisionLines(
  router: TrainedRouter,
  table: Table,
  routed: Routed,
): Generator<string> {
  const scores =
    table.labels.length === 2 ? strongScores(routed, strongOf(router, table)) : undefined;
  for (const { name, chosen } of [...routed.points, ...routed.fixed]) {
    for (let row = 0; row < table.n; row++) {
      const model = table.labels[chosen[row] as number];
      const strong = scores ? { strong_score: scores[row] } : {};
      yield `${JSON.stringify({ id: table.ids[row], point: name, model, ...strong })}\n`;
    }
  }
}
