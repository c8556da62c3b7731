/**
 * A provider's failure in our table. One mapping for all dialects; each brings only the reading of
 * its error body. The provider's own words are kept for the caller, without secrets, within bounds.
 */
import { type ErrorCode, GatewayError, type GatewayErrorOptions } from "../domain/errors.ts";
import { isObject } from "../domain/json.ts";
import { redacted, redactText } from "../security/redact.ts";

export interface ProviderFailure {
  /** HTTP status, or the one that stands for an in-band error. */
  readonly status: number;
  readonly message: string;
  /** The provider's `type` and `code` words. */
  readonly type?: string;
  readonly code?: string;
  readonly param?: string;
  readonly retryAfterS?: number;
}

/** The longest text of a provider that we repeat. */
export const maxProviderTextLength = 1000;

export function toProviderError(failure: ProviderFailure): GatewayError {
  const { status } = failure;
  const text = providerText(failure.message) || "no reason given";
  const words = `${failure.code ?? ""} ${failure.type ?? ""} ${failure.message}`.toLowerCase();
  const options: GatewayErrorOptions = {
    ...(failure.param ? { param: failure.param } : {}),
    ...(failure.retryAfterS === undefined ? {} : { retryAfterS: failure.retryAfterS }),
  };
  const error = (code: ErrorCode, message: string, more: GatewayErrorOptions = {}) =>
    new GatewayError(code, message, { ...options, ...more });

  // What the request says is told by words, whatever status carries them; our key comes after,
  // because some providers refuse content with a 403.
  const aboutRequest = status >= 400 && status < 500 && status !== 401 && status !== 429;
  if (aboutRequest && contentPolicy.some((phrase) => words.includes(phrase))) {
    return error("content_policy_violation", text);
  }
  if (aboutRequest && contextLength.some((pattern) => pattern.test(words))) {
    return error("context_length_exceeded", text);
  }
  if (status === 401 || status === 403) {
    return error("upstream_auth", `The provider refused the gateway's key (${status}): ${text}`);
  }
  if (status === 402) {
    return error("upstream_auth", `The provider asks for payment (402): ${text}`);
  }
  if (status === 408 || status === 504 || status === 524) {
    const kept = status === 408 ? {} : { status: 504 };
    return error("upstream_timeout", `The provider timed out (${status}): ${text}`, kept);
  }
  if (status === 409) return error("upstream_conflict", text);
  if (status === 429) return error("rate_limited", `The provider's rate limit: ${text}`);
  if (status === 404) return error("upstream_not_found", text, wireWords(failure));
  if (status === 503 || status === 529) {
    const message = `The provider is overloaded (${status}): ${text}`;
    return error("upstream_failed", message, { status: 503, wireType: "overloaded_error" });
  }
  if (status >= 500 && status < 600) {
    return error("upstream_failed", `The provider failed (${status}): ${text}`, { status });
  }
  if (status >= 400 && status < 500) {
    return error("upstream_rejected", text, { status, ...wireWords(failure) });
  }
  return error("upstream_invalid", `The provider answered with status ${status}: ${text}`);
}

/** The provider's own code word, which clients test for, where it has one. */
function wireWords({ code }: ProviderFailure): GatewayErrorOptions {
  return code && /^[\w.-]{1,64}$/.test(code) && !/^\d+$/.test(code) ? { wireCode: code } : {};
}

/** Lower-cased. Sources: the providers' error pages, and the phrases that LiteLLM maps. */
const contentPolicy = [
  "content_policy_violation",
  "content_filter",
  "content filtering policy",
  "content management policy",
  "violating our usage policy",
  "rejected as a result of our safety system",
  "input flagged",
  "data_inspection_failed", // DashScope
];

const contextLength = [
  /context_length_exceeded|string_above_max_length/,
  /maximum context length|maximum context limit|model's context length|exceed context limit/,
  /prompt is too long|prompt too long|prompt: length|input is too long|input length and `max_tokens` exceed/,
  /string too long\. expected a string with maximum length/,
  /input tokens exceed|input token count exceeds|too many (input )?tokens|exceeds? the (available )?context/,
  /`inputs` tokens \+ `max_new_tokens` must be/,
  /current length is .* while limit is/,
  /context window/,
];

/** Keys of providers beyond those that redactText knows. Over-redaction costs a word; a leak a key. */
const secrets = [
  /\b(?:nvapi|pplx|csk|fw|r8|tgp|gsk|sk|ya29)[-_.][\w*.-]{6,}/gi,
  /(?<=api[-_ ]?key(?: provided)?(?: is)?: )[^\s"',}]{6,}/gi,
];

/** A provider's text for a caller: one line, secrets out, at most 1,000 characters. */
export function providerText(text: string): string {
  // The cut before keeps the patterns off megabytes; the one after is the promise.
  let clean = redactText(text.slice(0, 4 * maxProviderTextLength));
  for (const pattern of secrets) clean = clean.replace(pattern, redacted);
  clean = clean.replace(/\s+/g, " ").trim();
  if (clean.length <= maxProviderTextLength) return clean;
  return `${clean.slice(0, maxProviderTextLength - 3)}...`;
}

/** An error body as JSON where it is, else as text; pages of HTML are named, not repeated. */
export function readErrorBody(body: string): { readonly json?: unknown; readonly text: string } {
  const trimmed = body.trim();
  if (trimmed.startsWith("{") || trimmed.startsWith("[")) {
    try {
      return { json: JSON.parse(trimmed), text: trimmed };
    } catch {
      return { text: trimmed };
    }
  }
  if (/^<(!doctype|html)/i.test(trimmed)) {
    const title = /<title>([^<]{1,200})<\/title>/i.exec(trimmed)?.[1];
    return { text: title ? `a web page, "${title.trim()}"` : "a web page" };
  }
  return { text: trimmed };
}

/** Seconds to wait, from `retry-after-ms`, or `retry-after` in seconds or as a date. */
export function retryAfterOf(headers: Headers): number | undefined {
  const ms = Number(headers.get("retry-after-ms") ?? Number.NaN);
  if (Number.isFinite(ms) && ms >= 0) return bounded(ms / 1000);
  const value = headers.get("retry-after")?.trim();
  if (!value) return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return bounded(Number(value));
  // A date is measured against the answer's own Date, so that no clock of ours comes in.
  const wait = Date.parse(value) - Date.parse(headers.get("date") ?? "");
  return Number.isFinite(wait) ? bounded(wait / 1000) : undefined;
}

const maxRetryAfterS = 24 * 3600;
const bounded = (seconds: number) => Math.min(maxRetryAfterS, Math.max(0, Math.ceil(seconds)));

/** The first text among an error body's usual places. */
export function messageOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return messageOf(value[0]);
  if (!isObject(value)) return undefined;
  for (const key of ["message", "msg", "detail", "error", "error_message", "errors"]) {
    const found = messageOf(value[key]);
    if (found) return found;
  }
  return undefined;
}
