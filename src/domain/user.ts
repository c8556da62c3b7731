/** Who a call is for, as learning knows it: never by name. */
import { createHash } from "node:crypto";

/**
 * 16 hex digits that stand for a user of a tenant: the first eight bytes of a sha256. The same name
 * under another tenant is somebody else. Cost: 1 µs.
 */
export function hashUser(tenant: string, user: string): string {
  return createHash("sha256").update(`${tenant}\n${user}`).digest("hex").slice(0, 16);
}
