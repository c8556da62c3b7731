/** Where requests of one kind go: everything about them that is the same for each, made once. */
import { GatewayError } from "../domain/errors.ts";
import { version } from "../std/version.ts";
import { normalHost, type Trust } from "./ssrf.ts";

export interface Destination {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly trust: Trust;
  /** Trust and origin: what was found out about one is good for all of the same key. */
  readonly key: string;
  /** For messages. */
  readonly host: string;
  /** The request line and header fields, each with its line end; what differs per call follows. */
  readonly head: string;
}

const userAgent = `routeiq/${version}`;

/**
 * What every request says unless its own headers say otherwise. No compression, so that streams
 * are not held back by a compressor.
 */
export function defaultHeaders(host: string): Record<string, string> {
  return { "accept-encoding": "identity", "user-agent": userAgent, host };
}

/**
 * @param headers an operator's own `host` (a virtual host behind an address) stands above the URL's
 * @throws GatewayError config_invalid where a header cannot be sent
 */
export function toDestination(from: {
  readonly url: string;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly trust: Trust;
}): Destination {
  const { url, method, headers, trust } = from;
  const { origin } = splitUrl(url);
  const parsed = URL.parse(url);
  return {
    ...{ url, method, headers, trust },
    key: `${trust} ${origin}`,
    host: normalHost(parsed?.hostname ?? ""),
    // A URL that is none is never sent to: the address check refuses it, and says why.
    head: parsed ? toHead(method, parsed, headers) : "",
  };
}

/** Cheap, and only a key; any form but the plainest is taken apart by the URL parser each time. */
export function splitUrl(url: string): { readonly origin: string; readonly rest: string } {
  const origin = /^https?:\/\/[A-Za-z0-9.:[\]-]+(?=\/)/.exec(url)?.[0];
  return origin === undefined
    ? { origin: url, rest: "" }
    : { origin, rest: url.slice(origin.length) };
}

function toHead(method: string, url: URL, headers: Destination["headers"]): string {
  const fields = new Map(Object.entries(defaultHeaders(url.host)));
  for (const [name, value] of Object.entries(headers)) fields.set(name.toLowerCase(), value);
  let head = `${method} ${url.pathname}${url.search} HTTP/1.1\r\n`;
  for (const [name, value] of fields) {
    if (!ourOwn.has(name)) head += headerLine(name, value);
  }
  return head;
}

/** The connection's own business, which no configuration decides. */
const ourOwn: ReadonlySet<string> = new Set(["connection", "content-length", "transfer-encoding"]);

/** A field with its line end. @throws GatewayError config_invalid */
export function headerLine(name: string, value: string): string {
  const text = value.trim();
  if (
    !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) ||
    !/^[\t\x20-\x7e\x80-\u{10ffff}]*$/u.test(text)
  ) {
    throw new GatewayError(
      "config_invalid",
      `The header "${name.slice(0, 64)}" cannot be sent: its name or value holds characters that no header may have.`,
    );
  }
  return `${name}: ${text}\r\n`;
}

/** The fields of text that `headerLine` made. */
export function readHeaderLines(text: string): Record<string, string> {
  const lines = text.split("\r\n").filter((line) => line !== "");
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon), line.slice(colon + 2)];
    }),
  );
}
