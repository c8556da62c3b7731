/** Errors: OpenAI's form; in a stream, an `error` event. */
import type { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import { encodeSse } from "../../std/sse.ts";
import { decodeStreamError } from "../openai-chat/errors.ts";
import { textOf } from "./wire.ts";

/** @param sequence its place in the stream, where that is known */
export function encodeStreamError(error: GatewayError, sequence = 0): string {
  const { message, wireCode, param } = error;
  const type = "error";
  const data = { type, sequence_number: sequence, code: wireCode, message, param: param ?? null };
  return encodeSse({ event: type, data: JSON.stringify(data) });
}

/** A response's own `error`, or an event's, in our table. */
export function decodeResponseError(error: JsonObject): GatewayError {
  const code = textOf(error["code"]);
  // A word for a fault that OpenAI gives nowhere else; the others are told by the common table.
  const known = code === "server_error" ? "internal_error" : code;
  return decodeStreamError({ error: { ...error, code: known } });
}
