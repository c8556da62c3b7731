/** What is measured of each set and strategy, and where the rows come from. */
import { join } from "node:path";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { readPrices, readRows } from "../../src/learning/dataset.ts";
import type { Interval } from "../../src/learning/evidence/bootstrap.ts";
import { readTable, type Table } from "../../src/learning/table.ts";

export const sets = [
  "mmlu-pro",
  "bfcl-tools",
  "llmrouter-default",
  "routerbench-part",
  "routellm-pair",
] as const;

export const embedder = createStaticEmbedder();

export interface SetRows {
  readonly name: string;
  readonly train: Table;
  readonly test: Table;
}

export interface Entry {
  readonly kind: "entry";
  /** What was trained: `auto`'s choice, else the name itself. */
  readonly strategy: string;
  readonly why?: string;
  readonly aiq: Interval;
  readonly gain: Interval;
  readonly dialAiq: number;
  readonly maxQuality: number;
  readonly cost98: Interval;
  /** By cost, for any number of models (`CurveStats`); `pair` has RouteLLM's own. */
  readonly apgr: Interval;
  readonly cpt50: Interval;
  readonly cpt80: Interval;
  readonly calibrationError: number;
  readonly control: number;
  readonly pair?: { readonly apgr: Interval; readonly cpt50: Interval; readonly cpt80: Interval };
  readonly cpuSeconds: number;
  readonly bytes: number;
  readonly baselines: {
    readonly rows: number;
    readonly models: number;
    readonly zero: number;
    readonly random: number;
    readonly length: number;
    readonly category?: number;
    readonly oracle: number;
    readonly best: { readonly name: string; readonly quality: number };
  };
}

export interface Refused {
  readonly kind: "refused";
  readonly why: string;
}

/** AIQ over the zero-router on kinds of query that training did not have, fold by fold. */
export interface Transfer {
  readonly kind: "transfer";
  readonly folds: readonly {
    readonly heldOut: readonly string[];
    readonly gain: Interval;
    /** Of the fixed models that training would have chosen: what no routing could avoid. */
    readonly fixedGain: number;
  }[];
}

/** A new model's worth (utility with it, less without it) by its number of labelled queries. */
export interface Newcomer {
  readonly kind: "newcomer";
  readonly model: string;
  readonly worth: readonly { readonly labels: number; readonly quality: number }[];
}

/** Quality at mean latency, by the weight of latency in the utility. */
export interface Latency {
  readonly kind: "latency";
  readonly points: readonly { readonly seconds: number; readonly quality: number }[];
  readonly best: { readonly name: string; readonly seconds: number; readonly quality: number };
}

export interface Nothing {
  readonly kind: "nothing";
}

export type Results = Record<string, Entry | Refused | Transfer | Newcomer | Latency | Nothing>;

/** Reads a set once. */
export function createReader(data: string): (set: string) => Promise<SetRows> {
  const extractor = createFeatureExtractor(embedder);
  let last: SetRows | undefined;
  const read = async (set: string, split: "train" | "test") => {
    const path = join(data, set, `${split}.jsonl.gz`);
    const source = { rows: readRows(path), prices: await readPrices(path) };
    return readTable([source], extractor, split === "test" ? "common" : "all");
  };
  return async (name) => {
    if (last?.name === name) return last;
    last = { name, train: await read(name, "train"), test: await read(name, "test") };
    return last;
  };
}
