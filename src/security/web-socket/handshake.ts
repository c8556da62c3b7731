/** The HTTP part of a WebSocket: what is asked, and whether the answer agrees. Source: RFC 6455 §4. */
import { createHash } from "node:crypto";

export interface Upgrade {
  /** Path and query. */
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly key: string;
}

/** @throws TypeError for a header that is none */
export function encodeUpgrade({ path, host, headers, key }: Upgrade): string {
  // Headers checks names and values: no line break gets into the request.
  const all = new Headers({ host, ...headers });
  all.set("upgrade", "websocket");
  all.set("connection", "Upgrade");
  all.set("sec-websocket-version", "13");
  all.set("sec-websocket-key", key);
  const lines = [...all].map(([name, value]) => `${name}: ${value}`);
  return `GET ${path} HTTP/1.1\r\n${lines.join("\r\n")}\r\n\r\n`;
}

export interface Head {
  readonly status: number;
  readonly headers: Headers;
  /** What came after it. */
  readonly rest: Uint8Array;
}

const headLimit = 32 * 1024;

/** Undefined until its end is there. @throws Error for what is no answer of HTTP. */
export function readHead(bytes: Buffer): Head | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0 && bytes.length <= headLimit) return undefined;
  if (end < 0 || end > headLimit) throw new Error("its headers are too long");
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |$)/.exec(first)?.[1] ?? Number.NaN);
  if (Number.isNaN(status)) throw new Error("it does not speak HTTP");
  const headers = new Headers();
  for (const line of lines) {
    const colon = line.indexOf(":");
    if (colon <= 0) throw new Error("one of its headers is none");
    headers.append(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  return { status, headers, rest: bytes.subarray(end + 4) };
}

/** What is wrong with an answer of 101; undefined where it agrees. */
export function disagreement({ headers }: Head, key: string, offered: readonly string[]) {
  if (headers.get("upgrade")?.toLowerCase() !== "websocket") return "it upgrades to something else";
  if (!/(^|,)\s*upgrade\s*(,|$)/i.test(headers.get("connection") ?? "")) {
    return "its Connection header does not say so";
  }
  if (headers.get("sec-websocket-accept") !== acceptOf(key)) return "it did not read the key";
  if (headers.has("sec-websocket-extensions")) return "it uses an extension that nobody offered";
  const protocol = headers.get("sec-websocket-protocol");
  if (protocol !== null && !offered.includes(protocol)) return "it chose another subprotocol";
  return undefined;
}

const acceptOf = (key: string) =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** Whether the body of a refusal is all there, as far as its headers say where it ends. */
export function isBodyComplete(headers: Headers, body: Buffer): boolean {
  if (/chunked/i.test(headers.get("transfer-encoding") ?? "")) return body.includes("0\r\n\r\n");
  const length = headers.get("content-length");
  return length !== null && body.length >= Number(length);
}

/** The body without the marks of its chunks; what was cut off is left out. */
export function bodyOf(headers: Headers, body: Buffer): Uint8Array {
  if (!/chunked/i.test(headers.get("transfer-encoding") ?? "")) return body;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < body.length; ) {
    const line = body.indexOf("\r\n", at);
    const size = line < 0 ? Number.NaN : Number.parseInt(body.toString("latin1", at, line), 16);
    if (!(size > 0)) break;
    parts.push(body.subarray(line + 2, line + 2 + size));
    at = line + 2 + size + 2;
  }
  return Buffer.concat(parts);
}
