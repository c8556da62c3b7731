/**
 * Scores that lie apart from the calls they judge: lines of `{call_id | trace_id | span_id | id,
 * score | thumbs, source?}`, joined to traces and to the event log by id. Several for one call are
 * averaged; people outweigh judges, and judges signs.
 */
import { isObject } from "../../domain/json.ts";
import { readCsv } from "./csv.ts";
import { toNumber } from "./fields.ts";
import { type InputFile, readLines, withoutPacking } from "./input-file.ts";
import { BadRow, type DataProblems, unreadable } from "./problems.ts";
import { type LabelSource, toLabelSource } from "./row.ts";

export interface Label {
  /** In [0, 1]. */
  readonly score: number;
  readonly source: LabelSource;
}

export interface Labels {
  /** The label of the first of the ids that has one. */
  find(ids: readonly string[]): Label | undefined;
  readonly size: number;
}

/** Ids that are held. */
export const labelLimit = 5_000_000;

const ranks: readonly LabelSource[] = ["feedback", "judge", "shadow", "implicit"];
const idNames = ["call_id", "trace_id", "span_id", "request_id", "id"];

interface Sums {
  readonly sum: Float64Array;
  readonly count: Uint32Array;
}

/** @throws GatewayError invalid_request where no line of a file is a label, or there are too many */
export async function readLabels(
  files: readonly InputFile[],
  problems: DataProblems,
): Promise<Labels> {
  const byId = new Map<string, Sums>();
  for (const file of files) {
    let read = 0;
    for await (const { value, where } of readRecords(file, problems)) {
      try {
        addLabel(byId, value);
        read++;
      } catch (error) {
        if (!(error instanceof BadRow)) throw error;
        problems.add(`${where}: ${error.message}`);
      }
      if (byId.size > labelLimit) throw unreadable(file.name, `more than ${labelLimit} labels`);
    }
    if (read === 0) {
      throw unreadable(file.name, `no line is a label; expected {"call_id", "score"}`);
    }
  }
  return {
    size: byId.size,
    find(ids) {
      for (const id of ids) {
        const sums = byId.get(id);
        if (sums) return toLabel(sums);
      }
      return undefined;
    },
  };
}

function addLabel(byId: Map<string, Sums>, value: Readonly<Record<string, unknown>>): void {
  const id = idNames
    .map((name) => value[name])
    .find((one) => typeof one === "string" && one !== "");
  if (typeof id !== "string") throw new BadRow(`a label needs one of ${idNames.join(", ")}`);
  const thumbs = { up: 1, down: 0 }[String(value["thumbs"])];
  const score = toNumber(value["score"], "score") ?? thumbs;
  if (score === undefined || score < 0 || score > 1) {
    throw new BadRow(`"score" must be a number from 0 to 1 (or "thumbs" up or down)`);
  }
  const source = typeof value["source"] === "string" ? value["source"] : "";
  const rank = ranks.indexOf(toLabelSource(source));
  let sums = byId.get(id);
  if (!sums) {
    sums = { sum: new Float64Array(ranks.length), count: new Uint32Array(ranks.length) };
    byId.set(id, sums);
  }
  sums.sum[rank] = (sums.sum[rank] as number) + score;
  sums.count[rank] = (sums.count[rank] as number) + 1;
}

function toLabel({ sum, count }: Sums): Label {
  const rank = count.findIndex((n) => n > 0);
  return {
    score: (sum[rank] as number) / (count[rank] as number),
    source: ranks[rank] as LabelSource,
  };
}

async function* readRecords(file: InputFile, problems: DataProblems) {
  if (/\.(csv|tsv)$/i.test(withoutPacking(file.name))) {
    let head: readonly string[] | undefined;
    for await (const { fields, line } of readCsv(file)) {
      if (head) {
        const names = head;
        const value = Object.fromEntries(fields.map((field, at) => [names[at] ?? "", field]));
        yield { value, where: `${file.name}:${line}` };
      } else head = fields;
    }
    return;
  }
  for await (const { text, line } of readLines(file)) {
    if (text.trim() === "") continue;
    const where = `${file.name}:${line}`;
    const value = parse(text);
    if (isObject(value)) yield { value, where };
    else problems.add(`${where}: expected a JSON object`);
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // named as a bad line
  }
}
