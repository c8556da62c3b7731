/** Comparing and finding secrets. */
import { expect, test } from "bun:test";
import { isOneOf, parseReference, secretsEqual } from "./secrets.ts";

test("secrets are equal or not, whatever their lengths", () => {
  expect(secretsEqual("sk-a", "sk-a")).toBe(true);
  expect(secretsEqual("sk-a", "sk-ab")).toBe(false);
  expect(secretsEqual("", "sk-ab")).toBe(false);
  expect(isOneOf("b", ["a", "b", "c"])).toBe(true);
  expect(isOneOf("d", ["a", "b", "c"])).toBe(false);
  expect(isOneOf("d", [])).toBe(false);
});

test("a reference is the whole text", () => {
  expect(parseReference("os.environ/KEY")).toEqual({ kind: "environment", name: "KEY" });
  expect(parseReference("file:///run/secrets/a%20b")).toEqual({
    kind: "file",
    path: "/run/secrets/a b",
  });
  expect(parseReference("oidc/google/x")).toEqual({
    kind: "oidc",
    reference: "oidc/google/x",
  });
  expect(parseReference("prefix os.environ/KEY")).toBeUndefined();
  expect(parseReference("sk-plain")).toBeUndefined();
});
