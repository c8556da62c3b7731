/** The event log: one row per call, written off the request path, read by training and by `why`. */
import type { Feedback, Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";

export interface EventLog {
  /**
   * Queues a row and returns at once. The queue is bounded: past its limit rows are dropped,
   * counted in `dropped()` and reported, never silently. A `kill -9` can lose at most the batch
   * that was not yet committed (≤ 250 ms or 512 rows). Cost: a few µs, measured in
   * test/bench/observation.bench.ts.
   */
  append(event: CallEvent): void;
  /**
   * Joins feedback to a call; false where no such call is known. It is committed (or, where
   * storage fails, queued in memory) when the promise resolves.
   * @throws GatewayError storage_failed where the call cannot be looked up
   */
  addFeedback(feedback: Feedback): Promise<boolean>;
  /**
   * A call's receipt with its feedback, from the moment `append` returned.
   * @throws GatewayError storage_failed where the log cannot be read
   */
  findReceipt(callId: string): Promise<Receipt | undefined>;
  /** Resolves when everything appended before is committed. @throws GatewayError storage_failed */
  flush(): Promise<void>;
  dropped(): number;
  /** How it rests: "sqlite", or "memory" with the reason why (degraded). */
  status(): EventLogStatus;
  /** Commits what is queued and closes. What cannot be committed is counted as dropped. */
  close(): Promise<void>;
}

export interface EventLogStatus {
  readonly backend: "sqlite" | "memory";
  /** What is wrong, and what the operator should do. Missing: all is well. */
  readonly error?: string;
}

/** How long rows are kept: whichever limit is met first. The oldest go first. */
export interface EventRetention {
  readonly maxRows: number;
  readonly maxAgeDays: number;
  readonly maxBytes: number;
}

export const defaultRetention: EventRetention = {
  maxRows: 1_000_000,
  maxAgeDays: 90,
  maxBytes: 2 * 1024 ** 3,
};

/** Name of the database file inside a data folder. */
export const eventFileName = "events.db";

/** Where batches of events go. Slow, so it usually sits behind a thread border. */
export interface EventSink {
  /** False: what is written is gone, and the log keeps its last rows itself. */
  readonly persistent: boolean;
  /** Whether it could be written to now: asked at the start and while it fails. */
  probe(): Promise<WriteResult>;
  /** Commits a batch (event-batch.ts). Writing one again changes nothing. */
  write(bytes: Uint8Array): Promise<WriteResult>;
  addFeedback(feedback: Feedback): Promise<FeedbackResult>;
  /** @throws GatewayError storage_failed */
  find(callId: string): Promise<Receipt | undefined>;
  close(): Promise<void>;
}

export type WriteResult = { readonly stored: true } | { readonly stored: false; error: string };
export type FeedbackResult = "recorded" | "unknown" | { readonly error: string };
