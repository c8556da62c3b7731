/**
 * One byte sequence per value: keys sorted by UTF-16 code unit, no white space, strings as
 * JSON.stringify writes them, safe integers only, no BOM. A file is taken only when its bytes equal
 * `canonical(parse(bytes))`, which refuses duplicate keys, fractions and malleable white space at once.
 */
import { createHash } from "node:crypto";
import { excerpt } from "../../domain/errors.ts";
import type { Json } from "../../domain/json.ts";
import { refuse } from "./refusal.ts";

/** Deeper files are refused: no honest one comes near, and a hostile one must not use up the stack. */
const maxDepth = 64;

/** @throws ArtifactRefusal number, for what is not a safe integer. */
export function canonical(value: Json): string {
  if (typeof value === "number") {
    if (!Number.isSafeInteger(value)) {
      refuse("number", `${value} is not a safe whole number`);
    }
    return String(value);
  }
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  const fields = Object.entries(value)
    .filter((entry): entry is [string, Json] => entry[1] !== undefined)
    // Comparison of strings in JavaScript is by UTF-16 code unit.
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonical(field)}`).join(",")}}`;
}

export function canonicalBytes(value: Json): Uint8Array {
  return new TextEncoder().encode(canonical(value));
}

/** @throws ArtifactRefusal canonical or number. Cost: linear in the bytes. */
export function parseCanonical(bytes: Uint8Array, what: string): Json {
  checkDepth(bytes, what);
  let text: string;
  let value: Json;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    value = JSON.parse(text) as Json;
  } catch (error) {
    refuse("canonical", `${what} is not JSON in UTF-8`, error);
  }
  const again = canonical(value);
  if (again !== text) {
    refuse("canonical", `${what} is not canonical JSON ${where(again, text)}`);
  }
  return value;
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function where(expected: string, found: string): string {
  let at = 0;
  while (at < expected.length && expected[at] === found[at]) at++;
  return `at character ${at} (${excerpt(JSON.stringify(found.slice(at, at + 20)))})`;
}

/** Before parsing, since parser and writer descend into the value. */
function checkDepth(bytes: Uint8Array, what: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i];
    if (inString) {
      if (byte === 0x5c) i++;
      if (byte === 0x22) inString = false;
      continue;
    }
    if (byte === 0x22) inString = true;
    if (byte === 0x5b || byte === 0x7b) depth++;
    if (byte === 0x5d || byte === 0x7d) depth--;
    if (depth > maxDepth) refuse("canonical", `${what} is nested deeper than ${maxDepth} levels`);
  }
}
