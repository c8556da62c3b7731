/** Failures as answers: in the caller's dialect, with Retry-After, and nothing of our insides. */
import type { Dialect } from "../dialects/dialect.ts";
import { GatewayError } from "../domain/errors.ts";
import { CallFailed } from "../pipeline/handle.ts";
import type { Services } from "../pipeline/services.ts";
import { basicHeaders, callHeaders, type HeaderTable } from "./headers.ts";
import { moreHeaders, wantsMore } from "./more-headers.ts";

/** The answer to a failed call. */
export function toErrorResponse(
  failure: CallFailed,
  ids: { readonly requestId: string; readonly id: string },
  dialect: Dialect,
  services: Services,
): Response {
  const { error, record } = failure;
  const headers = record ? callHeaders(record, services) : basicHeaders(ids.requestId, ids.id);
  if (record && wantsMore(services)) {
    Object.assign(headers, Object.fromEntries(moreHeaders(record, services)));
  }
  // A client that tries again what was tried several times already only adds to the load.
  if (record && record.attempts.length > 1) headers["x-should-retry"] = "false";
  return errorResponse(error, dialect, headers);
}

export function errorResponse(
  error: GatewayError,
  dialect: Dialect,
  headers: HeaderTable,
): Response {
  headers["content-type"] = "application/json";
  if (error.retryAfterS !== undefined) {
    headers["retry-after"] = String(Math.max(1, Math.ceil(error.retryAfterS)));
  } else if (error.status === 429 || error.status === 503) headers["retry-after"] = "1";
  return new Response(JSON.stringify(dialect.encodeError(error)), {
    status: error.status,
    headers,
  });
}

/** What a caller is told of a failure of ours; the log says the rest. */
export function internalFailure(dialect: Dialect): Response {
  const error = new GatewayError("internal", "The gateway failed on this call; its log says why.");
  return Response.json(dialect.encodeError(error), { status: error.status });
}

export { CallFailed };
