/** Takes secrets out of text and objects before they reach a log, a message or a span. */
import { isObject } from "../domain/json.ts";

export const redacted = "[REDACTED]";

/** Header names whose value is a credential, lower case. */
export const secretHeaders: ReadonlySet<string> = new Set([
  "authorization",
  "proxy-authorization",
  "cookie",
  "set-cookie",
  "x-api-key",
  "api-key",
  "x-goog-api-key",
  "x-admin-api-key",
  "x-litellm-api-key",
  "ocp-apim-subscription-key",
  "x-amz-security-token",
  "x-vault-token",
  "www-authenticate",
]);

const secretName =
  /(^|[-_.])(api[-_]?keys?|access[-_]?key(?:[-_]id)?|master[-_]?key|salt[-_]?keys?|private[-_]?key|secret(?:[-_]?key)?|passw(?:or)?d|passphrase|token|credentials?|pepper|authorization|cookie|signature)$/i;
/** Names that end like a secret's and are counts or public. */
const publicName =
  /(max|min|input|output|prompt|completion|total|first|cached|reasoning)[-_]token$/i;

/** Whether a key's value should never be shown: `api_key`, `aws_secret_access_key`, `redis_password`. */
export function isSecretName(name: string): boolean {
  return secretHeaders.has(name.toLowerCase()) || (secretName.test(name) && !publicName.test(name));
}

/** Patterns of reference/predecessor §5.3 and of the providers' keys of today; the name is kept. */
const patterns: readonly (readonly [RegExp, string])[] = [
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)/g, redacted],
  [/\b(sk|rk|pk|riq|gsk|xai|hf|glpat|ghp|gho|ghs|github_pat|xox[abpr])[-_][\w-]{8,}/g, redacted],
  [/\bAIza[\w-]{20,}/g, redacted],
  [/\b(AKIA|ASIA)[A-Z0-9]{12,}/g, redacted],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, redacted],
  [/\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{4,}/gi, `$1 ${redacted}`],
  [/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@:]*:[^\s/@]*@/gi, `$1${redacted}@`],
  [
    /\b([\w-]*(?:api[-_]?key|access[-_]?key|master[-_]?key|secret|passw(?:or)?d|token)[\w-]*["']?\s*[=:]\s*["']?)(?!\[REDACTED\])[^\s"',;&}]+/gi,
    `$1${redacted}`,
  ],
];

/** Input longer than this is cut first, so that no log line can be made expensive. */
const scrubLimitChars = 20_000;

/** The text without what looks like a secret. */
export function redactText(text: string): string {
  let clean = text.length > scrubLimitChars ? `${text.slice(0, scrubLimitChars)}…` : text;
  for (const [pattern, replacement] of patterns) clean = clean.replace(pattern, replacement);
  return clean;
}

const depthLimit = 12;

/** A copy in which values of secret names are gone and every other string is scrubbed. */
export function redactValue(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return redactText(value);
  if (depth >= depthLimit) return "[…]";
  if (Array.isArray(value)) return value.map((item) => redactValue(item, depth + 1));
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => {
      const hidden = isSecretName(name) && inner !== null && inner !== undefined && inner !== "";
      return [name, hidden ? redacted : redactValue(inner, depth + 1)];
    }),
  );
}

/** Headers as a plain object, credentials gone. */
export function redactHeaders(headers: Iterable<[string, string]>): Record<string, string> {
  const shown: Record<string, string> = {};
  for (const [name, value] of headers) {
    shown[name] = isSecretName(name) ? redacted : redactText(value);
  }
  return shown;
}
