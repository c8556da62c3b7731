/** The id of a passage where a database wants a UUID: the same each time, so that writing again replaces. */
import { sha256Hex } from "../../security/hashing.ts";

/** RFC 9562 §5.8: version 8, its bits from a hash. */
export function passageId(document: string, passage: number): string {
  const hex = sha256Hex(`${document}\n${passage}`);
  const variant = ((Number.parseInt(hex[16] ?? "0", 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
