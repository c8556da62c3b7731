/**
 * Rows to learn from and to measure on, and the prices beside them. How files are read, and in which
 * forms: `data/`; docs/data.md has an example of each.
 */
import { dirname, join } from "node:path";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { defined } from "./data/fields.ts";
import { openLocalFile } from "./data/input-file.ts";
import { createReadContext, type ReadContext, readFile } from "./data/read-rows.ts";
import type { DataRow } from "./data/row.ts";

export type { DataRow, LabelSource, Outcome } from "./data/row.ts";

/** USD per million tokens, and parameters in billions, where known. */
export interface ModelPrice {
  readonly input?: number;
  readonly output?: number;
  readonly sizeB?: number;
}
export type PriceList = ReadonlyMap<string, ModelPrice>;

export const dataLimits = {
  priceBytes: 64 * 1024 * 1024,
} as const;

/**
 * The rows of a file. Bad ones go to `context.problems`, by `file:line`.
 * @throws GatewayError invalid_request where nothing can be read
 */
export async function* readRows(
  path: string,
  context: ReadContext = createReadContext(),
): AsyncGenerator<DataRow> {
  yield* readFile(await openLocalFile(path), context);
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
  const value = parseObject(text, path);
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

function parseObject(text: string, where: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`${where}: not JSON: ${excerpt(text.trim()).slice(0, 80)}`, cause);
  }
  if (!isObject(value)) throw bad(`${where}: expected a JSON object`);
  return value;
}

function bad(message: string, cause?: unknown): GatewayError {
  return new GatewayError("invalid_request", message, cause === undefined ? {} : { cause });
}
