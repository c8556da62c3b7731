/** Bodies of admin routes: a JSON object, or nothing. */
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { readAny } from "../read-body.ts";
import { AdminError } from "../route.ts";

const bodyLimitBytes = 64 * 1024;

/** @throws AdminError invalid_request; GatewayError request_too_large */
export async function readAdminBody(request: Request, services: Services): Promise<JsonObject> {
  const bytes = await readAny(request, services, bodyLimitBytes);
  if (bytes.byteLength === 0) return {};
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    if (isObject(value)) return value;
  } catch {
    // Told below, in the same words as a body that is no object.
  }
  throw new AdminError(
    400,
    "invalid_request",
    "The body must be a JSON object in UTF-8, or empty.",
  );
}
