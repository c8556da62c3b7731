/** Ed25519 for artifacts: keys, signatures, and the refusal of keys that anyone could sign for. */
import {
  createPrivateKey,
  createPublicKey,
  sign as ed25519Sign,
  verify as ed25519Verify,
  type KeyObject,
  randomBytes,
} from "node:crypto";

/** Both halves as lower-case hex: 32 bytes of seed (secret), 32 bytes of public key. */
export interface SigningKey {
  readonly seed: string;
  readonly public: string;
}

// The fixed DER headers of RFC 8410 around 32 raw bytes.
const pkcs8 = Buffer.from("302e020100300506032b657004220420", "hex");
const spki = Buffer.from("302a300506032b6570032100", "hex");

/** A new key from the system's randomness, or the one that belongs to a 32-byte seed. */
export function createSigningKey(seed: Uint8Array = randomBytes(32)): SigningKey {
  if (seed.length !== 32) throw new RangeError("an Ed25519 seed has 32 bytes");
  const jwk = createPublicKey(toPrivateKey(seed)).export({ format: "jwk" });
  return {
    seed: Buffer.from(seed).toString("hex"),
    public: Buffer.from(String(jwk.x), "base64url").toString("hex"),
  };
}

/** 128 lower-case hex digits. */
export function sign(seed: string, message: Uint8Array): string {
  return ed25519Sign(null, message, toPrivateKey(Buffer.from(seed, "hex"))).toString("hex");
}

/**
 * True for the one valid encoding of a signature: lower-case hex, S < L (RFC 8032 §5.1.7, which
 * the library checks). The key must have passed `isSoundPublicKey`. About 0.1 ms.
 */
export function verifySignature(publicKey: string, signature: string, message: Uint8Array) {
  if (!/^[0-9a-f]{128}$/.test(signature) || !/^[0-9a-f]{64}$/.test(publicKey)) return false;
  const key = createPublicKey({
    key: Buffer.concat([spki, Buffer.from(publicKey, "hex")]),
    format: "der",
    type: "spki",
  });
  return ed25519Verify(null, message, key, Buffer.from(signature, "hex"));
}

function toPrivateKey(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: "der", type: "pkcs8" });
}

const p = 2n ** 255n - 19n;
const d = 37095705934669439343138083508754565189542113879843219016388785533085940283555n;
const sqrtMinusOne = power(2n, (p - 1n) / 4n);

/**
 * True when the hex is the canonical encoding of a point on the curve whose order is not small.
 * A small-order key (8 points, RFC 8032 and "Taming the many EdDSAs", 2020) verifies signatures
 * that nobody made; other encodings of a point would give one key two ids.
 */
export function isSoundPublicKey(publicKey: string): boolean {
  if (!/^[0-9a-f]{64}$/.test(publicKey)) return false;
  const point = decompress(Buffer.from(publicKey, "hex"));
  if (!point) return false;
  // Doubled three times: the neutral element (0, 1) means that the order divides 8.
  const eightfold = double(double(double(point)));
  return !(eightfold.x === 0n && eightfold.y === 1n);
}

interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

/** RFC 8032 §5.1.3; undefined where the bytes encode no point, or one in a second way. */
function decompress(bytes: Uint8Array): Point | undefined {
  let y = 0n;
  for (let i = 31; i >= 0; i--) y = (y << 8n) | BigInt(bytes[i] ?? 0);
  const sign = y >> 255n;
  y &= (1n << 255n) - 1n;
  if (y >= p) return undefined;
  const u = mod(y * y - 1n);
  const v = mod(d * y * y + 1n);
  const xx = mod(u * power(v, p - 2n));
  let x = power(xx, (p + 3n) / 8n);
  if (mod(x * x) !== xx) x = mod(x * sqrtMinusOne);
  if (mod(x * x) !== xx) return undefined;
  if (x === 0n && sign === 1n) return undefined;
  return { x: (x & 1n) === sign ? x : p - x, y };
}

/** The addition law of the twisted Edwards curve −x² + y² = 1 + d·x²·y², for a point and itself. */
function double({ x, y }: Point): Point {
  const t = mod(d * x * x * y * y);
  return {
    x: mod(2n * x * y * power(mod(1n + t), p - 2n)),
    y: mod((y * y + x * x) * power(mod(1n - t), p - 2n)),
  };
}

function mod(a: bigint): bigint {
  const r = a % p;
  return r < 0n ? r + p : r;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let e = exponent; e > 0n; e >>= 1n) {
    if (e & 1n) result = (result * square) % p;
    square = (square * square) % p;
  }
  return result;
}
