/** Who calls. Where a key may stand is LiteLLM's list, so that every client's own header works. */
import { timingSafeEqual } from "node:crypto";
import type { Caller, RequestHeaders } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import { sha256 } from "../security/hashing.ts";

export interface Authenticator {
  /** @throws GatewayError missing_api_key, invalid_api_key */
  authenticate(headers: RequestHeaders): Caller;
}

const anonymous: Caller = { id: "anonymous", tenant: "default", admin: true };
const master: Caller = { id: "master", tenant: "default", admin: true };

/**
 * With a master key, that key alone is let in. Without one every caller is admin: `serve` refuses
 * to listen beyond loopback then.
 */
export function createAuthenticator(
  masterKey: string | undefined,
  ownHeader?: string,
): Authenticator {
  if (masterKey === undefined) return { authenticate: () => anonymous };
  // Digests have one length, so the comparison takes the same time whatever is sent.
  const expected = sha256(masterKey);
  return {
    authenticate(headers) {
      const key = readKey(headers, ownHeader);
      if (key === undefined) throw missingKey();
      if (timingSafeEqual(sha256(key), expected)) return master;
      throw invalidKey(key);
    },
  };
}

const keyHeaders = [
  "x-litellm-api-key",
  "authorization",
  "api-key",
  "x-api-key",
  "x-goog-api-key",
  "ocp-apim-subscription-key",
] as const;

/** The key that a request carries, "Bearer" taken off. `ownHeader`: the operator's, looked at first. */
export function readKey(headers: RequestHeaders, ownHeader?: string): string | undefined {
  const own = ownHeader === undefined ? undefined : keyIn(headers.get(ownHeader));
  if (own !== undefined) return own;
  for (const name of keyHeaders) {
    const key = keyIn(headers.get(name));
    if (key !== undefined) return key;
  }
  return undefined;
}

function keyIn(value: string | null): string | undefined {
  if (value === null) return undefined;
  const key = /^bearer\s/i.test(value) ? value.slice(7).trim() : value.trim();
  return key === "" ? undefined : key;
}

function missingKey(): GatewayError {
  return new GatewayError(
    "missing_api_key",
    "Authentication Error, No api key passed in. Send it as `Authorization: Bearer <key>` or `x-api-key: <key>`.",
  );
}

/** The key is named by its last four characters alone. */
function invalidKey(key: string): GatewayError {
  const shown = key.length >= 12 ? `sk-...${key.slice(-4)}` : "a short one";
  return new GatewayError(
    "invalid_api_key",
    `Authentication Error, Invalid proxy server token passed. Received API Key = ${shown}. Check the key, or ask the operator for one.`,
  );
}
