/**
 * Errors in Anthropic's form, both ways.
 * Source: https://platform.claude.com/docs/en/api/errors
 */
import type { GatewayError } from "../../domain/errors.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { encodeSse } from "../../std/sse.ts";
import {
  messageOf,
  type ProviderFailure,
  readErrorBody,
  retryAfterOf,
  toProviderError,
} from "../provider-error.ts";

/** The status that each `error.type` stands for, for errors within a stream. */
const statuses: Readonly<Record<string, number>> = {
  invalid_request_error: 400,
  authentication_error: 401,
  billing_error: 402,
  permission_error: 403,
  not_found_error: 404,
  request_too_large: 413,
  rate_limit_error: 429,
  api_error: 500,
  timeout_error: 504,
  overloaded_error: 529,
};

export function decodeError(status: number, body: string, headers: Headers): GatewayError {
  const { json, text } = readErrorBody(body);
  const retryAfterS = retryAfterOf(headers);
  return toProviderError({
    ...readFailure(json, text),
    status,
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}

/** An `error` event of a stream. */
export function decodeStreamError(event: JsonObject): GatewayError {
  const failure = readFailure(event, "");
  const status = statuses[failure.type ?? ""] ?? 500;
  return toProviderError({ ...failure, status });
}

function readFailure(json: unknown, text: string): Omit<ProviderFailure, "status"> {
  const error = isObject(json) && isObject(json["error"]) ? json["error"] : undefined;
  const details = error?.["details"];
  const code = isObject(details) ? details["error_code"] : undefined;
  const type = error?.["type"];
  return {
    message: messageOf(json) ?? text,
    ...(typeof type === "string" ? { type } : {}),
    ...(typeof code === "string" ? { code } : {}),
  };
}

/** The type for a status, by which Anthropic's clients choose their exception. */
function typeOf(error: GatewayError): string {
  const named = Object.entries(statuses).find(([, status]) => status === error.status)?.[0];
  if (named) return named;
  if (error.wireType in statuses) return error.wireType;
  if (error.status === 503) return "overloaded_error";
  return error.status < 500 ? "invalid_request_error" : "api_error";
}

export function encodeError(error: GatewayError): JsonObject {
  return { type: "error", error: { type: typeOf(error), message: error.message } };
}

export function encodeStreamError(error: GatewayError): string {
  return encodeSse({ event: "error", data: JSON.stringify(encodeError(error)) });
}
