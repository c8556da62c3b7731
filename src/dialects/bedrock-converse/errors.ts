/**
 * AWS's errors: a word in a header, a message in the body; in a stream, an exception of its own.
 * Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html#API_runtime_Converse_Errors
 */
import type { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import { messageOf, readErrorBody, retryAfterOf, toProviderError } from "../provider-error.ts";

/** The status that each word stands for, where HTTP's own says less or it came in a stream. */
const statuses: Readonly<Record<string, number>> = {
  validationexception: 400,
  accessdeniedexception: 403,
  resourcenotfoundexception: 404,
  throttlingexception: 429,
  toomanyrequestsexception: 429,
  servicequotaexceededexception: 429,
  modelnotreadyexception: 503,
  modeltimeoutexception: 504,
  modelerrorexception: 500,
  modelstreamerrorexception: 500,
  internalserverexception: 500,
  internalfailure: 500,
  serviceunavailableexception: 503,
  unrecognizedclientexception: 401,
  expiredtokenexception: 401,
  invalidsignatureexception: 401,
  incompletesignatureexception: 401,
  missingauthenticationtokenexception: 401,
};

export function decodeError(status: number, body: string, headers: Headers): GatewayError {
  const { json, text } = readErrorBody(body);
  const told = headers.get("x-amzn-errortype") ?? (isObject(json) ? json["__type"] : undefined);
  const message = isObject(json) ? (json["message"] ?? json["Message"]) : undefined;
  const said = typeof message === "string" ? message : (messageOf(json) ?? text);
  return toError(status, wordOf(told), said, retryAfterOf(headers));
}

/** @param word `throttlingException`, as a stream's frame is headed */
export function decodeException(word: string, body: unknown): GatewayError {
  const message = isObject(body) ? (body["message"] ?? body["Message"]) : undefined;
  const original = isObject(body) ? Number(body["originalStatusCode"]) : Number.NaN;
  const status = original >= 400 && original < 600 ? original : 500;
  return toError(status, word, typeof message === "string" ? message : word);
}

/** `ValidationException:http://internal.amazon.com/…` or `com.amazon#ValidationException`. */
function wordOf(told: unknown): string {
  return typeof told === "string" ? (told.split(":")[0]?.split("#").at(-1) ?? "") : "";
}

function toError(
  status: number,
  word: string,
  message: string,
  retryAfterS?: number,
): GatewayError {
  // An id that AWS does not know is a 400 there; it is the configuration's, not the caller's.
  const isUnknown = /model identifier is invalid|provided model doesn't support on-demand/i;
  const told = isUnknown.test(message) ? 404 : statuses[word.toLowerCase()];
  const isTooLong = /expected maxLength/i.test(message);
  return toProviderError({
    // A refused request stays one, whatever word stands beside it.
    status: told ?? status,
    message,
    ...(word ? { type: word } : {}),
    ...(isTooLong ? { code: "context_length_exceeded" } : word ? { code: word } : {}),
    ...(retryAfterS === undefined ? {} : { retryAfterS }),
  });
}
