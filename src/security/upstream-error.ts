/** Failures of connections in the gateway's words. */
import { GatewayError } from "../domain/errors.ts";

const connectFailures: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ConnectionRefused",
  "FailedToOpenSocket",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "EADDRNOTAVAIL",
  "ETIMEDOUT",
  "ENOTFOUND",
]);

/** No connection came about, so nothing was sent: another address may be tried. */
export function isConnectFailure(thrown: unknown): boolean {
  if (thrown instanceof GatewayError) return thrown.code === "upstream_timeout";
  return connectFailures.has(codeOf(thrown));
}

export const codeOf = (thrown: unknown): string =>
  typeof thrown === "object" && thrown !== null && "code" in thrown ? String(thrown.code) : "";

export function toUpstreamError(thrown: unknown, host: string): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const code = codeOf(thrown);
  if (connectFailures.has(code)) return unreachable(host, "it refuses the connection", thrown);
  if (/CERT|SELF_SIGNED|UNABLE_TO_|ALTNAME|TLS|SSL/.test(code)) {
    return unreachable(host, `its TLS certificate is not accepted (${code})`, thrown);
  }
  const why = code === "" ? "the connection failed" : `the connection failed (${code})`;
  return unreachable(host, why, thrown);
}

export function unreachable(host: string, why: string, cause?: unknown): GatewayError {
  return new GatewayError(
    "upstream_unreachable",
    `The server at ${host} cannot be reached: ${why}.`,
    { cause },
  );
}

export function tooSlow(host: string, what: string, limitMs: number): GatewayError {
  const message = `The server at ${host} cannot be reached: ${what} within ${limitMs} ms.`;
  return new GatewayError("upstream_timeout", message);
}
