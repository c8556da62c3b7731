/**
 * Rows to learn from and to measure on: JSONL (gzip by suffix) of one query and its outcomes a line,
 * or the reference library's `routing_data` (one line per query and model). Read as a stream: a file
 * is never in memory whole, and a broken line is named by file and number.
 */
import { basename, dirname, join } from "node:path";
import { excerpt, GatewayError } from "../domain/errors.ts";
import type { RoutingTool } from "../domain/features.ts";
import { isObject, type JsonObject } from "../domain/json.ts";

export interface Outcome {
  /** In [0, 1]. */
  readonly score: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly costUsd?: number;
  readonly latencyMs?: number;
}

export interface DataRow {
  readonly id: string;
  readonly query: string;
  readonly tools: readonly RoutingTool[];
  /** For reports; never a feature. */
  readonly category?: string;
  readonly outcomes: ReadonlyMap<string, Outcome>;
}

/** USD per million tokens, and parameters in billions, where known. */
export interface ModelPrice {
  readonly input?: number;
  readonly output?: number;
  readonly sizeB?: number;
}
export type PriceList = ReadonlyMap<string, ModelPrice>;

export const dataLimits = {
  lineUnits: 16 * 1024 * 1024,
  rows: 5_000_000,
  priceBytes: 64 * 1024 * 1024,
} as const;

/** The rows of a file. @throws GatewayError invalid_request with `file:line`. */
export async function* readRows(path: string): AsyncGenerator<DataRow> {
  const pending = new Map<string, PendingQuery>();
  let count = 0;
  for await (const { text, line } of readLines(path)) {
    if (text.trim() === "") continue;
    const where = `${path}:${line}`;
    const value = parseLine(text, where);
    if (++count > dataLimits.rows) throw bad(`${path}: more than ${dataLimits.rows} rows`);
    if (isObject(value["models"])) yield toRow(value, value["models"], where, count);
    else addReferenceRow(pending, value, where);
  }
  if (count === 0) throw bad(`${path}: the file is empty; expected one JSON object a line`);
  let index = 0;
  for (const { query, category, outcomes } of pending.values()) {
    const id = `${basename(path)}#${++index}`;
    yield { id, query, tools: [], outcomes, ...(category ? { category } : {}) };
  }
}

/** A query of the reference library, gathered from its lines. */
interface PendingQuery {
  readonly query: string;
  readonly category: string | undefined;
  readonly outcomes: Map<string, Outcome>;
}

function toRow(value: JsonObject, models: JsonObject, where: string, index: number): DataRow {
  const { query, id, category, tools } = value;
  if (typeof query !== "string") throw bad(`${where}: "query" must be a string`);
  const outcomes = new Map<string, Outcome>();
  for (const [model, outcome] of Object.entries(models)) {
    if (!isObject(outcome)) throw bad(`${where}: models["${excerpt(model)}"] must be an object`);
    outcomes.set(model, toOutcome(outcome, `${where}: models["${excerpt(model)}"]`));
  }
  if (outcomes.size === 0) throw bad(`${where}: "models" names no model`);
  return {
    id: typeof id === "string" || typeof id === "number" ? String(id) : `row-${index}`,
    query,
    tools: Array.isArray(tools) ? tools.flatMap(toTool) : [],
    outcomes,
    ...(typeof category === "string" ? { category } : {}),
  };
}

function toOutcome(value: JsonObject, where: string): Outcome {
  const { score } = value;
  if (typeof score !== "number" || !(score >= 0 && score <= 1)) {
    throw bad(`${where}.score must be a number from 0 to 1`);
  }
  const number = (key: string): number | undefined => {
    const given = value[key];
    if (given === undefined || given === null) return undefined;
    if (typeof given !== "number" || !Number.isFinite(given) || given < 0) {
      throw bad(`${where}.${key} must be a number of at least 0`);
    }
    return given;
  };
  const seconds = number("latency_s");
  const optional = {
    inputTokens: number("input_tokens"),
    outputTokens: number("output_tokens"),
    costUsd: number("cost_usd"),
    latencyMs: number("latency_ms") ?? (seconds === undefined ? undefined : seconds * 1000),
  };
  return { score, ...defined(optional) };
}

/** OpenAI's `{type, function}` and the bare function schema alike. */
function toTool(value: unknown): RoutingTool[] {
  if (!isObject(value)) return [];
  const tool = isObject(value["function"]) ? value["function"] : value;
  const { name, description, parameters } = tool;
  if (typeof name !== "string") return [];
  return [
    {
      name,
      ...(typeof description === "string" ? { description } : {}),
      ...(parameters === undefined ? {} : { parameters }),
    },
  ];
}

/** One line of `routing_data`: a query, one model, its performance. */
function addReferenceRow(
  pending: Map<string, PendingQuery>,
  value: JsonObject,
  where: string,
): void {
  const { query, performance, task_name: task } = value;
  const model = value["model_name"];
  if (typeof query !== "string") {
    throw bad(`${where}: the row has neither "models" nor "query"; see docs/strategies.md`);
  }
  if (typeof model !== "string" || typeof performance !== "number") {
    throw bad(
      `${where}: the row has no outcomes: give "models", or the reference library's routing_data ` +
        `with "model_name" and "performance" (query_data alone has none)`,
    );
  }
  const key = JSON.stringify([task, query, value["ground_truth"], value["metric"]]);
  let entry = pending.get(key);
  if (!entry) {
    const category = typeof task === "string" ? task : undefined;
    entry = { query, category, outcomes: new Map() };
    pending.set(key, entry);
  }
  const seconds = value["response_time"];
  const outcome = { ...value, score: performance, latency_s: seconds };
  entry.outcomes.set(model, toOutcome(outcome as JsonObject, where));
}

function parseLine(text: string, where: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`${where}: not JSON: ${excerpt(text.trim()).slice(0, 80)}`, cause);
  }
  if (!isObject(value)) throw bad(`${where}: expected a JSON object`);
  return value;
}

/** Lines of a text file, unpacked when its name ends in ".gz". */
async function* readLines(path: string): AsyncGenerator<{ text: string; line: number }> {
  const file = Bun.file(path);
  if (!(await file.exists())) throw bad(`${path}: no such file`);
  const raw: ReadableStream<BufferSource> = file.stream();
  const bytes: ReadableStream<BufferSource> = path.endsWith(".gz")
    ? raw.pipeThrough(new DecompressionStream("gzip"))
    : raw;
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let rest = "";
  let line = 0;
  const decode = (chunk?: BufferSource) => {
    try {
      return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode();
    } catch (cause) {
      throw bad(`${path}:${line + 1}: not UTF-8`, cause);
    }
  };
  try {
    for await (const chunk of bytes) {
      const lines = (rest + decode(chunk)).split("\n");
      rest = lines.pop() ?? "";
      if (rest.length > dataLimits.lineUnits) {
        throw bad(`${path}:${line + lines.length + 1}: a line is over 16 Mi characters`);
      }
      for (const text of lines) yield { text, line: ++line };
    }
    rest += decode();
  } catch (cause) {
    if (cause instanceof GatewayError) throw cause;
    throw bad(`${path}: cannot be read after line ${line}: ${String(cause)}`, cause);
  }
  if (rest !== "") yield { text: rest, line: line + 1 };
}

/**
 * Prices for a data file: `--prices FILE`, else `models.json` or `llm_candidates.json` beside it.
 * Reads both shapes: `{model: {input_usd_per_mtok, output_usd_per_mtok, size?}}` and the reference
 * library's `{model: {input_price, output_price, size}}`.
 */
export async function readPrices(dataPath: string, given?: string): Promise<PriceList> {
  const beside = ["models.json", "llm_candidates.json"].map((name) =>
    join(dirname(dataPath), name),
  );
  for (const path of given === undefined ? beside : [given]) {
    const file = Bun.file(path);
    if (!(await file.exists())) continue;
    if (file.size > dataLimits.priceBytes) throw bad(`${path}: over 64 MiB`);
    return parsePrices(await file.text(), path);
  }
  if (given !== undefined) throw bad(`${given}: no such file (--prices)`);
  return new Map();
}

function parsePrices(text: string, path: string): PriceList {
  const value = parseLine(text, path);
  const prices = new Map<string, ModelPrice>();
  for (const [model, entry] of Object.entries(value)) {
    if (!isObject(entry)) throw bad(`${path}: "${excerpt(model)}" must be an object of prices`);
    const pick = (...keys: string[]) => {
      const found = keys.map((key) => entry[key]).find((price) => price !== undefined);
      if (found === undefined) return undefined;
      if (typeof found !== "number" || !(found >= 0)) {
        throw bad(`${path}: "${excerpt(model)}" has a price that is not a number`);
      }
      return found;
    };
    const optional = {
      input: pick("input_usd_per_mtok", "input_price"),
      output: pick("output_usd_per_mtok", "output_price"),
      sizeB: toBillions(entry["size"]),
    };
    prices.set(model, defined(optional));
  }
  return prices;
}

/** "7B" → 7; anything else is unknown. */
function toBillions(size: unknown): number | undefined {
  const match = typeof size === "string" ? /^\s*(\d+(?:\.\d+)?)\s*[bB]\s*$/.exec(size) : null;
  return match ? Number(match[1]) : undefined;
}

/** Drops what is undefined, so that optional fields stay absent. */
function defined<T extends Record<string, number | undefined>>(
  fields: T,
): { [K in keyof T]?: number } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: number;
  };
}

function bad(message: string, cause?: unknown): GatewayError {
  return new GatewayError("invalid_request", message, cause === undefined ? {} : { cause });
}
