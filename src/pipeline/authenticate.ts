/** Who calls. Where a key may stand is LiteLLM's list, so that every client's own header works. */
import { timingSafeEqual } from "node:crypto";
import type { Caller, RequestHeaders } from "../domain/call.ts";
import { GatewayError } from "../domain/errors.ts";
import type { GatewayKey } from "../domain/grants.ts";
import { sha256 } from "../security/hashing.ts";

export interface Authenticator {
  /** @throws GatewayError missing_api_key, invalid_api_key */
  authenticate(headers: RequestHeaders): Caller;
}

const anonymous: Caller = { id: "anonymous", tenant: "default", admin: true };
const master: Caller = { id: "master", tenant: "default", admin: true };

/** `keys`: those of the configuration, by their names. */
export type ConfiguredKeys = Readonly<Record<string, GatewayKey>>;

/** Of a caller's id: what comes after it is the name of a key of the configuration. */
export const keyIdPrefix = "key:";

/**
 * With a master key, that key and those of the configuration are let in. Without one every caller is
 * admin: `serve` refuses to listen beyond loopback then, and a configuration may have no other keys.
 */
export function createAuthenticator(
  masterKey: string | undefined,
  ownHeader?: string,
  keys: ConfiguredKeys = {},
): Authenticator {
  if (masterKey === undefined) return { authenticate: () => anonymous };
  // Digests have one length, so the comparison takes the same time whatever is sent.
  const expected = sha256(masterKey);
  const others = toCallers(keys);
  return {
    authenticate(headers) {
      const key = readKey(headers, ownHeader);
      if (key === undefined) throw missingKey();
      const digest = sha256(key);
      if (timingSafeEqual(digest, expected)) return master;
      const caller = others.get(textOf(digest));
      if (caller) return caller;
      throw invalidKey(key);
    },
  };
}

/** By digest: what is looked up says nothing of the keys that are close to it. */
function toCallers(keys: ConfiguredKeys): ReadonlyMap<string, Caller> {
  const all = new Map<string, Caller>();
  for (const [name, { apiKey, tenant }] of Object.entries(keys)) {
    const caller = { id: `${keyIdPrefix}${name}`, tenant, admin: false };
    if (apiKey !== "") all.set(textOf(sha256(apiKey)), caller);
  }
  return all;
}

const textOf = (digest: Uint8Array) => Buffer.from(digest).toString("latin1");

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
