/**
 * Rows as columns: features and, per model, quality, cost, output tokens and latency. What training
 * and evaluation work on, so that text is read once and let go.
 */
import { createHash } from "node:crypto";
import type { RawFeatures } from "../domain/features.ts";
import type { FeatureExtractor } from "../embedding/embedder.ts";
import { createKernels } from "../kernels/create.ts";
import { hashUser } from "../security/hashing.ts";
import { createHashIndex } from "../std/hash-index.ts";
import { createTally, type DataReport } from "./data/report.ts";
import type { LabelSource } from "./data/row.ts";
import { createRowPool, defaultMaxRows, type PoolOptions } from "./data/row-pool.ts";
import type { DataRow, PriceList } from "./dataset.ts";

export interface Table {
  /** Sorted. */
  readonly labels: readonly string[];
  readonly ids: readonly string[];
  readonly categories: readonly (string | undefined)[];
  readonly features: readonly RawFeatures[];
  readonly n: number;
  /** n×m each, row-major; NaN: not observed. */
  readonly quality: Float32Array;
  readonly costUsd: Float64Array;
  readonly outputTokens: Float32Array;
  readonly latencyMs: Float32Array;
  /** n×m, NaN where unknown; missing where no row has any. */
  readonly verification?: Float32Array;
  /** n. */
  readonly weight: Float32Array;
  /** n: queries that a row stands for; 1 but where there were more rows than are learnt from. */
  readonly mass: Float32Array;
  readonly group: Int32Array;
  /** n: who asked, hashed (`userOf`); missing where no row says. */
  readonly users?: readonly (string | undefined)[];
  /** m; NaN where unknown. */
  readonly sizeB: Float32Array;
  readonly priceUsdPerMtok: Float32Array;
  /** sha256 over ids, queries and outcomes, hex: what an artifact says it learnt from. */
  readonly sha256: string;
  readonly report: DataReport;
}

export interface TableSource {
  readonly rows: AsyncIterable<DataRow>;
  readonly prices: PriceList;
}

/** One observed row before it is a column: from a data file or from the event log. */
export interface TableRow {
  readonly id: string;
  readonly category?: string;
  readonly features: RawFeatures;
  readonly outcomes: DataRow["outcomes"];
  /** How sure a verifier was of a model's answer; also where its score is not known. */
  readonly verification?: ReadonlyMap<string, number>;
  readonly weight: number;
  readonly user?: string | undefined;
  /** Rows that share a key are of one group. */
  readonly groupKeys: readonly string[];
  /** Missing: `full` where there are several outcomes, else `given`. */
  readonly label?: LabelSource;
  /** A second row of this identity is the same one again: it is counted and dropped. */
  readonly identity?: string;
}

export interface TableBuilder {
  add(row: TableRow): void;
  /** `common`: only the models that every row has, as a comparison of routers needs. */
  finish(prices: PriceList, models: "all" | "common"): Table;
  readonly size: number;
}

/** Reads sources one after the other. Costs are completed by the rule of `completeCosts`. */
export async function readTable(
  sources: readonly TableSource[],
  extractor: FeatureExtractor,
  models: "all" | "common",
  onRow: (count: number) => void = () => undefined,
): Promise<Table> {
  const builder = createTableBuilder();
  const prices = new Map<string, ModelPriceOf>();
  for (const source of sources) {
    for (const [model, price] of source.prices) prices.set(model, price);
    await addRows(builder, source.rows, { extractor, onRow });
  }
  return builder.finish(prices, models);
}

/** Rows with their features computed; the text is let go. */
export async function addRows(
  builder: TableBuilder,
  rows: AsyncIterable<DataRow>,
  { extractor, onRow }: { extractor: FeatureExtractor; onRow: (count: number) => void },
): Promise<void> {
  for await (const row of rows) {
    const extracted = extractor.extract({ text: row.query, tools: row.tools });
    builder.add({
      id: row.id,
      // Awaiting what is there already would cost as much as computing it.
      features: extracted instanceof Promise ? await extracted : extracted,
      outcomes: row.outcomes,
      ...toVerification(row),
      weight: 1,
      user: row.user === undefined ? undefined : hashUser(fileTenant, row.user),
      groupKeys: toGroupKeys(row),
      identity: JSON.stringify([row.id, row.query, [...row.outcomes]]),
      ...(row.label === undefined ? {} : { label: row.label }),
      ...(row.category === undefined ? {} : { category: row.category }),
    });
    onRow(builder.size);
  }
}

function toVerification({ outcomes }: DataRow): Pick<TableRow, "verification"> {
  let verification: Map<string, number> | undefined;
  for (const [model, { verification: share }] of outcomes) {
    if (share !== undefined) verification = (verification ?? new Map()).set(model, share);
  }
  return verification ? { verification } : {};
}

type ModelPriceOf = PriceList extends ReadonlyMap<string, infer P> ? P : never;

/** Of data files: the tenant of a gateway that has but one. */
const fileTenant = "default";

/** Queries that begin alike, and queries over one set of tools, are near-duplicates. */
function toGroupKeys(row: DataRow): string[] {
  const start = row.query
    .toLowerCase()
    .replace(/[^\p{L}]+/gu, " ")
    .trim()
    .slice(0, 64);
  const tools = row.tools.map(({ name }) => name).sort();
  return [
    `q:${start}`,
    ...(tools.length > 0 ? [`t:${tools.join(",")}`] : []),
    ...(row.session === undefined ? [] : [`s:${row.session}`]),
  ];
}

/** How many rows are learnt from; more are condensed (`data/row-pool.ts`). */
export type TableLimits = Partial<PoolOptions>;

export function createTableBuilder(limits: TableLimits = {}): TableBuilder {
  const pool = createRowPool({
    maxRows: defaultMaxRows,
    seed: 1,
    kernels: createKernels,
    ...limits,
  });
  const seen = createHashIndex();
  const tally = createTally();
  let duplicates = 0;
  const hash = createHash("sha256");
  return {
    get size() {
      return pool.size;
    },
    add({ groupKeys, identity, ...row }) {
      if (identity !== undefined) {
        if (seen.get(identity) >= 0) {
          duplicates++;
          return;
        }
        seen.set(identity, 1);
      }
      tally.add(row.outcomes, row.label ?? (row.outcomes.size > 1 ? "full" : "given"));
      pool.add(row, groupKeys);
      hash.update(row.id).update(row.features.lexicalBuckets).update(row.features.shape);
      hash.update(JSON.stringify([...row.outcomes]));
    },
    finish(prices, models) {
      const { rows, mass, group, groups, condensed } = pool.finish();
      const labels = toLabels(rows, models);
      const columns = toColumns(rows, labels);
      completeCosts(columns, labels, rows, prices);
      const verification = toVerificationColumn(rows, labels);
      const ofPrices = (pick: (price: ModelPriceOf | undefined) => number | undefined) =>
        Float32Array.from(labels, (label) => pick(prices.get(label)) ?? Number.NaN);
      return {
        labels,
        ids: rows.map(({ id }) => id),
        categories: rows.map(({ category }) => category),
        features: rows.map(({ features }) => features),
        n: rows.length,
        ...columns,
        ...(verification ? { verification } : {}),
        weight: Float32Array.from(rows, ({ weight }) => weight),
        mass,
        group,
        ...(rows.some(({ user }) => user !== undefined) && { users: rows.map(({ user }) => user) }),
        sizeB: ofPrices((price) => price?.sizeB),
        priceUsdPerMtok: ofPrices((price) => price?.input),
        sha256: hash.digest("hex"),
        report: {
          rows: tally.rows,
          duplicates,
          ...groups,
          labels: tally.labels(),
          models: tally.models(),
          ...(condensed ? { condensed } : {}),
        },
      };
    },
  };
}

type Rows = readonly Pick<TableRow, "outcomes">[];

function toLabels(rows: Rows, models: "all" | "common"): string[] {
  const counts = new Map<string, number>();
  for (const { outcomes } of rows) {
    for (const model of outcomes.keys()) counts.set(model, (counts.get(model) ?? 0) + 1);
  }
  const least = models === "common" ? rows.length : 1;
  return [...counts]
    .filter(([, count]) => count >= least)
    .map(([model]) => model)
    .sort();
}

function toColumns(rows: Rows, labels: readonly string[]) {
  const size = rows.length * labels.length;
  const quality = new Float32Array(size).fill(Number.NaN);
  const costUsd = new Float64Array(size).fill(Number.NaN);
  const outputTokens = new Float32Array(size).fill(Number.NaN);
  const latencyMs = new Float32Array(size).fill(Number.NaN);
  rows.forEach(({ outcomes }, row) => {
    labels.forEach((label, j) => {
      const outcome = outcomes.get(label);
      if (!outcome) return;
      const at = row * labels.length + j;
      quality[at] = outcome.score;
      costUsd[at] = outcome.costUsd ?? Number.NaN;
      outputTokens[at] = outcome.outputTokens ?? Number.NaN;
      latencyMs[at] = outcome.latencyMs ?? Number.NaN;
    });
  });
  return { quality, costUsd, outputTokens, latencyMs };
}

function toVerificationColumn(
  rows: readonly Pick<TableRow, "verification">[],
  labels: readonly string[],
): Float32Array | undefined {
  if (!rows.some((row) => row.verification)) return undefined;
  const shares = new Float32Array(rows.length * labels.length).fill(Number.NaN);
  rows.forEach(({ verification }, row) => {
    for (const [model, share] of verification ?? []) {
      const at = labels.indexOf(model);
      if (at >= 0) shares[row * labels.length + at] = share;
    }
  });
  return shares;
}

/**
 * A cost for every observed cell: as given; else tokens × prices where both counts are there; else,
 * where some rows have a cost of this model, their mean; else the price of 1,000 input tokens stands
 * in, as the reference scorer does.
 */
function completeCosts(
  { costUsd, quality }: ReturnType<typeof toColumns>,
  labels: readonly string[],
  rows: Rows,
  prices: PriceList,
): void {
  const m = labels.length;
  labels.forEach((label, j) => {
    const price = prices.get(label);
    rows.forEach(({ outcomes }, row) => {
      const at = row * m + j;
      const { inputTokens, outputTokens } = outcomes.get(label) ?? {};
      if (!Number.isNaN(costUsd[at]) || inputTokens === undefined || outputTokens === undefined) {
        return;
      }
      if (price?.input === undefined) return;
      const usd = inputTokens * price.input + outputTokens * (price.output ?? price.input);
      costUsd[at] = usd / 1e6;
    });
    let sum = 0;
    let count = 0;
    for (let row = 0; row < rows.length; row++) {
      const cost = costUsd[row * m + j] as number;
      if (Number.isNaN(cost)) continue;
      sum += cost;
      count++;
    }
    const standIn = count > 0 ? sum / count : (price?.input ?? Number.NaN) / 1000;
    for (let row = 0; row < rows.length; row++) {
      const at = row * m + j;
      if (Number.isNaN(costUsd[at]) && !Number.isNaN(quality[at])) costUsd[at] = standIn;
    }
  });
}
