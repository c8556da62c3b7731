/** Secrets do not pass; what only looks a little like one does. */
import { describe, expect, test } from "bun:test";
import { isSecretName, redactHeaders, redactText, redactValue } from "./redact.ts";

describe("text", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["key sk-abcdefgh12345678 refused", "key [REDACTED] refused"],
    ["sk-ant-api03-abcDEF_123456", "[REDACTED]"],
    ["riq_k1_0123456789abcdef", "[REDACTED]"],
    ["api_key=abc123 next", "api_key=[REDACTED] next"],
    ['{"api_key": "abc123", "a": 1}', '{"api_key": "[REDACTED]", "a": 1}'],
    ["AKIAIOSFODNN7EXAMPLE", "[REDACTED]"],
    ["aws_secret_access_key: wJalrXUtnFEMI/K7MDENG", "aws_secret_access_key: [REDACTED]"],
    ["postgres://user:pa55@db:5432/x", "postgres://[REDACTED]@db:5432/x"],
    ["https://u:p@host/path", "https://[REDACTED]@host/path"],
    ["Authorization: Bearer abc.def", "Authorization: Bearer [REDACTED]"],
    ["password=hunter2; secret=x", "password=[REDACTED]; secret=[REDACTED]"],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "[REDACTED]"],
    ["-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----", "[REDACTED]"],
    ["the model used 12 tokens of 100", "the model used 12 tokens of 100"],
    ["skateboarding AIzaak hfresearchers", "skateboarding AIzaak hfresearchers"],
    ["AIzaSyA1234567890abcdefghijklmnopqrstu", "[REDACTED]"],
    ["task-based routing of a desk", "task-based routing of a desk"],
    ["see https://api.openai.com/v1/models", "see https://api.openai.com/v1/models"],
  ];
  test.each(cases)("%s", (given, expected) => {
    expect(redactText(given)).toBe(expected);
  });

  test("a long line costs no more than its first part", () => {
    expect(redactText("a".repeat(1_000_000)).length).toBe(20_001);
  });
});

test("names of secrets", () => {
  const secret = [
    "api_key",
    "apiKey",
    "master_key",
    "aws_secret_access_key",
    "redis_password",
    "x-api-key",
  ];
  const open = [
    "max_token",
    "total_token",
    "model",
    "token_rate_limit_type",
    "input_token",
    "keyword",
  ];
  expect(secret.filter((name) => !isSecretName(name))).toEqual([]);
  expect(open.filter(isSecretName)).toEqual([]);
});

test("objects and headers", () => {
  const given = { a: [{ api_key: "x", note: "Bearer abcdefgh" }], api_key: null, n: 1 };
  expect(redactValue(given)).toEqual({
    a: [{ api_key: "[REDACTED]", note: "Bearer [REDACTED]" }],
    api_key: null,
    n: 1,
  });
  expect(
    redactHeaders([
      ["Authorization", "Bearer x"],
      ["accept", "*/*"],
    ]),
  ).toEqual({
    Authorization: "[REDACTED]",
    accept: "*/*",
  });
});
