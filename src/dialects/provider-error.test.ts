/** Providers' failures in our table: by status, by words, with waits, and never with a secret. */
import { describe, expect, test } from "bun:test";
import { maxProviderTextLength, providerText, retryAfterOf } from "./provider-error.ts";
import { dialects } from "./registry.ts";

const { "openai-chat": openai, anthropic } = dialects;
const body = (message: string, more: object = {}) =>
  JSON.stringify({ error: { message, ...more } });

describe("by words", () => {
  const cases = [
    [
      openai,
      400,
      body("This model's maximum context length is 8192 tokens.", {
        code: "context_length_exceeded",
      }),
      "context_length_exceeded",
    ],
    [
      openai,
      400,
      body("Input tokens exceed the configured limit of 272000 tokens."),
      "context_length_exceeded",
    ],
    [openai, 413, body("Request too large"), "upstream_rejected"],
    [
      openai,
      422,
      body("`inputs` tokens + `max_new_tokens` must be <= 4096"),
      "context_length_exceeded",
    ],
    [
      openai,
      400,
      body("Please reduce the length of the messages", { code: "context_length_exceeded" }),
      "context_length_exceeded",
    ],
    [
      openai,
      400,
      body("Your request was rejected as a result of our safety system."),
      "content_policy_violation",
    ],
    [
      openai,
      400,
      body("The response was filtered", { code: "content_filter" }),
      "content_policy_violation",
    ],
    [openai, 403, body("Input flagged by moderation"), "content_policy_violation"],
    [
      openai,
      400,
      body("Unrecognized request argument supplied: x", { param: "x" }),
      "upstream_rejected",
    ],
    [
      openai,
      404,
      body("The model `x` does not exist", { code: "model_not_found" }),
      "upstream_not_found",
    ],
    [
      openai,
      500,
      JSON.stringify([{ error: { code: 500, message: "m", status: "INTERNAL" } }]),
      "upstream_failed",
    ],
    [
      openai,
      400,
      JSON.stringify({ detail: [{ loc: ["body"], msg: "field required" }] }),
      "upstream_rejected",
    ],
    [
      anthropic,
      400,
      JSON.stringify({
        type: "error",
        error: {
          type: "invalid_request_error",
          message: "prompt is too long: 213462 tokens > 200000 maximum",
        },
      }),
      "context_length_exceeded",
    ],
    [
      anthropic,
      400,
      JSON.stringify({
        type: "error",
        error: {
          type: "invalid_request_error",
          message: "Output blocked by content filtering policy",
        },
      }),
      "content_policy_violation",
    ],
    [
      anthropic,
      529,
      JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } }),
      "upstream_failed",
    ],
    [anthropic, 500, "upstream connect error", "upstream_failed"],
  ] as const;
  test.each(cases)("%# %s", (dialect, status, text, code) => {
    expect(dialect.decodeError(status, text, new Headers()).code).toBe(code);
  });

  test("the provider's parameter and code word are kept for the caller", () => {
    const error = openai.decodeError(
      400,
      body("Bad x", { param: "x", code: "unknown_parameter" }),
      new Headers(),
    );
    expect(openai.encodeError(error)).toEqual({
      error: {
        message: "Bad x",
        type: "invalid_request_error",
        param: "x",
        code: "unknown_parameter",
      },
    });
  });

  test("a refusal of our key is not told to the caller as a refusal of theirs", () => {
    const error = openai.decodeError(
      401,
      body("Incorrect API key", { code: "invalid_api_key" }),
      new Headers(),
    );
    expect(openai.encodeError(error)).toMatchObject({
      error: { code: "upstream_auth", type: "api_error" },
    });
    expect(error.status).toBe(502);
  });
});

describe("Retry-After", () => {
  const date = "Wed, 25 Nov 2026 22:00:00 GMT";
  const cases = [
    [{ "retry-after": "7" }, 7],
    [{ "retry-after": "0.2" }, 1],
    [{ "retry-after-ms": "1500" }, 2],
    [{ "retry-after": "Wed, 25 Nov 2026 22:01:30 GMT", date }, 90],
    [{ "retry-after": "Wed, 25 Nov 2026 21:00:00 GMT", date }, 0],
    [{ "retry-after": "99999999" }, 86_400],
    [{ "retry-after": "soon" }, undefined],
    [{ "retry-after": "-3" }, undefined],
    [{}, undefined],
  ] as const;
  test.each(cases)("%j is %p seconds", (headers, seconds) => {
    expect(retryAfterOf(new Headers(headers as Record<string, string>))).toBe(seconds);
    const error = openai.decodeError(429, "", new Headers(headers as Record<string, string>));
    expect(error.retryAfterS).toBe(seconds);
  });
});

describe("a provider's text", () => {
  test.each([
    "Incorrect API key provided: sk-proj-abcdefghijklmnop.",
    "Incorrect API key provided: abcdefgh1234.",
    "Authorization: Bearer abcdefghijklmnop",
    "key gsk_abcdefghijklmnop and nvapi-abcdefghijklmnop",
    "https://user:secretsecret@host/v1 failed",
    '{"api_key": "abcdefghijklmnop"}',
  ])("loses its secret: %s", (text) => {
    expect(providerText(text)).not.toMatch(/abcdefgh|secretsecret/);
  });

  test("is bounded, and on one line", () => {
    const text = providerText(`a\n\tb ${"x ".repeat(1_000_000)}`);
    expect(text.length).toBe(maxProviderTextLength);
    expect(text).toStartWith("a b x");
  });
});
