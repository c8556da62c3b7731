/** A provider's JSON against a schema of what we read of it. */
import type { Static, TSchema } from "@sinclair/typebox";
import { Value } from "@sinclair/typebox/value";
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";

/** @throws GatewayError upstream_invalid that names the first field at fault. */
export function decodeWire<T extends TSchema>(schema: T, value: unknown, what: string): Static<T> {
  if (Value.Check(schema, value)) return value;
  const first = Value.Errors(schema, value).First();
  const where = first ? ` (${first.path || "/"}: ${first.message})` : "";
  throw new GatewayError("upstream_invalid", `The provider sent no valid ${what}${where}.`);
}

/** The JSON object of a stream's frame. @throws GatewayError upstream_invalid */
export function parseFrame(data: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    const message = "The provider sent an event that is not JSON.";
    throw new GatewayError("upstream_invalid", message, { cause });
  }
  if (isObject(value)) return value;
  throw new GatewayError("upstream_invalid", "The provider sent an event that is no JSON object.");
}

const closeBrace = 125;

/**
 * For events that pass unparsed: one that was cut off, or is a page, is told by its last character.
 * @throws GatewayError upstream_invalid
 */
export function assertClosed(data: string): void {
  if (data.charCodeAt(data.length - 1) !== closeBrace) parseFrame(data);
}

/** The most that a stream's translation holds of one answer, in UTF-16 units: thinking, arguments. */
export const maxHeldLength = 16 * 1024 * 1024;

/** @throws GatewayError upstream_invalid */
export function assertHeld(length: number): void {
  if (length <= maxHeldLength) return;
  const message = `The provider's stream holds more than ${maxHeldLength} characters in one piece.`;
  throw new GatewayError("upstream_invalid", message);
}
