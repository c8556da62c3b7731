/**
 * Files of observed queries as rows, whatever their form: the suffix says how to read, the fields what
 * a row is. Read as a stream; a row that cannot be read is counted and named by file and line, and
 * the rest is learnt from. Fatal is only a file of which nothing could be read.
 */
import { basename } from "node:path";
import { excerpt, GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { openParquet } from "../../storage/segments/parquet-file.ts";
import { readCsv } from "./csv.ts";
import { textOf, toOutcome, toTools } from "./fields.ts";
import { createGatherer, type Gatherer, gatherLimit } from "./gather.ts";
import {
  fileLimits,
  type InputFile,
  readDocument,
  readLines,
  withoutPacking,
} from "./input-file.ts";
import type { Labels } from "./labels.ts";
import { BadRow, createProblems, type DataProblems, unreadable } from "./problems.ts";
import {
  addRoutingRow,
  type RatedTurn,
  toRatedTurns,
  toRatingScale,
  toScoresRow,
} from "./reference-rows.ts";
import type { DataRow, Outcome } from "./row.ts";
import { toSpans } from "./spans.ts";
import { readSpan } from "./trace-rows.ts";
import { isLong, toLayout, toWideRow, type WideLayout } from "./wide-rows.ts";

/** Rows of one read. */
export const rowLimit = 5_000_000;

/** What was met that is neither a row nor broken. */
export interface Skipped {
  /** Spans that are no model calls. */
  otherSpans: number;
  /** Calls without their prompt: the predecessor's decision events have its length only. */
  withoutText: number;
  /** Calls of which nobody said how good they were. */
  unlabelled: number;
}

export interface ReadContext {
  readonly problems: DataProblems;
  readonly labels?: Labels | undefined;
  readonly skipped: Skipped;
}

export function createReadContext(labels?: Labels, problems = createProblems()): ReadContext {
  return { problems, labels, skipped: { otherSpans: 0, withoutText: 0, unlabelled: 0 } };
}

/** One file being read: where rows of the same query are gathered, and turns await their scale. */
interface Reading extends ReadContext {
  readonly file: InputFile;
  readonly gatherer: Gatherer;
  readonly turns: RatedTurn[];
  count: number;
}

/** @throws GatewayError invalid_request where the file cannot be read at all */
export async function* readFile(file: InputFile, context: ReadContext): AsyncGenerator<DataRow> {
  const reading: Reading = {
    ...context,
    file,
    gatherer: createGatherer(file.name),
    turns: [],
    count: 0,
  };
  const before = context.problems.count;
  let rows = 0;
  try {
    for await (const row of rowsOf(reading)) {
      rows++;
      yield row;
      if (rows > rowLimit) throw unreadable(file.name, `more than ${rowLimit} rows`);
    }
  } catch (error) {
    // Cut short: what was read before is good all the same.
    if (!(error instanceof GatewayError) || rows + reading.gatherer.size === 0) throw error;
    context.problems.add(error.message);
  }
  for (const row of [...reading.gatherer.take(), ...fromTurns(reading)]) {
    rows++;
    yield row;
  }
  if (rows > 0) return;
  const bad = context.problems.count - before;
  if (bad > 0) throw allBad(file.name, bad, context.problems);
  if (reading.count === 0) throw unreadable(file.name, "the file is empty; see docs/data.md");
}

function allBad(name: string, count: number, { first }: DataProblems): GatewayError {
  const named = first.filter((message) => message.startsWith(name)).slice(0, 3);
  const all = count === 1 ? "the only row cannot be read" : `none of ${count} rows can be read`;
  return unreadable(name, `${all}: ${named.join("; ")}`);
}

function rowsOf(reading: Reading): AsyncGenerator<DataRow> {
  const name = withoutPacking(reading.file.name).toLowerCase();
  const refused = /\.(pkl|pickle|joblib|pt|pth|npy|npz|h5|hdf5|feather|xlsx?)$/.exec(name)?.[1];
  if (refused) throw unreadable(reading.file.name, refusal(refused));
  if (/\.(csv|tsv)$/.test(name)) return readTable(reading);
  if (/\.(parquet|pq)$/.test(name)) return readParquet(reading);
  return readJson(reading);
}

function refusal(suffix: string): string {
  const hint =
    suffix.startsWith("xls") || suffix === "feather"
      ? "save it as CSV or Parquet"
      : suffix === "pkl" || suffix === "pickle" || suffix === "joblib"
        ? `turn it into a table where you trust it: python -c "import pandas as pd; pd.read_pickle('FILE').to_parquet('FILE.parquet')"`
        : "embeddings are computed anew from the queries; give the rows as JSONL, CSV or Parquet";
  return `.${suffix} files are not read, since loading one may run code or needs its own library; ${hint}`;
}

// JSON: a value a line, or one document.

async function* readJson(reading: Reading): AsyncGenerator<DataRow> {
  const { file, problems } = reading;
  const document = /\.json$/i.test(withoutPacking(file.name));
  const limit = document ? fileLimits.documentBytes : fileLimits.lineUnits;
  let first = true;
  for await (const { text, line } of readLines(file, limit)) {
    if (text.trim() === "") continue;
    const where = `${file.name}:${line}`;
    const value = parse(text);
    if (value === undefined && first && document) {
      // Not a value a line, so it is written over many.
      yield* readWhole(reading);
      return;
    }
    first = false;
    if (value === undefined) {
      reading.count++;
      const what = text.includes("\ufffd") ? "not UTF-8" : "not JSON";
      problems.add(`${where}: ${what}: ${excerpt(text.trim()).slice(0, 80)}`);
    } else yield* fromValue(value, where, reading);
    yield* flushed(reading);
  }
}

async function* readWhole(reading: Reading): AsyncGenerator<DataRow> {
  const text = await readDocument(reading.file);
  const value = parse(text);
  if (value === undefined)
    throw unreadable(reading.file.name, "neither a JSON document nor JSON lines");
  yield* fromValue(value, reading.file.name, reading);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // told with its place
  }
}

function* fromValue(value: unknown, where: string, reading: Reading): Generator<DataRow> {
  if (Array.isArray(value)) {
    for (const [at, one] of value.entries()) yield* fromValue(one, `${where}[${at}]`, reading);
    return;
  }
  const spans = toSpans(value);
  if (spans) {
    for (const span of spans) {
      reading.count++;
      const { row, ...rest } = readSpan(span, reading.labels);
      if (row) yield row;
      else count(reading, (rest as { because: "other" | "no_text" | "unlabelled" }).because);
    }
    return;
  }
  if (isObject(value) && Array.isArray(value["records"]) && value["model_name"] !== undefined) {
    const { records, model_name, dataset_name: task_name } = value;
    for (const [at, record] of (records as unknown[]).entries()) {
      const row = isObject(record) ? { task_name, ...record, model_name } : record;
      yield* fromValue(row, `${where}[${at}]`, reading);
    }
    return;
  }
  reading.count++;
  try {
    const row = fromObject(value, reading);
    if (row) yield row;
  } catch (error) {
    if (!(error instanceof BadRow)) throw error;
    reading.problems.add(`${where}: ${error.message}`);
  }
}

function fromObject(value: unknown, reading: Reading): DataRow | undefined {
  if (!isObject(value)) throw new BadRow("expected a JSON object");
  const { models, scores } = value;
  if (isObject(models)) return toRow(value, models, `row-${reading.count}`);
  if (isObject(scores)) {
    return toScoresRow(value, scores, `${basename(reading.file.name)}#${reading.count}`);
  }
  if (Array.isArray(value["conversation"])) reading.turns.push(...toRatedTurns(value));
  else if (isObject(value["receipt"]) || typeof value["event"] === "string") {
    throw new BadRow("this is a row of the event log: read it with --events");
  } else addRoutingRow(value, reading.gatherer);
  return undefined;
}

/** A row of DESIGN's own form. */
function toRow(value: JsonObject, models: JsonObject, fallbackId: string): DataRow {
  const { query, id } = value;
  if (typeof query !== "string") throw new BadRow(`"query" must be a string`);
  const outcomes = new Map<string, Outcome>();
  for (const [model, outcome] of Object.entries(models)) {
    const what = `models["${excerpt(model)}"]`;
    if (!isObject(outcome)) throw new BadRow(`${what} must be an object`);
    outcomes.set(model, toOutcome(outcome, what));
  }
  if (outcomes.size === 0) throw new BadRow(`"models" names no model`);
  const category = textOf(value["category"]);
  const session = textOf(value["session"]) ?? textOf(value["session_id"]);
  const user = textOf(value["user"]) ?? textOf(value["user_id"]);
  return {
    id: typeof id === "string" || typeof id === "number" ? String(id) : fallbackId,
    query,
    tools: toTools(value["tools"]),
    outcomes,
    ...(category === undefined ? {} : { category }),
    ...(session === undefined ? {} : { session }),
    ...(user === undefined ? {} : { user }),
  };
}

function count({ skipped }: Reading, because: "other" | "no_text" | "unlabelled"): void {
  if (because === "other") skipped.otherSpans++;
  else if (because === "no_text") skipped.withoutText++;
  else skipped.unlabelled++;
}

function* flushed(reading: Reading): Generator<DataRow> {
  if (reading.gatherer.size < gatherLimit) return;
  reading.problems.add(
    `${reading.file.name}: more than ${gatherLimit} queries of one model a line; what lies further apart becomes several rows`,
  );
  yield* reading.gatherer.take();
}

function* fromTurns({ turns, problems, file }: Reading): Generator<DataRow> {
  if (turns.length === 0) return;
  let toScore: (rating: number) => number;
  try {
    toScore = toRatingScale(turns.map(({ rating }) => rating));
  } catch (error) {
    if (!(error instanceof BadRow)) throw error;
    problems.add(`${file.name}: ${error.message}`);
    return;
  }
  for (const [at, { query, model, user, session, rating }] of turns.entries()) {
    yield {
      id: `${basename(file.name)}#${at + 1}`,
      query,
      tools: [],
      outcomes: new Map([[model, { score: toScore(rating) }]]),
      label: "feedback",
      session,
      ...(user === undefined ? {} : { user }),
    };
  }
}

// Tables.

async function* readTable(reading: Reading): AsyncGenerator<DataRow> {
  const { file } = reading;
  let head: readonly string[] | undefined;
  let layout: WideLayout | undefined;
  for await (const { fields, line } of readCsv(file)) {
    if (!head) {
      head = fields.map((name, at) => (at === 0 ? name.replace(/^\ufeff/, "") : name).trim());
      continue;
    }
    const names = head;
    const where = `${file.name}:${line}`;
    reading.count++;
    if (fields.length !== names.length) {
      reading.problems.add(`${where}: ${fields.length} fields, but the head has ${names.length}`);
      continue;
    }
    const record = Object.fromEntries(fields.map((field, at) => [names[at] ?? "", field]));
    if (!layout && !isLong(names)) {
      layout = toLayoutOf(file, names, (name) =>
        /^\s*[-+.\d]+(e[-+]?\d+)?\s*$|^\s*(true|false|nan)?\s*$/i.test(record[name] ?? ""),
      );
    }
    yield* fromRecord(record, { where, layout }, reading);
  }
}

async function* readParquet(reading: Reading): AsyncGenerator<DataRow> {
  const { file } = reading;
  const parquet = await openParquet(file);
  const { columns, numeric } = parquet;
  if (columns.includes("event") && columns.includes("call_id")) {
    throw unreadable(file.name, "these are segments of the event log: read them with --events");
  }
  if (columns.includes("models") || columns.includes("scores")) {
    for await (const { value, row } of parquet.records()) {
      yield* fromValue(toPlain(value), `${file.name}[${row}]`, reading);
    }
    return;
  }
  const layout = isLong(columns)
    ? undefined
    : toLayoutOf(file, columns, (column) => numeric.has(column));
  for await (const { value, row } of parquet.records(layout?.columns)) {
    reading.count++;
    yield* fromRecord(value, { where: `${file.name}[${row}]`, layout }, reading);
  }
}

function toLayoutOf(
  file: InputFile,
  columns: readonly string[],
  isNumeric: (column: string) => boolean,
): WideLayout {
  try {
    return toLayout(columns, isNumeric);
  } catch (error) {
    if (error instanceof BadRow) throw unreadable(file.name, error.message, error);
    throw error;
  }
}

/** A record of a wide table, or (without a layout) of a long one. */
function* fromRecord(
  record: Readonly<Record<string, unknown>>,
  { where, layout }: { readonly where: string; readonly layout: WideLayout | undefined },
  reading: Reading,
): Generator<DataRow> {
  try {
    if (layout) yield toWideRow(toPlain(record) as JsonObject, layout, `row-${reading.count}`);
    else addRoutingRow(toPlain(record) as JsonObject, reading.gatherer);
  } catch (error) {
    if (!(error instanceof BadRow)) throw error;
    reading.problems.add(`${where}: ${error.message}`);
  }
  yield* flushed(reading);
}

/** Parquet's large whole numbers, dates and bare bytes as JSON would have them. */
function toPlain(value: unknown): unknown {
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map(toPlain);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== undefined && one !== null)
      .map(([key, one]) => [key, toPlain(one)]),
  );
}
