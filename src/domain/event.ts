/** A row of the event log: all that learning needs to know of one call. */
import type { Receipt } from "./decision.ts";
import type { RawFeatures } from "./features.ts";

/** A call's place in a distributed trace (W3C trace context). */
export interface CallTrace {
  /** 32 and 16 hex digits, lower case, not all zero. */
  readonly traceId: string;
  /** The gateway's own span of this call. */
  readonly spanId: string;
  /** The caller's span, where a valid `traceparent` came. */
  readonly parentSpanId?: string;
  /** Whether the span is exported: the caller's word where it gave one, else drawn by ratio. */
  readonly sampled: boolean;
}

export interface CallEvent {
  readonly receipt: Receipt;
  readonly tenant: string;
  /** sha256 of the query text, hex. */
  readonly queryHash?: string;
  readonly queryLength?: number;
  /** A conversation's id, hashed. */
  readonly sessionHash?: string;
  /** The end user whom the call named, hashed with the tenant (`hashUser`). */
  readonly userHash?: string;
  readonly features?: RawFeatures;
  readonly inputTokens?: number;
  /** Present only when `routeiq_settings.telemetry.store_prompts` is on. */
  readonly prompt?: string;
  /** Where spans are on. */
  readonly trace?: CallTrace;
  /** What the rest of the row is made of, off the serving thread; never stored. */
  readonly unread?: UnreadQuery;
}

/** A query on its way to the background thread, which makes hashes and features of it. */
export interface UnreadQuery {
  readonly text: string;
  readonly toolCount: number;
  /** The tools' words, as the features take them (`toToolText`). */
  readonly toolText: string;
  /** The conversation's id, in clear. */
  readonly session?: string;
  /** The end user whom the call named, in clear. */
  readonly user?: string;
  /** The row has no features yet, and should have some. */
  readonly extract: boolean;
  /** The text itself is stored: `routeiq_settings.telemetry.store_prompts`. */
  readonly keep: boolean;
}
