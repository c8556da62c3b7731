/** Digests, by one name each. */
import { createHash, createHmac } from "node:crypto";

export function sha256(data: string | Uint8Array): Uint8Array {
  return createHash("sha256").update(data).digest();
}

/** Lower-case hex of the SHA-256; a third of the cost of node's. */
export function sha256Hex(data: string | Uint8Array): string {
  return Bun.SHA256.hash(data, "hex");
}

/**
 * 16 hex digits that stand for a user of a tenant: learning never knows one by name. The same name
 * under another tenant is somebody else.
 */
export function hashUser(tenant: string, user: string): string {
  return sha256Hex(`${tenant}\n${user}`).slice(0, 16);
}

/** Lower-case hex of the HMAC-SHA-256: how a caller's key is stored (the key is the pepper). */
export function hmacSha256Hex(key: string | Uint8Array, data: string | Uint8Array): string {
  return createHmac("sha256", key).update(data).digest("hex");
}
