/**
 * Tables with a column per model, as RouterBench has them: `sample_id, prompt, eval_name, <model>,
 * <model>|total_cost, <model>|model_response, oracle_model_to_route_to`. Also long tables, with a
 * column that names the model.
 * Source: github.com/withmartian/routerbench
 */
import { isObject, type JsonObject } from "../../domain/json.ts";
import { textOf, toNumber, toOutcome } from "./fields.ts";
import { BadRow } from "./problems.ts";
import { parseJsonOrPython } from "./python-literal.ts";
import type { DataRow, Outcome } from "./row.ts";

const idNames = ["sample_id", "id", "index", "question_id"];
const queryNames = ["prompt", "query", "question", "origin_query", "text"];
const categoryNames = ["eval_name", "category", "task_name", "task", "benchmark", "dataset"];
const otherNames = new Set([
  ...["oracle_model_to_route_to", "oracle", "ground_truth", "answer", "metric", "choices"],
  ...["user_id", "session_id", "cluster_id", "embedding_id", "split", "unnamed: 0", ""],
]);

/** What a column tells of a model, by its ending after "|" (or "_"). */
const measures: Readonly<Record<string, string>> = {
  score: "score",
  performance: "score",
  total_cost: "cost_usd",
  cost: "cost_usd",
  cost_usd: "cost_usd",
  input_tokens: "input_tokens",
  prompt_tokens: "input_tokens",
  output_tokens: "output_tokens",
  completion_tokens: "output_tokens",
  latency_s: "latency_s",
  response_time: "latency_s",
  latency_ms: "latency_ms",
  verification: "verification",
};

export interface WideLayout {
  readonly id: string | undefined;
  readonly query: string;
  readonly category: string | undefined;
  /** Per model: column by measure. */
  readonly models: ReadonlyMap<string, Readonly<Record<string, string>>>;
  /** Columns that are read: the rest (responses, embeddings) need not be. */
  readonly columns: readonly string[];
}

/** Whether a table is long: a row per query and model. */
export function isLong(columns: readonly string[]): boolean {
  const has = (...names: string[]) => names.some((name) => columns.includes(name));
  return has("model_name", "llm") && has("performance", "effect", "score") && has("query");
}

/**
 * @param isNumeric whether a column holds numbers: what does is a model's score where nothing else
 * says what it is
 * @throws BadRow where there is no query, or no model
 */
export function toLayout(
  columns: readonly string[],
  isNumeric: (column: string) => boolean,
): WideLayout {
  const find = (names: readonly string[]) =>
    columns.find((column) => names.includes(column.toLowerCase()));
  const query = find(queryNames);
  if (query === undefined) {
    throw new BadRow(`no column is the query; expected one of ${queryNames.join(", ")}`);
  }
  const id = find(idNames);
  const category = find(categoryNames);
  const models = new Map<string, Record<string, string>>();
  const set = (model: string, measure: string, column: string) => {
    const entry = models.get(model);
    if (entry) entry[measure] = column;
    else models.set(model, { [measure]: column });
  };
  const rest = columns.filter((column) => {
    const split = splitColumn(column, columns);
    const measure = split && measures[split.measure];
    if (split && measure) set(split.model, measure, column);
    return split === undefined;
  });
  for (const column of rest) {
    const plain = [id, query, category].includes(column) || otherNames.has(column.toLowerCase());
    if (!plain && (models.has(column) || isNumeric(column))) set(column, "score", column);
  }
  for (const [model, entry] of models) if (entry["score"] === undefined) models.delete(model);
  if (models.size === 0) {
    throw new BadRow(
      `no column holds a model's scores; expected a column per model, as RouterBench has them`,
    );
  }
  const used = [...models.values()].flatMap((entry) => Object.values(entry));
  const head = [id, query, category].filter((column) => column !== undefined);
  return { id, query, category, models, columns: [...head, ...used] };
}

/** `gpt-4|total_cost`; `gpt-4_cost` where there is a column `gpt-4`. */
function splitColumn(column: string, columns: readonly string[]) {
  const bar = column.lastIndexOf("|");
  if (bar > 0) return { model: column.slice(0, bar), measure: column.slice(bar + 1).toLowerCase() };
  for (const measure of Object.keys(measures)) {
    const model = column.slice(0, -measure.length - 1);
    if (column.endsWith(`_${measure}`) && columns.includes(model)) return { model, measure };
  }
  return undefined;
}

/** A row of such a table. @throws BadRow */
export function toWideRow(
  record: Readonly<Record<string, unknown>>,
  layout: WideLayout,
  id: string,
): DataRow {
  const query = toPrompt(record[layout.query]);
  if (query === undefined) throw new BadRow(`"${layout.query}" is empty`);
  const outcomes = new Map<string, Outcome>();
  for (const [model, columns] of layout.models) {
    const values: Record<string, number | undefined> = {};
    for (const [measure, column] of Object.entries(columns)) {
      values[measure] = toNumber(record[column], column);
    }
    if (values["score"] === undefined) continue; // this model was not asked
    outcomes.set(model, toOutcome(values as JsonObject, model));
  }
  if (outcomes.size === 0) throw new BadRow("no model has a score");
  const given = layout.id === undefined ? undefined : record[layout.id];
  const category = layout.category === undefined ? undefined : textOf(record[layout.category]);
  return {
    id: given === undefined || given === null || given === "" ? id : String(given),
    query,
    tools: [],
    outcomes,
    ...(category === undefined ? {} : { category }),
  };
}

/** RouterBench writes a prompt as the literal of a list of texts; others as the text. */
function toPrompt(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.map((part) => toPrompt(part) ?? "").join("\n");
  if (isObject(value)) return textOf(value["content"]);
  if (typeof value !== "string" || value === "") return undefined;
  if (!/^\s*\[/.test(value)) return value;
  const list = parseJsonOrPython(value);
  return Array.isArray(list) ? toPrompt(list) : value;
}
