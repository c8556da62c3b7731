/** A row of the event log: all that learning needs to know of one call. */
import type { Receipt } from "./decision.ts";
import type { RawFeatures } from "./features.ts";

export interface CallEvent {
  readonly receipt: Receipt;
  readonly tenant: string;
  /** sha256 of the query text, hex. */
  readonly queryHash?: string;
  readonly queryLength?: number;
  /** A conversation's id, hashed. */
  readonly sessionHash?: string;
  readonly features?: RawFeatures;
  readonly inputTokens?: number;
  /** Present only when `routeiq_settings.telemetry.store_prompts` is on. */
  readonly prompt?: string;
}
