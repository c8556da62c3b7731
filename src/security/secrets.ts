/** Secrets: compared in constant time, and read from where a reference points. */
import { timingSafeEqual } from "node:crypto";
import { sha256 } from "./hashing.ts";
import { isOidcReference } from "./oidc.ts";

/**
 * Whether two secrets are equal, in a time that tells neither where they differ nor how long the
 * expected one is.
 */
export function secretsEqual(given: string, expected: string): boolean {
  return timingSafeEqual(sha256(given), sha256(expected));
}

/** Whether a secret is one of several; looks at all of them whatever it finds. */
export function isOneOf(given: string, expected: readonly string[]): boolean {
  let found = false;
  for (const candidate of expected) found = secretsEqual(given, candidate) || found;
  return found;
}

export type SecretReference =
  | { readonly kind: "environment"; readonly name: string }
  | { readonly kind: "file"; readonly path: string }
  /** `oidc/github/…`: see `oidc.ts`. */
  | { readonly kind: "oidc"; readonly reference: string };

/**
 * What a text refers to; undefined for a plain value. The whole text must be the reference, as in
 * LiteLLM. `file:///…` is a secret's reference; elsewhere (`model_path`) it is a plain value.
 */
export function parseReference(text: string): SecretReference | undefined {
  if (text.startsWith("os.environ/")) {
    return { kind: "environment", name: text.slice("os.environ/".length) };
  }
  if (text.startsWith("file:///")) {
    return { kind: "file", path: decodePath(text.slice("file://".length)) };
  }
  return isOidcReference(text) ? { kind: "oidc", reference: text } : undefined;
}

function decodePath(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path; // a stray "%" means that it was not encoded
  }
}
