/**
 * Errors in Google's form (google.rpc.Status), both ways.
 * Source: https://google.aip.dev/193, https://ai.google.dev/gemini-api/docs/troubleshooting
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

/** HTTP's number for each word of google.rpc.Code, for errors within a stream. */
const statuses: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 400,
  FAILED_PRECONDITION: 400,
  OUT_OF_RANGE: 400,
  UNAUTHENTICATED: 401,
  PERMISSION_DENIED: 403,
  NOT_FOUND: 404,
  ABORTED: 409,
  ALREADY_EXISTS: 409,
  RESOURCE_EXHAUSTED: 429,
  CANCELLED: 499,
  INTERNAL: 500,
  UNKNOWN: 500,
  DATA_LOSS: 500,
  UNIMPLEMENTED: 501,
  UNAVAILABLE: 503,
  DEADLINE_EXCEEDED: 504,
};

export function decodeError(status: number, body: string, headers: Headers): GatewayError {
  const { json, text } = readErrorBody(body);
  const failure = readFailure(json, text);
  const retryAfterS = retryAfterOf(headers) ?? failure.retryAfterS;
  return toProviderError({
    ...failure,
    status: statusFor(status, failure),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}

export const isError = (body: JsonObject) => isObject(body["error"]);

/** An `error` within a stream, or in a reply of status 200. */
export function decodeStreamError(body: JsonObject): GatewayError {
  const failure = readFailure(body, "");
  const told = isObject(body["error"]) ? Number(body["error"]["code"]) : Number.NaN;
  const status = told >= 400 && told < 600 ? told : (statuses[failure.type ?? ""] ?? 500);
  return toProviderError({ ...failure, status: statusFor(status, failure) });
}

/** A wrong key is a 400 at AI Studio; it is the gateway's key, so no fault of the caller's. */
function statusFor(status: number, { message, code }: Omit<ProviderFailure, "status">): number {
  const isKey = code === "API_KEY_INVALID" || /API key (not valid|expired)/i.test(message);
  return status === 400 && isKey ? 401 : status;
}

function readFailure(json: unknown, text: string): Omit<ProviderFailure, "status"> {
  const body: unknown = Array.isArray(json) ? json[0] : json; // the form of a stream without alt=sse
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : undefined;
  if (!error) return { message: messageOf(json) ?? text };
  const details = Array.isArray(error["details"]) ? error["details"].filter(isObject) : [];
  const reason = details.map((each) => each["reason"]).find((each) => typeof each === "string");
  const code = reason ?? error["code"];
  const retryAfterS = retryDelayOf(details);
  return {
    message: messageOf(error) ?? text,
    ...(typeof error["status"] === "string" ? { type: error["status"] } : {}),
    ...(typeof code === "string" || typeof code === "number" ? { code: String(code) } : {}),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  };
}

/** google.rpc.RetryInfo: `"retryDelay": "37.5s"`. */
function retryDelayOf(details: readonly JsonObject[]): number | undefined {
  const delay: Json | undefined = details
    .map((each) => each["retryDelay"])
    .find((each) => typeof each === "string");
  const seconds = /^(\d+(?:\.\d+)?)s$/.exec(String(delay))?.[1];
  return seconds === undefined ? undefined : Math.min(24 * 3600, Math.ceil(Number(seconds)));
}

const words: Readonly<Record<number, string>> = {
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  408: "DEADLINE_EXCEEDED",
  409: "ABORTED",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  501: "UNIMPLEMENTED",
  502: "UNAVAILABLE",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

export function encodeError(error: GatewayError): JsonObject {
  const { status, message, retryAfterS } = error;
  const fallback = status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
  return {
    error: {
      code: status,
      message,
      status: words[status] ?? fallback,
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: error.wireCode,
          domain: "routeiq",
          ...(error.param === undefined ? {} : { metadata: { param: error.param } }),
        },
        ...(retryAfterS === undefined
          ? []
          : [
              {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                retryDelay: `${Math.max(1, Math.ceil(retryAfterS))}s`,
              },
            ]),
      ],
    },
  };
}

export function encodeStreamError(error: GatewayError): string {
  return encodeSse({ data: JSON.stringify(encodeError(error)) });
}
