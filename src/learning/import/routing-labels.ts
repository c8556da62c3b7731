/**
 * The order in which LLMRouter numbers its models, out of the routing data that it was trained on: its
 * Torch files keep the numbers and not the names.
 * Source: LLMRouter, mfrouter/router.py (`unique` of the rows) and mlprouter/router.py (`groupby`,
 * `idxmax`, `unique` of the best rows)
 */
import { openLocalFile, readLines } from "../data/input-file.ts";
import { refuseImport } from "./values.ts";

export interface RoutingLabels {
  /** As models first appear among the rows: MFRouter's numbers. */
  readonly rows: readonly string[];
  /** As they first appear among the best rows of the queries, these sorted: MLPRouter's. */
  readonly best: readonly string[];
}

const mostRows = 5_000_000;

/** @throws GatewayError artifact_refused for lines that are no routing data */
export async function readRoutingLabels(path: string): Promise<RoutingLabels> {
  const rows = new Set<string>();
  const best = new Map<string, { readonly model: string; readonly performance: number }>();
  let count = 0;
  for await (const { text, line } of readLines(await openLocalFile(path))) {
    if (text.trim() === "") continue;
    if (++count > mostRows) refuseImport(`${path} has more than ${mostRows} rows`);
    const { query, model, performance } = toRow(text, `${path}:${line}`);
    rows.add(model);
    if (performance === undefined) continue;
    const before = best.get(query);
    // Of equals the first stays, as idxmax has it.
    if (!before || performance > before.performance) best.set(query, { model, performance });
  }
  if (count === 0) refuseImport(`${path} has no rows`);
  const queries = [...best.keys()].sort(byCodePoint);
  const models = queries.flatMap((query) => best.get(query)?.model ?? []);
  return { rows: [...rows], best: [...new Set(models)] };
}

function toRow(text: string, where: string) {
  let row: unknown;
  try {
    row = JSON.parse(text);
  } catch (cause) {
    return refuseImport(`${where} is no JSON`, cause);
  }
  const { query, model_name: model, performance } = Object(row) as Record<string, unknown>;
  if (typeof query !== "string" || typeof model !== "string") {
    return refuseImport(`${where} has no query or no model_name: it is no routing data`);
  }
  const known = typeof performance === "number" && Number.isFinite(performance);
  return { query, model, performance: known ? performance : undefined };
}

/** Python's order of texts; JavaScript's differs beyond U+FFFF. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
