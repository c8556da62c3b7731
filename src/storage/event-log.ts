/** The event log: one row per call, written off the request path, read by training and by `why`. */
import type { Feedback, Receipt } from "../domain/decision.ts";
import type { CallEvent } from "../domain/event.ts";

export interface EventLog {
  /**
   * Queues a row and returns at once. The queue is bounded: past its limit rows are dropped,
   * counted in `dropped()` and reported, never silently. A `kill -9` can lose at most the batch
   * that was not yet committed (≤ 250 ms or 512 rows).
   */
  append(event: CallEvent): void;
  /** Joins feedback to a call; false where no such call is known. */
  addFeedback(feedback: Feedback): Promise<boolean>;
  findReceipt(callId: string): Promise<Receipt | undefined>;
  /** Resolves when everything appended before is committed. */
  flush(): Promise<void>;
  dropped(): number;
  /** How it rests: "sqlite", or "memory" with the reason why (degraded). */
  status(): { readonly backend: "sqlite" | "memory"; readonly error?: string };
  close(): Promise<void>;
}
