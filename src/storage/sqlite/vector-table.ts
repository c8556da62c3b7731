/**
 * Passages on SQLite: their texts in a full-text index, their vectors quantized in rows, both of one
 * transaction. A collection's vectors are read into memory when it is first searched.
 */
import type { Database, SQLQueryBindings } from "bun:sqlite";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { RpcError } from "../../std/rpc.ts";
import {
  type CollectionFacts,
  meets,
  type VectorDocument,
  type VectorFilter,
  type VectorHit,
  type VectorQuery,
  vectorFileName,
  vectorLimits,
} from "../vectors.ts";
import { type DatabaseKind, type OpenOptions, openDatabase } from "./open-database.ts";
import { type Scored, VectorMatrix } from "./vector-matrix.ts";
import { createWordCounts, searchWords } from "./vector-words.ts";

export interface VectorTable {
  put(collection: string, document: VectorDocument): CollectionFacts;
  setAttributes(collection: string, document: string, attributes: JsonObject): void;
  remove(collection: string, document: string): number;
  drop(collection: string): void;
  search(collection: string, query: VectorQuery): readonly VectorHit[];
  read(collection: string, document: string): readonly string[];
  close(): void;
}

const kind: DatabaseKind = {
  fileName: vectorFileName,
  what: "of vectors",
  applicationId: 0x72697176, // "riqv"
  schemaVersion: 1,
  schema: `
CREATE TABLE documents (
  number INTEGER PRIMARY KEY,
  collection TEXT NOT NULL,
  id TEXT NOT NULL,
  dimensions INTEGER NOT NULL,
  attributes TEXT NOT NULL,
  UNIQUE (collection, id)
);
CREATE TABLE passages (
  id INTEGER PRIMARY KEY,
  collection TEXT NOT NULL,
  document INTEGER NOT NULL,
  number INTEGER NOT NULL,
  text TEXT NOT NULL,
  row BLOB NOT NULL,
  scale REAL NOT NULL
);
CREATE INDEX passages_by_document ON passages (document, number);
CREATE INDEX passages_by_collection ON passages (collection);
CREATE VIRTUAL TABLE words USING fts5 (
  text, content = 'passages', content_rowid = 'id', detail = 'none',
  tokenize = 'unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE word_counts USING fts5vocab (words, row);
CREATE TRIGGER passages_added AFTER INSERT ON passages BEGIN
  INSERT INTO words (rowid, text) VALUES (new.id, new.text);
END;
CREATE TRIGGER passages_removed AFTER DELETE ON passages BEGIN
  INSERT INTO words (words, rowid, text) VALUES ('delete', old.id, old.text);
END;
`,
};

interface FoundPassage {
  readonly document: string;
  readonly passage: number;
  readonly text: string;
  readonly attributes: string;
}

interface DocumentRow {
  readonly number: number;
  readonly attributes: string;
}

/** How many of each kind are looked at for one result of both. */
const widening = 8;
const leastCandidates = 64;
const defaultWeights = { vector: 0.7, words: 0.3 } as const;

/** @throws SQLiteError; Error where the file is another program's */
export function openVectorTable(options: OpenOptions): VectorTable {
  const db = openDatabase(kind, options);
  const matrices = new MatrixCache(db);
  const counts = createWordCounts(db);
  const insertDocument = db.query(
    "INSERT INTO documents (collection, id, dimensions, attributes) VALUES (?, ?, ?, ?)",
  );
  const insertPassage = db.query(
    "INSERT INTO passages (collection, document, number, text, row, scale) VALUES (?, ?, ?, ?, ?, ?)",
  );
  const numberOf = db.query<{ number: number }, SQLQueryBindings[]>(
    "SELECT number FROM documents WHERE collection = ? AND id = ?",
  );
  const idsOf = db.query<{ id: number }, SQLQueryBindings[]>(
    "SELECT id FROM passages WHERE document = ?",
  );

  const clear = (collection: string, document: string): readonly number[] => {
    const held = numberOf.get(collection, document);
    if (!held) return [];
    const ids = idsOf.all(held.number).map(({ id }) => id);
    db.run("DELETE FROM passages WHERE document = ?", [held.number]);
    db.run("DELETE FROM documents WHERE number = ?", [held.number]);
    return ids;
  };

  const write = db.transaction((collection: string, document: VectorDocument) => {
    const gone = clear(collection, document.id);
    const dimensions = document.passages[0]?.vector.length ?? 0;
    const matrix = matrices.quantizer(dimensions);
    const attributes = JSON.stringify(document.attributes);
    const inserted = insertDocument.run(collection, document.id, dimensions, attributes);
    const number = Number(inserted.lastInsertRowid);
    const added = document.passages.map(({ text, vector }, i) => {
      const { row, scale } = matrix.quantize(vector);
      const { lastInsertRowid } = insertPassage.run(collection, number, i, text, row, scale);
      return { id: Number(lastInsertRowid), row, scale };
    });
    return { gone, added, number };
  });

  function assertFits(collection: string, { passages }: VectorDocument): void {
    const lengths = new Set(passages.map(({ vector }) => vector.length));
    const held = db
      .query<{ dimensions: number }, SQLQueryBindings[]>(
        "SELECT dimensions FROM documents WHERE collection = ? AND dimensions > 0 LIMIT 1",
      )
      .get(collection);
    if (held) lengths.add(held.dimensions);
    if (lengths.size > 1) {
      const all = [...lengths].join(" and ");
      throw new RpcError("invalid_request", `Vectors of ${all} numbers cannot lie in one store.`);
    }
  }

  function facts(collection: string): CollectionFacts {
    const sql =
      "SELECT count(*) AS passages, count(DISTINCT document) AS documents, coalesce(sum(length(text) + length(row)), 0) AS bytes FROM passages WHERE collection = ?";
    const row = db.query<CollectionFacts, SQLQueryBindings[]>(sql).get(collection);
    return row ?? { documents: 0, passages: 0, bytes: 0 };
  }

  return {
    put(collection, document) {
      assertFits(collection, document);
      const { gone, added, number } = write.immediate(collection, document);
      counts.changed();
      const matrix = matrices.peek(collection);
      for (const id of gone) matrix?.remove(id);
      for (const { id, row, scale } of added) matrix?.add(id, number, row, scale);
      return facts(collection);
    },
    setAttributes(collection, document, attributes) {
      db.run("UPDATE documents SET attributes = ? WHERE collection = ? AND id = ?", [
        JSON.stringify(attributes),
        collection,
        document,
      ]);
    },
    remove(collection, document) {
      const ids = db.transaction(() => clear(collection, document)).immediate();
      const matrix = matrices.peek(collection);
      for (const id of ids) matrix?.remove(id);
      return ids.length;
    },
    drop(collection) {
      const all = db.transaction(() => {
        db.run("DELETE FROM passages WHERE collection = ?", [collection]);
        db.run("DELETE FROM documents WHERE collection = ?", [collection]);
      });
      all.immediate();
      matrices.forget(collection);
      db.run("PRAGMA incremental_vacuum(10000)");
    },
    search(collection, query) {
      const { vector, words: text, filter, limit } = query;
      const most = Math.max(leastCandidates, limit * widening);
      const matrix = matrices.get(collection);
      const allowed = filter && documentsMeeting(db, collection, filter);
      if (!matrix || allowed?.size === 0) return [];
      const isAllowed = (passage: number) => {
        const of = matrix.documentOf(passage);
        return of !== undefined && (allowed?.has(of) ?? true);
      };
      const near = vector ? matrix.search(vector, most, allowed) : [];
      const { size } = matrix;
      const worded =
        text === undefined ? [] : searchWords(db, { text, most, size, isAllowed, counts });
      const ranked = blend(near, worded, query).slice(0, Math.min(limit, vectorLimits.results));
      return ranked.flatMap(({ passage, score }) => {
        const found = findPassage(db, passage);
        return found ? [{ ...found, score, attributes: parseAttributes(found.attributes) }] : [];
      });
    },
    read(collection, document) {
      const held = numberOf.get(collection, document);
      if (!held) return [];
      const sql = "SELECT text FROM passages WHERE document = ? ORDER BY number";
      const rows = db.query<{ text: string }, SQLQueryBindings[]>(sql).all(held.number);
      return rows.map(({ text }) => text);
    },
    close: () => db.close(),
  };
}

function findPassage(db: Database, id: number): FoundPassage | undefined {
  const sql =
    "SELECT d.id AS document, p.number AS passage, p.text, d.attributes FROM passages p JOIN documents d ON d.number = p.document WHERE p.id = ?";
  return db.query<FoundPassage, SQLQueryBindings[]>(sql).get(id) ?? undefined;
}

/** Attributes belong to documents, of which there are few beside their passages. */
function documentsMeeting(
  db: Database,
  collection: string,
  filter: VectorFilter,
): ReadonlySet<number> {
  const sql = "SELECT number, attributes FROM documents WHERE collection = ?";
  const documents = db.query<DocumentRow, SQLQueryBindings[]>(sql).all(collection);
  const met = documents.filter((each) => meets(parseAttributes(each.attributes), filter));
  return new Set(met.map(({ number }) => number));
}

function parseAttributes(text: string | undefined): JsonObject {
  const attributes: unknown = JSON.parse(text ?? "{}"); // written by us
  return isObject(attributes) ? attributes : {};
}

/** Both are from 0 to 1: the cosine, and the share of the question's words; what one missed has 0 there. */
function blend(
  near: readonly Scored[],
  worded: readonly Scored[],
  { vector, words, weights = defaultWeights }: VectorQuery,
): readonly Scored[] {
  const share = {
    vector: vector ? weights.vector : 0,
    words: words === undefined ? 0 : weights.words,
  };
  const whole = share.vector + share.words || 1;
  const scores = new Map<number, number>();
  for (const { passage, score } of near) {
    scores.set(passage, (share.vector * Math.max(0, Math.min(1, score))) / whole);
  }
  for (const { passage, score } of worded) {
    const more = (share.words * Math.min(1, score)) / whole;
    scores.set(passage, (scores.get(passage) ?? 0) + more);
  }
  return [...scores]
    .map(([passage, score]) => ({ passage, score }))
    .sort((a, b) => b.score - a.score || a.passage - b.passage);
}

interface StoredRow {
  readonly id: number;
  readonly document: number;
  readonly row: Uint8Array;
  readonly scale: number;
}

/** Collections in memory, within their limit; what is dropped is read again when it is asked for. */
class MatrixCache {
  readonly #db: Database;
  readonly #held = new Map<string, VectorMatrix>();
  readonly #quantizers = new Map<number, VectorMatrix>();

  constructor(db: Database) {
    this.#db = db;
  }

  /** One that only quantizes: the rows of a collection that nobody searches stay on disk. */
  quantizer(dimensions: number): VectorMatrix {
    return this.#quantizers.getOrInsertComputed(dimensions, () => new VectorMatrix(dimensions, 16));
  }

  peek(collection: string): VectorMatrix | undefined {
    return this.#held.get(collection);
  }

  forget(collection: string): void {
    this.#held.delete(collection);
  }

  get(collection: string): VectorMatrix | undefined {
    const held = this.#held.get(collection) ?? this.#load(collection);
    if (!held) return undefined;
    // The latest is last.
    this.#held.delete(collection);
    this.#held.set(collection, held);
    let bytes = [...this.#held.values()].reduce((sum, each) => sum + each.bytes, 0);
    for (const [name, matrix] of this.#held) {
      if (bytes <= vectorLimits.memoryBytes || name === collection) break;
      this.#held.delete(name);
      bytes -= matrix.bytes;
    }
    return held;
  }

  #load(collection: string): VectorMatrix | undefined {
    const first = this.#db
      .query<{ dimensions: number; n: number }, SQLQueryBindings[]>(
        "SELECT max(dimensions) AS dimensions, (SELECT count(*) FROM passages WHERE collection = ?1) AS n FROM documents WHERE collection = ?1",
      )
      .get(collection);
    if (!first?.dimensions || first.n === 0) return undefined;
    const matrix = new VectorMatrix(first.dimensions, Math.max(16, Math.ceil(first.n * 1.25)));
    const rows = this.#db.query<StoredRow, SQLQueryBindings[]>(
      "SELECT id, document, row, scale FROM passages WHERE collection = ?",
    );
    for (const { id, document, row, scale } of rows.iterate(collection)) {
      matrix.add(id, document, new Int8Array(row.buffer, row.byteOffset, row.byteLength), scale);
    }
    return matrix;
  }
}
