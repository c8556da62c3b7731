/** The event database's tables, and how an older file is brought up to date. */
import type { Database } from "bun:sqlite";

/** "RIQe": marks the file as ours, so that no other program's database is written to. */
export const applicationId = 0x52495165;

/**
 * `events`: a row per call, `seq` in the order of writing, the event as the JSON it came in, so that
 * writing parses nothing (35 columns cost 20 µs more a row). Arrays are little endian: embedding and
 * shape f32, lexical_buckets u16, lexical_counts u8.
 * `calls` is the same by columns, for whoever asks in SQL: times in ms, money in micro-USD.
 * `feedback` joins by call_id.
 */
const first = `
CREATE TABLE events (
  seq INTEGER PRIMARY KEY,
  call_id TEXT NOT NULL UNIQUE,
  event TEXT NOT NULL,
  embedding BLOB,
  lexical_buckets BLOB,
  lexical_counts BLOB,
  shape BLOB
);
CREATE VIEW calls AS SELECT
  seq,
  call_id,
  event ->> '$.receipt.requestId' AS request_id,
  event ->> '$.receipt.atMs' AS at_ms,
  event ->> '$.receipt.caller' AS caller,
  event ->> '$.tenant' AS tenant,
  event ->> '$.receipt.operation' AS operation,
  event ->> '$.receipt.requestedModel' AS requested_model,
  event ->> '$.receipt.stream' AS stream,
  event ->> '$.queryHash' AS query_hash,
  event ->> '$.queryLength' AS query_length,
  event ->> '$.sessionHash' AS session_hash,
  event ->> '$.userHash' AS user_hash,
  event ->> '$.embedderId' AS embedder_id,
  embedding,
  lexical_buckets,
  lexical_counts,
  shape,
  event ->> '$.receipt.decision.strategy' AS strategy,
  event ->> '$.receipt.decision.artifact' AS artifact,
  event ->> '$.receipt.decision.reason' AS reason,
  event -> '$.receipt.decision.candidates' AS candidates,
  event ->> '$.receipt.decision.chosen' AS chosen,
  event ->> '$.receipt.decision.novelty' AS novelty,
  event ->> '$.receipt.deployment' AS deployment,
  event -> '$.receipt.attempts' AS attempts,
  event ->> '$.receipt.outcome' AS outcome,
  event ->> '$.receipt.error' AS error,
  event ->> '$.receipt.finishReason' AS finish_reason,
  event ->> '$.inputTokens' AS counted_input_tokens,
  event ->> '$.receipt.usage.inputTokens' AS input_tokens,
  event ->> '$.receipt.usage.outputTokens' AS output_tokens,
  event ->> '$.receipt.costMicroUsd' AS cost_micro_usd,
  event ->> '$.receipt.timings.decisionUs' AS decision_us,
  event ->> '$.receipt.timings.overheadUs' AS overhead_us,
  event ->> '$.receipt.timings.firstTokenMs' AS first_token_ms,
  event ->> '$.receipt.timings.totalMs' AS latency_ms,
  event ->> '$.trace.traceId' AS trace_id,
  event ->> '$.prompt' AS prompt
FROM events;
CREATE TABLE feedback (
  id INTEGER PRIMARY KEY,
  call_id TEXT NOT NULL,
  score REAL NOT NULL,
  source TEXT NOT NULL,
  comment TEXT,
  at_ms REAL NOT NULL
);
CREATE INDEX feedback_by_call ON feedback (call_id);
`;

/** Step n brings a file from version n to n + 1. Steps are only ever added. */
const migrations: readonly string[] = [first];

export const schemaVersion = migrations.length;

/** Whose file it is: decided before anything is written. */
export type Ownership = "ours" | "empty" | "newer" | "foreign";

export function ownershipOf(db: Database): Ownership {
  const id = pragma(db, "application_id");
  const version = pragma(db, "user_version");
  if (id === applicationId) return version > schemaVersion ? "newer" : "ours";
  const { tables } = db.query("SELECT count(*) AS tables FROM sqlite_schema").get() as {
    tables: number;
  };
  return id === 0 && version === 0 && tables === 0 ? "empty" : "foreign";
}

/** Brings the file to `schemaVersion`, each step whole or not at all. */
export function migrate(db: Database): void {
  const step = db.transaction((version: number, sql: string) => {
    db.run(sql);
    db.run(`PRAGMA application_id = ${applicationId}`);
    db.run(`PRAGMA user_version = ${version}`);
  });
  // Read again inside the lock: another process may have migrated meanwhile.
  const all = db.transaction(() => {
    for (let version = pragma(db, "user_version"); version < schemaVersion; version++) {
      step(version + 1, migrations[version] as string);
    }
  });
  all.immediate();
}

export function pragma(db: Database, name: string): number {
  const row = db.query(`PRAGMA ${name}`).get() as Record<string, number> | null;
  return row ? Number(Object.values(row)[0]) : 0;
}
