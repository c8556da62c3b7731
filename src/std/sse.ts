/**
 * Server-sent events by the WHATWG rules, whatever the chunk borders.
 * Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
 */
export interface SseFrame {
  /** The `event` field; empty where absent (which means "message"). */
  readonly event: string;
  /** The `data` lines, joined by "\n"; empty for a frame of comments alone. */
  readonly data: string;
  /** The bytes of the frame as they came, its blank line included. */
  readonly raw: Uint8Array;
}
