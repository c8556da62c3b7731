/** Who a call is for, as learning knows it: never by name. */
import { sha256Hex } from "../security/hashing.ts";

/**
 * 16 hex digits that stand for a user of a tenant: the first eight bytes of a sha256. The same name
 * under another tenant is somebody else. Cost: 1 µs.
 */
export function hashUser(tenant: string, user: string): string {
  return sha256Hex(`${tenant}\n${user}`).slice(0, 16);
}
