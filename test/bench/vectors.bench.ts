/**
 * Vector stores: 100,000 passages of 256 numbers, the ten best by meaning, with a filter, by meaning
 * and words; and how many of the exact ten the quantized search finds.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/std/clock.ts";
import { nextInt, nextNormal, type Random } from "../../src/std/random.ts";
import { openVectorTable, type VectorTable } from "../../src/storage/sqlite/vector-table.ts";
import type { VectorQuery } from "../../src/storage/vectors.ts";
import { type BenchContext, type BenchRow, defineBench, quantile } from "./bench.ts";

const d = 256;
const k = 10;
const budgetMs = 10;
const leastRecall = 0.95;
const collection = "vs_bench";
/** Directions that passages gather around, as texts do around their subjects. */
const subjects = 200;
const wordsOfPassage = 100;
const vocabulary = 20_000;

interface World {
  readonly table: VectorTable;
  readonly passagesPerDocument: number;
  readonly vectors: readonly Float32Array[];
  readonly queries: readonly Float32Array[];
  readonly questions: readonly string[];
}

function unit(random: Random, around?: Float32Array): Float32Array {
  const vector = new Float32Array(d).map((_, i) => nextNormal(random) + 1.5 * (around?.[i] ?? 0));
  const length = Math.hypot(...vector);
  return vector.map((each) => each / length);
}

/** Words by Zipf's law: few of them make up most of a text. */
const word = (random: Random) => `w${Math.floor(vocabulary ** random.next()) + nextInt(random, 3)}`;

function fill(table: VectorTable, { random, size, note }: BenchContext): Omit<World, "table"> {
  const [documents, passages] = [size(20, 1_000), size(10, 100)];
  const centres = Array.from({ length: subjects }, () =>
    new Float32Array(d).map(() => nextNormal(random)),
  );
  const near = () => unit(random, centres[nextInt(random, subjects)]);
  const words = (count: number) => Array.from({ length: count }, () => word(random)).join(" ");
  const vectors: Float32Array[] = [];
  note(`${documents * passages} passages`);
  for (let n = 0; n < documents; n++) {
    const of = Array.from({ length: passages }, () => ({
      text: words(wordsOfPassage),
      vector: near(),
    }));
    vectors.push(...of.map(({ vector }) => vector));
    const attributes = { tenth: n % 10, name: `n${n}` };
    table.put(collection, { id: `file-${n}`, attributes, passages: of });
  }
  const count = size(5, 200);
  return {
    passagesPerDocument: passages,
    vectors,
    queries: Array.from({ length: count }, near),
    questions: Array.from({ length: count }, () => words(8)),
  };
}

export const vectorsBench = defineBench("vectors", async (context) => {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-bench-vectors-"));
  const table = openVectorTable({ dataDir, clock: systemClock, log: () => undefined });
  try {
    const begun = performance.now();
    const filled = fill(table, context);
    const seconds = (performance.now() - begun) / 1000;
    return rowsOf({ table, ...filled }, seconds, context);
  } finally {
    table.close();
    rmSync(dataDir, { recursive: true });
  }
});

function rowsOf(world: World, seconds: number, { note }: BenchContext): readonly BenchRow[] {
  const { vectors, queries, questions, passagesPerDocument } = world;
  const n = vectors.length;
  const what = (kind: string) => `Vector store, ${n} × ${d}, k ${k}: ${kind}`;
  const filter = { type: "eq", key: "tenth", value: 3 } as const;
  const kinds: readonly (readonly [string, (i: number) => VectorQuery])[] = [
    ["by meaning", (i) => ({ vector: queries[i] ?? new Float32Array(d), limit: k })],
    [
      "by meaning, a filter that a tenth meets",
      (i) => ({ vector: queries[i] ?? new Float32Array(d), limit: k, filter }),
    ],
    [
      "by meaning and by words",
      (i) => ({
        vector: queries[i] ?? new Float32Array(d),
        words: questions[i] ?? "",
        limit: k,
      }),
    ],
  ];
  const timed = kinds.map(([kind, queryOf]): BenchRow => {
    note(kind);
    const times = timesOf(world, queryOf);
    const p50 = quantile(times, 0.5);
    return {
      what: what(kind),
      measured: `${p50.toFixed(2)} ms`,
      budget: `≤ ${budgetMs} ms (p50)`,
      ok: p50 <= budgetMs,
      detail: `p99 ${quantile(times, 0.99).toFixed(2)} ms over ${times.length} questions, one thread`,
    };
  });
  note("recall");
  const recall = recallOf(world);
  return [
    ...timed,
    {
      what: what("recall@10 of exact"),
      measured: recall.toFixed(3),
      budget: `≥ ${leastRecall}`,
      ok: recall >= leastRecall,
      detail: `int8 against 32-bit floats, ${queries.length} questions`,
    },
    {
      what: what("written"),
      measured: `${(n / seconds).toFixed(0)} passages/s`,
      detail: `documents of ${passagesPerDocument}, each a transaction; their texts are made meanwhile`,
    },
  ];
}

function timesOf({ table, queries }: World, queryOf: (i: number) => VectorQuery) {
  table.search(collection, queryOf(0)); // the matrix is in memory from here on
  return queries.map((_, i) => {
    const start = Bun.nanoseconds();
    table.search(collection, queryOf(i));
    return (Bun.nanoseconds() - start) / 1e6;
  });
}

function recallOf({ table, vectors, queries, passagesPerDocument }: World): number {
  let found = 0;
  for (const query of queries) {
    const exact = vectors
      .map((vector, i) => ({ i, score: dot(vector, query) }))
      .sort((a, b) => b.score - a.score)
      .slice(0, k);
    const least = exact.at(-1)?.score ?? 0;
    const best = new Set(exact.map(({ i }) => i));
    for (const { document, passage } of table.search(collection, { vector: query, limit: k })) {
      const i = Number(document.slice("file-".length)) * passagesPerDocument + passage;
      // Two of the same score may stand in either order.
      if (best.has(i) || dot(vectors[i] ?? query, query) >= least) found++;
    }
  }
  return found / (queries.length * k);
}

const dot = (a: Float32Array, b: Float32Array) => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
};
