/** Who a call is for, as learning knows it: never by name. */
import { hashUser } from "../security/hashing.ts";

export interface Named {
  readonly tenant: string;
  /** A key's id, "master" or "anonymous". */
  readonly caller: string;
  /** Hash of the end user whom the call named, where it did (`hashUser`). */
  readonly userHash?: string | undefined;
}

/** Whom a call is for: the end user it names, else its key; undefined where nobody is named. */
export function userOf({ tenant, caller, userHash }: Named): string | undefined {
  if (userHash !== undefined) return userHash;
  const nobody = caller === "master" || caller === "anonymous" || caller === "";
  return nobody ? undefined : hashUser(tenant, `key ${caller}`);
}
