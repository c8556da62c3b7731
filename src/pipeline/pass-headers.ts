/** Which headers go through to a provider's own API, and which come back. */

/** Of the connection, of the caller's identity, and of this gateway: none of the provider's business. */
const kept = new Set([
  ...["connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection"],
  ...["te", "trailer", "transfer-encoding", "upgrade", "host", "content-length", "expect"],
  ...["authorization", "api-key", "x-api-key", "x-goog-api-key", "ocp-apim-subscription-key"],
  ...["x-admin-api-key", "cookie", "origin", "referer", "forwarded", "via", "x-real-ip"],
  ...["accept-encoding", "x-request-id"],
]);
const keptPrefixes = /^(x-litellm-|x-routeiq-|x-forwarded-|sec-|cf-|x-amz-security)/;

/** What an answer needs in any case to be understood. */
const needed = new Set(["content-type", "accept", "content-encoding"]);

export function forwardedHeaders(headers: Headers, all: boolean): Record<string, string> {
  const forwarded: Record<string, string> = {};
  const listed = new Set(
    (headers.get("connection") ?? "").split(",").map((name) => name.trim().toLowerCase()),
  );
  for (const [name, value] of headers) {
    if (kept.has(name) || keptPrefixes.test(name) || listed.has(name)) continue;
    if (all || needed.has(name)) forwarded[name] = value;
  }
  return forwarded;
}

/** Of the provider's connection and of its own site; ours say the same of ours. */
const dropped = new Set([
  ...["connection", "keep-alive", "transfer-encoding", "trailer", "upgrade", "proxy-authenticate"],
  ...[
    "content-length",
    "content-encoding",
    "set-cookie",
    "alt-svc",
    "date",
    "server",
    "x-request-id",
  ],
  ...["strict-transport-security", "www-authenticate", "nel", "report-to"],
]);

export function returnedHeaders(headers: Headers): Record<string, string> {
  const returned: Record<string, string> = {};
  for (const [name, value] of headers) {
    if (dropped.has(name) || name.startsWith("access-control-")) continue;
    returned[name] = value;
  }
  return returned;
}
