/**
 * Signed tokens (RFC 7519, RFC 7515), verified with keys that their issuer publishes (RFC 7517). Only
 * signatures by a public key count: what a secret signs, or nothing, is refused whatever it says.
 */
import { isObject, type JsonObject } from "../domain/json.ts";

export const jwtLimits = { chars: 16_384, leewayS: 60, rsaBits: 2_048 } as const;

export interface Jwt {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly claims: JsonObject;
  readonly signed: Uint8Array<ArrayBuffer>;
  readonly signature: Uint8Array<ArrayBuffer>;
}

/** Why a token is not accepted; fit to be told. */
export class TokenRefused extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TokenRefused";
  }
}

interface Algorithm {
  readonly kty: string;
  readonly curve?: string;
  readonly import: RsaHashedImportParams | EcKeyImportParams | Algorithm0;
  readonly verify: AlgorithmIdentifier | RsaPssParams | EcdsaParams;
}
interface Algorithm0 {
  readonly name: string;
}

const rsa = (bits: number): Algorithm => ({
  kty: "RSA",
  import: { name: "RSASSA-PKCS1-v1_5", hash: `SHA-${bits}` },
  verify: { name: "RSASSA-PKCS1-v1_5" },
});
const pss = (bits: number): Algorithm => ({
  kty: "RSA",
  import: { name: "RSA-PSS", hash: `SHA-${bits}` },
  verify: { name: "RSA-PSS", saltLength: bits / 8 },
});
const ecdsa = (curve: string, bits: number): Algorithm => ({
  kty: "EC",
  curve,
  import: { name: "ECDSA", namedCurve: curve },
  verify: { name: "ECDSA", hash: `SHA-${bits}` },
});
const ed25519: Algorithm = {
  kty: "OKP",
  curve: "Ed25519",
  import: { name: "Ed25519" },
  verify: { name: "Ed25519" },
};

/** RFC 7518 §3.1, RFC 8037, RFC 9864: those with a public key. */
const algorithms: Readonly<Record<string, Algorithm>> = {
  RS256: rsa(256),
  RS384: rsa(384),
  RS512: rsa(512),
  PS256: pss(256),
  PS384: pss(384),
  PS512: pss(512),
  ES256: ecdsa("P-256", 256),
  ES384: ecdsa("P-384", 384),
  ES512: ecdsa("P-521", 512),
  EdDSA: ed25519,
  Ed25519: ed25519,
};

export const jwtAlgorithms = Object.keys(algorithms);

/** RFC 9068's and the plain one. An identity token's, or a proof's, is no access token's. */
const types: ReadonlySet<string> = new Set(["jwt", "at+jwt"]);

/** Three parts with dots between them: whether it is worth reading as a token of this kind. */
export const looksLikeJwt = (token: string): boolean =>
  /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/.test(token);

/** Read, and not yet believed. @throws TokenRefused */
export function readJwt(token: string): Jwt {
  if (token.length > jwtLimits.chars) throw new TokenRefused("the token is too long");
  if (!looksLikeJwt(token)) throw new TokenRefused("the token is no JWT");
  const [head = "", body = "", tail = ""] = token.split(".");
  const header = readPart(head);
  const { alg, kid, typ, crit } = header;
  if (crit !== undefined) throw new TokenRefused("the token has critical extensions");
  if (
    typ !== undefined &&
    !types.has(
      String(typ)
        .toLowerCase()
        .replace(/^application\//, ""),
    )
  ) {
    throw new TokenRefused("the token is of another kind than an access token");
  }
  return {
    algorithm: String(alg),
    keyId: typeof kid === "string" ? kid : undefined,
    claims: readPart(body),
    signed: bytesOf(`${head}.${body}`),
    signature: new Uint8Array(Buffer.from(tail, "base64url")),
  };
}

function readPart(part: string): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, "base64url").toString("utf8"));
    if (isObject(value)) return value;
  } catch {
    // Told below: a part that is no JSON is no token's.
  }
  throw new TokenRefused("the token is no JWT");
}

/** Those of a key set that a token may have been signed with. */
export function findKeys(keys: readonly unknown[], { algorithm, keyId }: Jwt): JsonObject[] {
  const wanted = Object.hasOwn(algorithms, algorithm) ? algorithms[algorithm] : undefined;
  if (!wanted) throw new TokenRefused(`the token's signature is by ${algorithm.slice(0, 20)}`);
  return keys.filter((key): key is JsonObject => {
    if (!isObject(key) || key["kty"] !== wanted.kty) return false;
    if (wanted.curve !== undefined && key["crv"] !== wanted.curve) return false;
    if (key["use"] !== undefined && key["use"] !== "sig") return false;
    if (key["alg"] !== undefined && key["alg"] !== algorithm) return false;
    return keyId === undefined || key["kid"] === undefined || key["kid"] === keyId;
  });
}

/** Whether this key made the signature. A key that is none, or a short one, made nothing. */
export async function isSignedBy(jwt: Jwt, key: JsonObject): Promise<boolean> {
  const { import: params, verify } = algorithms[jwt.algorithm] ?? ed25519;
  try {
    // Only what is public of it, whatever was published.
    const { kty, n, e, crv, x, y } = key;
    const jwk = { kty, n, e, crv, x, y } as JsonWebKey;
    const made = await crypto.subtle.importKey("jwk", jwk, params, false, ["verify"]);
    const bits = (made.algorithm as Partial<RsaKeyAlgorithm>).modulusLength;
    if (bits !== undefined && bits < jwtLimits.rsaBits) return false;
    return await crypto.subtle.verify(verify, made, jwt.signature, jwt.signed);
  } catch {
    return false;
  }
}

/** @throws TokenRefused, where it is not valid at this time */
export function assertTimes({ exp, nbf, iat }: JsonObject, nowMs: number): void {
  const nowS = nowMs / 1000;
  if (typeof exp !== "number") throw new TokenRefused("the token does not say when it ends");
  if (exp + jwtLimits.leewayS <= nowS) throw new TokenRefused("the token has expired");
  const isEarly = [nbf, iat].some(
    (from) => typeof from === "number" && from - jwtLimits.leewayS > nowS,
  );
  if (isEarly) throw new TokenRefused("the token is not valid yet");
}

const bytesOf = (text: string) => new Uint8Array(Buffer.from(text, "utf8"));
