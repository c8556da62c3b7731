/**
 * Replies kept by the caller's idempotency key, so that a request that is sent again is answered
 * again and not run again. Source: draft-ietf-httpapi-idempotency-key-header.
 */

/** A reply as it was sent. */
export interface KeptReply {
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array;
}

export type Claim =
  /** The key is the caller's to run; `keep` or `release` ends that. */
  | { readonly kind: "claimed" }
  /** A request with this key runs, here or in another process. */
  | { readonly kind: "running"; readonly fingerprint: string }
  | { readonly kind: "kept"; readonly fingerprint: string; readonly reply: KeptReply }
  /** No room: the request runs as if it had no key. */
  | { readonly kind: "full" };

export interface IdempotencyStore {
  /** Takes a key, or tells who has it. Atomic: of two who ask at once, one is let run. */
  claim(key: string, fingerprint: string): Promise<Claim>;
  /** Keeps the reply of a claimed key, where it fits; else lets the key go. */
  keep(key: string, reply: KeptReply): Promise<void>;
  /** Lets a claimed key go: its request failed, and may be run again. */
  release(key: string): Promise<void>;
}

export interface IdempotencyLimits {
  /** How long a reply is kept. */
  readonly keepMs: number;
  /** Keys, running and kept. */
  readonly maxEntries: number;
  /** Bytes of all replies together. */
  readonly maxBytes: number;
}
