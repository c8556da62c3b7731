/**
 * Errors in OpenAI's form, both ways, and the forms that compatible servers use instead.
 * Source: https://platform.openai.com/docs/guides/error-codes
 */
import type { GatewayError } from "../../domain/errors.ts";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { encodeSse } from "../../std/sse.ts";
import {
  messageOf,
  type ProviderFailure,
  readErrorBody,
  retryAfterOf,
  toProviderError,
} from "../provider-error.ts";

export function decodeError(status: number, body: string, headers: Headers): GatewayError {
  const { json, text } = readErrorBody(body);
  const retryAfterS = retryAfterOf(headers);
  return toProviderError({
    ...readFailure(json, text),
    status,
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}

/** `{"error": …}` in a stream, or in a reply of status 200. */
export function decodeStreamError(body: JsonObject): GatewayError {
  const failure = readFailure(body, "");
  return toProviderError({ ...failure, status: statusOf(failure) });
}

/**
 * Whether an event or a reply is an error: OpenAI's has no choices, OpenRouter's stands beside some
 * that end with "error", vLLM's is an object of that name.
 */
export function isError(body: JsonObject, event = ""): boolean {
  return event === "error" || body["object"] === "error" || Boolean(body["error"]);
}

function readFailure(json: unknown, text: string): Omit<ProviderFailure, "status"> {
  const body: unknown = Array.isArray(json) ? json[0] : json; // Gemini's compatible API sends a list
  const error: unknown = isObject(body) && isObject(body["error"]) ? body["error"] : body;
  if (!isObject(error)) return { message: messageOf(json) ?? text };
  const word = (value: Json | undefined) =>
    typeof value === "string" || typeof value === "number" ? String(value) : undefined;
  const code = word(error["code"]);
  const type = word(error["type"]) ?? word(error["status"]);
  const param = error["param"];
  return {
    message: withDetails(error, messageOf(json) ?? text),
    ...(code ? { code } : {}),
    ...(type ? { type } : {}),
    ...(typeof param === "string" && param ? { param } : {}),
  };
}

/** OpenRouter says "Provider returned error" and puts what happened under `metadata.raw`. */
function withDetails(error: JsonObject, message: string): string {
  const metadata = error["metadata"];
  const raw = isObject(metadata) ? metadata["raw"] : undefined;
  return typeof raw === "string" && raw ? `${message}: ${raw}` : message;
}

/** The status that an in-band error stands for: its numeric code, else what its words say. */
function statusOf({ code, type }: Omit<ProviderFailure, "status">): number {
  const numeric = Number(code);
  if (Number.isInteger(numeric) && numeric >= 400 && numeric < 600) return numeric;
  const words = `${code ?? ""} ${type ?? ""}`.toLowerCase();
  const known = statuses.find(([pattern]) => pattern.test(words));
  return known?.[1] ?? 500;
}

const statuses: readonly (readonly [RegExp, number])[] = [
  [/rate_limit|insufficient_quota|resource_exhausted|too_many/, 429],
  [/overloaded|unavailable/, 503],
  [/timeout|deadline/, 504],
  [
    /context_length|content_filter|content_policy|invalid_request|invalid_argument|bad_?request/,
    400,
  ],
  [/invalid_api_key|authentication|unauthorized/, 401],
  [/permission/, 403],
  [/not_found/, 404],
];

export function encodeError(error: GatewayError): JsonObject {
  return {
    error: {
      message: error.message,
      type: error.wireType,
      param: error.param ?? null,
      code: error.wireCode,
    },
  };
}

export function encodeStreamError(error: GatewayError): string {
  return encodeSse({ data: JSON.stringify(encodeError(error)) });
}
