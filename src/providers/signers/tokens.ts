/**
 * Short-lived tokens: got once, kept until shortly before they end, renewed while they still serve.
 * Calls that come meanwhile wait for the one request that is under way.
 */
import type { TokenGrant } from "../../domain/model.ts";
import { sha256Hex } from "../../security/hashing.ts";
import { type AwsSigner, createAwsSigner } from "./aws.ts";
import { fetchEntraToken } from "./entra.ts";
import { fetchGoogleToken } from "./google.ts";
import { type TokenSourceOptions, tokenLimitMs, unless } from "./token-request.ts";

export interface TokenSource {
  /** @throws GatewayError upstream_auth where it is refused; the signal's reason when it aborts. */
  get(grant: TokenGrant, signal: AbortSignal): Promise<string>;
  /** The service refused it: the next call gets another. */
  forget(grant: TokenGrant): void;
  /** For services that take a signature instead. */
  readonly aws: AwsSigner;
}

interface Held {
  readonly token: string;
  readonly renewAtMs: number;
  readonly endsAtMs: number;
}

interface Entry {
  held?: Held;
  pending?: Promise<Held>;
}

/** A token is renewed so long before its end, and not used in its last seconds. */
const renewBeforeMs = 300_000;
const spareMs = 30_000;

export function createTokenSource(options: TokenSourceOptions): TokenSource {
  const { clock } = options;
  const entries = new Map<string, Entry>();

  async function renew(grant: TokenGrant, entry: Entry): Promise<Held> {
    const signal = AbortSignal.timeout(tokenLimitMs);
    const fresh =
      grant.kind === "google"
        ? await fetchGoogleToken(grant, options, signal)
        : await fetchEntraToken(grant as TokenGrant & { kind: "entra" }, options, signal);
    const now = clock.now();
    const lifeMs = fresh.lifeS * 1000;
    const held = {
      token: fresh.token,
      renewAtMs: now + Math.max(lifeMs / 2, lifeMs - renewBeforeMs),
      endsAtMs: now + lifeMs - spareMs,
    };
    entry.held = held;
    return held;
  }

  function renewOnce(grant: TokenGrant, entry: Entry): Promise<Held> {
    entry.pending ??= renew(grant, entry).finally(() => {
      delete entry.pending;
    });
    return entry.pending;
  }

  return {
    aws: createAwsSigner(options),
    async get(grant, signal) {
      if (grant.kind === "fixed") return grant.token;
      const entry = entries.getOrInsertComputed(keyOf(grant), () => ({}));
      const now = clock.now();
      if (entry.held && now < entry.held.endsAtMs) {
        // The old one serves meanwhile; a failure is the next call's, once the old one has ended.
        if (now >= entry.held.renewAtMs) renewOnce(grant, entry).catch(() => undefined);
        return entry.held.token;
      }
      return (await unless(signal, renewOnce(grant, entry))).token;
    },
    forget(grant) {
      if (grant.kind !== "fixed") entries.delete(keyOf(grant));
    },
  };
}

/** One entry per identity: as many as the configuration names. */
function keyOf(grant: TokenGrant): string {
  return sha256Hex(JSON.stringify(grant));
}
