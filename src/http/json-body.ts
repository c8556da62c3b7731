/** A JSON object as a request's body, for routes that read one themselves. */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { JsonParseFailed, parseJson } from "../std/json.ts";
import { type Reception, readBytes } from "./read-body.ts";

/** @throws GatewayError invalid_json, invalid_utf8, invalid_request, and what reading it throws */
export async function readJsonObject(
  request: Request,
  reception: Reception,
  limitBytes?: number,
): Promise<JsonObject> {
  let body: unknown;
  try {
    body = parseJson(await readBytes(request, reception, limitBytes));
  } catch (cause) {
    if (!(cause instanceof JsonParseFailed)) throw cause;
    const code = cause.reason === "utf8" ? "invalid_utf8" : "invalid_json";
    throw new GatewayError(code, `The body cannot be read: ${cause.message}.`, { cause });
  }
  if (isObject(body)) return body;
  throw new GatewayError("invalid_request", "The body must be a JSON object.");
}
