/** Errors of Google, both ways. */
import { describe, expect, test } from "bun:test";
import { GatewayError } from "../../domain/errors.ts";
import { decodeError, decodeStreamError, encodeError } from "./errors.ts";

const status = (code: number, word: string, message: string, details: object[] = []) =>
  JSON.stringify({ error: { code, message, status: word, details } });

describe("google.rpc.Status to ours", () => {
  const retry = { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "37.4s" };
  const badKey = { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "API_KEY_INVALID" };
  const cases = [
    // status, body                                                        code, Retry-After
    [400, status(400, "INVALID_ARGUMENT", "Unknown name"), "upstream_rejected", undefined],
    [
      400,
      status(400, "INVALID_ARGUMENT", "API key not valid.", [badKey]),
      "upstream_auth",
      undefined,
    ],
    [400, status(400, "INVALID_ARGUMENT", "API key expired."), "upstream_auth", undefined],
    [
      400,
      status(400, "INVALID_ARGUMENT", "The input token count exceeds the maximum number of tokens"),
      "context_length_exceeded",
      undefined,
    ],
    [403, status(403, "PERMISSION_DENIED", "Denied"), "upstream_auth", undefined],
    [404, status(404, "NOT_FOUND", "models/x is not found"), "upstream_not_found", undefined],
    [429, status(429, "RESOURCE_EXHAUSTED", "Quota", [retry]), "rate_limited", 38],
    [429, `[${status(429, "RESOURCE_EXHAUSTED", "Quota")}]`, "rate_limited", undefined],
    [500, status(500, "INTERNAL", "oops"), "upstream_failed", undefined],
    [503, status(503, "UNAVAILABLE", "The model is overloaded."), "upstream_failed", undefined],
    [504, status(504, "DEADLINE_EXCEEDED", "late"), "upstream_timeout", undefined],
  ] as const;
  test.each(cases)("%d %s", (code, body, ours, retryAfterS) => {
    const error = decodeError(code, body, new Headers());
    expect([error.code, error.retryAfterS] as unknown[]).toEqual([ours, retryAfterS]);
  });

  test("within a stream, the code counts, else the word", () => {
    const inBand = [
      [{ error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "x" } }, "rate_limited"],
      [{ error: { status: "UNAVAILABLE", message: "x" } }, "upstream_failed"],
      [{ error: { message: "x" } }, "upstream_failed"],
      [{ error: { code: 400, message: "x", status: "INVALID_ARGUMENT" } }, "upstream_rejected"],
    ] as const;
    for (const [body, ours] of inBand) expect(decodeStreamError(body).code as string).toBe(ours);
  });
});

describe("ours to google.rpc.Status", () => {
  const cases = [
    ["invalid_request", 400, "INVALID_ARGUMENT"],
    ["missing_api_key", 401, "UNAUTHENTICATED"],
    ["permission_denied", 403, "PERMISSION_DENIED"],
    ["model_not_found", 404, "NOT_FOUND"],
    ["rate_limited", 429, "RESOURCE_EXHAUSTED"],
    ["internal", 500, "INTERNAL"],
    ["overloaded", 503, "UNAVAILABLE"],
    ["upstream_timeout", 408, "DEADLINE_EXCEEDED"],
  ] as const;
  test.each(cases)("%s", (code, number, word) => {
    const error = new GatewayError(code, "what", { param: "contents", retryAfterS: 3 });
    expect(encodeError(error)).toMatchObject({
      error: {
        code: number,
        message: "what",
        status: word,
        details: [{ reason: code, metadata: { param: "contents" } }, { retryDelay: "3s" }],
      },
    });
  });
});
