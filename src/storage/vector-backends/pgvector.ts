/**
 * Vectors on PostgreSQL with pgvector: one table of passages and one of documents for all stores. An
 * HNSW index per length of vector, searched iteratively so that filters cost no recall (pgvector
 * 0.8; older ones are searched exactly). Source: https://github.com/pgvector/pgvector
 */
import { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json } from "../../domain/json.ts";
import type { Postgres, SqlRow, SqlRunner, SqlValue } from "../../security/postgres.ts";
import type { VectorFilter, VectorHit, VectorQuery, VectorStore } from "../vectors.ts";
import { blendHits, candidatesFor } from "./blend-hits.ts";
import { inRequests } from "./rest.ts";
import { wordsOf } from "./word-set.ts";

export interface PgvectorOptions {
  readonly db: Postgres;
  /** Of passages; the documents' is named after it. Checked by `isTableName`. */
  readonly table: string;
}

/** Perhaps with a schema: `public.routeiq_passages`. */
export const isTableName = (name: string) =>
  /^([a-z_][a-z0-9_]{0,40}\.)?[a-z_][a-z0-9_]{0,40}$/.test(name);

/** The longest that pgvector indexes as they are, and as halves. */
const indexed = { whole: 2_000, half: 4_000 } as const;
const passageWords = 2_048;
/** Passages that have a word are counted up to here: beyond, it is a common one. */
const commonFrom = 2_000;

export function createPgvector({ db, table }: PgvectorOptions): VectorStore {
  const documents = `${table}_documents`;
  let ready: Promise<boolean> | undefined;
  const indexes = new Map<number, Promise<void>>();

  /** Says whether indexes may be searched iteratively. Made anew where it failed. */
  function ensure(): Promise<boolean> {
    ready ??= createTables(db, table).catch((thrown: unknown) => {
      ready = undefined;
      throw thrown;
    });
    return ready;
  }

  async function ensureIndex(length: number): Promise<void> {
    if (!(await ensure()) || length > indexed.half) return;
    const made = indexes.get(length) ?? createIndex(db, table, length);
    indexes.set(length, made);
    await made.catch((thrown: unknown) => {
      indexes.delete(length);
      throw thrown;
    });
  }

  async function nearest(collection: string, query: VectorQuery): Promise<readonly VectorHit[]> {
    const { vector, filter } = query;
    if (!vector) return [];
    const iterates = await ensure();
    const values = new Values(collection, toText(vector), candidatesFor(query));
    const type = typeOf(vector.length);
    const distance = `p.vector::${type} <=> $2::text::${type}`;
    const sql = `SELECT p.document, p.passage, p.text, d.attributes, 1 - (${distance}) AS score
      FROM ${table} p JOIN ${documents} d ON d.collection = p.collection AND d.id = p.document
      WHERE p.collection = $1 AND vector_dims(p.vector) = ${vector.length}${toWhere(filter, values)}
      ORDER BY ${distance} LIMIT $3`;
    return db.begin(async (tx) => {
      if (iterates) await tx.run("SET LOCAL hnsw.iterative_scan = strict_order");
      return (await tx.run(sql, values.all)).map(toHit);
    });
  }

  async function worded(collection: string, query: VectorQuery): Promise<readonly VectorHit[]> {
    const asked = query.words === undefined ? [] : wordsOf(query.words);
    if (asked.length === 0) return [];
    await ensure();
    const weights = await weigh(db, table, { collection, words: asked });
    const whole = weights.reduce((sum, { weight }) => sum + weight, 0) || 1;
    // Common words order what the rare ones found; alone they find what they can.
    const rare = weights.filter(({ isCommon }) => !isCommon);
    const found = (rare.length > 0 ? rare : weights).map(({ word }) => word);
    const values = new Values(
      collection,
      JSON.stringify(weights),
      JSON.stringify(found),
      candidatesFor(query),
    );
    const sql = `SELECT p.document, p.passage, p.text, d.attributes, (
        SELECT coalesce(sum(w.weight), 0) FROM jsonb_to_recordset($2::text::jsonb) AS w(word text, weight float8)
        WHERE p.words @> ARRAY[w.word]) / ${whole} AS score
      FROM ${table} p JOIN ${documents} d ON d.collection = p.collection AND d.id = p.document
      WHERE p.collection = $1
        AND p.words && ARRAY(SELECT jsonb_array_elements_text($3::text::jsonb))${toWhere(query.filter, values)}
      ORDER BY score DESC, p.document, p.passage LIMIT $4`;
    return (await db.run(sql, values.all)).map(toHit);
  }

  return {
    isWhole: true,
    async put(collection, { id, attributes, passages }) {
      const length = passages[0]?.vector.length ?? 0;
      await ensureIndex(length);
      return db.begin(async (tx) => {
        await assertLength(tx, table, { collection, id, length });
        await clear(tx, table, { collection, id });
        await tx.run(
          `INSERT INTO ${documents} (collection, id, attributes) VALUES ($1, $2, $3::text::jsonb)`,
          [collection, id, JSON.stringify(attributes)],
        );
        for (const batch of inRequests(passages)) {
          const rows = batch.map(({ number, text, vector }) => ({
            passage: number,
            text: text.replaceAll("\0", ""), // which PostgreSQL cannot hold
            vector: toText(vector),
            words: wordsOf(text, passageWords),
          }));
          await tx.run(
            `INSERT INTO ${table} (collection, document, passage, text, vector, words)
             SELECT $1, $2, r.passage, r.text, r.vector::vector, r.words
             FROM jsonb_to_recordset($3::text::jsonb) AS r(passage int, text text, vector text, words text[])`,
            [collection, id, JSON.stringify(rows)],
          );
        }
        return factsOf(tx, table, collection);
      });
    },
    async setAttributes(collection, document, attributes) {
      await ensure();
      const sql = `UPDATE ${documents} SET attributes = $3::text::jsonb WHERE collection = $1 AND id = $2`;
      await db.run(sql, [collection, document, JSON.stringify(attributes)]);
    },
    async remove(collection, document) {
      await ensure();
      return db.begin((tx) => clear(tx, table, { collection, id: document }));
    },
    async drop(collection) {
      await ensure();
      await db.begin(async (tx) => {
        await tx.run(`DELETE FROM ${table} WHERE collection = $1`, [collection]);
        await tx.run(`DELETE FROM ${documents} WHERE collection = $1`, [collection]);
      });
    },
    async search(collection, query) {
      const [near, words] = await Promise.all([
        nearest(collection, query),
        worded(collection, query),
      ]);
      return blendHits(near, words, query);
    },
    async read(collection, document) {
      await ensure();
      const sql = `SELECT text FROM ${table} WHERE collection = $1 AND document = $2 ORDER BY passage`;
      return (await db.run(sql, [collection, document])).map(({ text }) => String(text));
    },
    close: () => db.close(),
  };
}

/** The tables, whoever comes first makes them. Answers whether pgvector searches iteratively. */
async function createTables(db: Postgres, table: string): Promise<boolean> {
  const documents = `${table}_documents`;
  return db.begin(async (tx) => {
    await lock(tx);
    const version = "SELECT extversion AS v FROM pg_extension WHERE extname = 'vector'";
    let [held] = await tx.run(version);
    if (!held) {
      await tx.run("CREATE EXTENSION vector");
      [held] = await tx.run(version);
    }
    await tx.run(`CREATE TABLE IF NOT EXISTS ${documents} (
      collection text NOT NULL, id text NOT NULL, attributes jsonb NOT NULL,
      PRIMARY KEY (collection, id))`);
    await tx.run(`CREATE TABLE IF NOT EXISTS ${table} (
      collection text NOT NULL, document text NOT NULL, passage int NOT NULL, text text NOT NULL,
      vector vector NOT NULL, words text[] NOT NULL, PRIMARY KEY (collection, document, passage))`);
    await tx.run(`CREATE INDEX IF NOT EXISTS ${bare(table)}_words ON ${table} USING gin (words)`);
    const [major = 0, minor = 0] = String(held?.["v"] ?? "")
      .split(".")
      .map(Number);
    return major > 0 || minor >= 8;
  });
}

/** A length's index is of an expression, as the column holds vectors of every length. */
async function createIndex(db: Postgres, table: string, length: number): Promise<void> {
  const type = typeOf(length);
  const operators = type.startsWith("half") ? "halfvec_cosine_ops" : "vector_cosine_ops";
  await db.begin(async (tx) => {
    await lock(tx);
    await tx.run(`CREATE INDEX IF NOT EXISTS ${bare(table)}_near_${length} ON ${table}
      USING hnsw ((vector::${type}) ${operators}) WHERE vector_dims(vector) = ${length}`);
  });
}

/** Two that create the same at once would fail one another. */
const lock = (tx: SqlRunner) => tx.run("SELECT pg_advisory_xact_lock(5824310267)");

const bare = (table: string) => table.split(".").at(-1) ?? table;

const typeOf = (length: number) =>
  length > indexed.whole && length <= indexed.half ? `halfvec(${length})` : `vector(${length})`;

interface Place {
  readonly collection: string;
  readonly id: string;
}

async function clear(tx: SqlRunner, table: string, { collection, id }: Place): Promise<number> {
  const gone = await tx.run(
    `WITH gone AS (DELETE FROM ${table} WHERE collection = $1 AND document = $2 RETURNING 1)
     SELECT count(*)::int AS n FROM gone`,
    [collection, id],
  );
  await tx.run(`DELETE FROM ${table}_documents WHERE collection = $1 AND id = $2`, [
    collection,
    id,
  ]);
  return Number(gone[0]?.["n"] ?? 0);
}

async function assertLength(
  tx: SqlRunner,
  table: string,
  { collection, id, length }: Place & { readonly length: number },
): Promise<void> {
  const sql = `SELECT vector_dims(vector) AS n FROM ${table} WHERE collection = $1 AND document <> $2 LIMIT 1`;
  const [held] = await tx.run(sql, [collection, id]);
  const other = Number(held?.["n"] ?? length);
  if (other === length) return;
  const message = `Vectors of ${other} and ${length} numbers cannot lie in one store.`;
  throw new GatewayError("invalid_request", message);
}

async function factsOf(tx: SqlRunner, table: string, collection: string) {
  const sql = `SELECT count(*)::int AS passages, count(DISTINCT document)::int AS documents,
    coalesce(sum(octet_length(text) + 4 * vector_dims(vector)), 0)::float8 AS bytes
    FROM ${table} WHERE collection = $1`;
  const [row] = await tx.run(sql, [collection]);
  const of = (name: string) => Number(row?.[name] ?? 0);
  return { passages: of("passages"), documents: of("documents"), bytes: of("bytes") };
}

interface Weighed {
  readonly word: string;
  readonly weight: number;
  readonly isCommon: boolean;
}

/** By rarity, as BM25 weighs them. */
async function weigh(
  db: SqlRunner,
  table: string,
  { collection, words }: { readonly collection: string; readonly words: readonly string[] },
): Promise<readonly Weighed[]> {
  const sql = `SELECT w.word, (SELECT count(*) FROM (SELECT 1 FROM ${table} p
      WHERE p.collection = $1 AND p.words @> ARRAY[w.word] LIMIT ${commonFrom}) c)::int AS n,
      (SELECT count(*) FROM ${table} WHERE collection = $1)::int AS whole
    FROM jsonb_array_elements_text($2::text::jsonb) AS w(word)`;
  const rows = await db.run(sql, [collection, JSON.stringify(words)]);
  return rows.map((row) => {
    const [n, size] = [Number(row["n"]), Number(row["whole"])];
    return {
      word: String(row["word"]),
      weight: Math.log(1 + (size - n + 0.5) / (n + 0.5)),
      isCommon: n >= commonFrom,
    };
  });
}

const toText = (vector: Float32Array) => `[${vector.join(",")}]`;

function toHit(row: SqlRow): VectorHit {
  const { attributes: held } = row;
  const attributes: unknown = typeof held === "string" ? JSON.parse(held) : held;
  return {
    document: String(row["document"]),
    passage: Number(row["passage"]),
    text: String(row["text"]),
    score: Number(row["score"]),
    attributes: isObject(attributes) ? attributes : {},
  };
}

/** The values of a statement, numbered as they are added. */
class Values {
  readonly all: SqlValue[];
  constructor(...first: readonly SqlValue[]) {
    this.all = [...first];
  }
  /** Its placeholder. */
  add(value: SqlValue): string {
    this.all.push(value);
    return `$${this.all.length}`;
  }
}

const toWhere = (filter: VectorFilter | undefined, values: Values) =>
  filter ? ` AND ${toCondition(filter, values)}` : "";

/** As `meets` of vectors.ts, in SQL: what a document lacks meets `ne` and `nin` alone. */
function toCondition(filter: VectorFilter, values: Values): string {
  if (filter.type === "and" || filter.type === "or") {
    const inner = filter.filters.map((each) => toCondition(each, values));
    if (inner.length === 0) return filter.type === "and" ? "true" : "false";
    return `(${inner.join(filter.type === "and" ? " AND " : " OR ")})`;
  }
  const { type, key, value } = filter;
  const held = `(d.attributes -> ${values.add(key)}::text)`;
  const json = (each: Json) => `${values.add(JSON.stringify(each))}::text::jsonb`;
  if (type === "eq") return `coalesce(${held} = ${json(value)}, false)`;
  if (type === "ne") return `${held} IS DISTINCT FROM ${json(value)}`;
  if (type === "in" || type === "nin") {
    const list = `(SELECT jsonb_array_elements(${json(Array.isArray(value) ? value : [])}))`;
    const met = `coalesce(${held} IN ${list}, false)`;
    return type === "in" ? met : `NOT ${met}`;
  }
  const sign = { gt: ">", gte: ">=", lt: "<", lte: "<=" }[type];
  // jsonb's own order is by type first, so both must be of one; its texts are ordered by collation.
  const sameType = `jsonb_typeof(${held}) = jsonb_typeof(${json(value)})`;
  const compared =
    typeof value === "string"
      ? `(${held} #>> '{}') COLLATE "C" ${sign} ${values.add(value)}::text COLLATE "C"`
      : `${held} ${sign} ${json(value)}`;
  return `coalesce(${sameType} AND ${compared}, false)`;
}
