/** One request in flight, in no dialect: who calls, what for, until when. */
import type { Dial } from "./decision.ts";
import type { Operation } from "./model.ts";

export interface Caller {
  /** "master", "anonymous" (no master key, on loopback), or a key's id. */
  readonly id: string;
  readonly tenant: string;
  readonly admin: boolean;
}

export interface Call {
  /** Ours, a UUIDv7; the receipt's key. */
  readonly id: string;
  /** The caller's `x-request-id` where valid, else `id`. */
  readonly requestId: string;
  readonly operation: Operation;
  readonly requestedModel: string;
  readonly stream: boolean;
  /** The body's bytes as they came, and once parsed. */
  readonly bytes: Uint8Array;
  readonly body: Readonly<Record<string, unknown>>;
  readonly headers: Headers;
  /** Aborts when the caller hangs up. */
  readonly signal: AbortSignal;
  readonly startedAtMs: number;
  readonly startedUs: number;
  /** Milliseconds since the epoch, from a deadline header. */
  readonly deadlineMs?: number;
  readonly dial?: Partial<Dial>;
  readonly sessionId?: string;
  readonly traceparent?: string;
}
