/**
 * The head of an HTTP/1.1 response, read once over its bytes. What decides where the body ends is
 * read at once, everything else when somebody asks. Source: RFC 9110 §5, RFC 9112 §4–6.
 */
import { ConnectionFailed } from "./connection-failed.ts";

export const headLimits = { bytes: 64 * 1024, fields: 256 } as const;

/** How the end of a body is told. */
export const framing = { none: 0, length: 1, chunked: 2, close: 3 } as const;
export type Framing = (typeof framing)[keyof typeof framing];

/** Mutable while it is parsed; nobody writes to it afterwards. */
export class Head {
  status = 0;
  /** Of the body; -1 where no Content-Length told it. */
  length = -1;
  chunked = false;
  /** The connection may be used again, as far as the head says. */
  keepAlive = true;
  /** `Keep-Alive: timeout=…`; -1 where it was not told. */
  keepAliveS = -1;
  /** There is a Content-Encoding other than identity. */
  encoded = false;
  readonly bytes: Uint8Array;
  /** Where the fields begin and where they end. */
  fieldsAt = 0;
  bodyAt = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** `head`: the request was a HEAD, whose answer has no body whatever it says. */
  framing(head: boolean): Framing {
    const { status } = this;
    if (head || status === 204 || status === 304 || status < 200) return framing.none;
    if (this.chunked) return framing.chunked;
    if (this.length < 0) return framing.close;
    return this.length === 0 ? framing.none : framing.length;
  }
}

const lf = 10;
const cr = 13;
const space = 32;
const tab = 9;
const colon = 58;
const comma = 44;

/** RFC 9110's `tchar`. */
const isToken = new Uint8Array(256);
for (const char of "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") {
  isToken[char.charCodeAt(0)] = 1;
}
/** What a field's value may hold: no control character but the tab. */
const isText = new Uint8Array(256).fill(1, space);
isText[127] = 0;
isText[tab] = 1;

/**
 * The head that begins at `from`; undefined where the bytes end before it does.
 * @throws ConnectionFailed where it is none. Bare line feeds end lines too, as RFC 9112 §2.2 allows.
 */
export function parseHead(bytes: Uint8Array, from: number): Head | undefined {
  const head = new Head(bytes);
  let at = parseStatusLine(head, bytes, from);
  if (at < 0) return undefined;
  head.fieldsAt = at;
  const end = bytes.length;
  for (let fields = 0; ; fields++) {
    if (fields > headLimits.fields) throw invalid("it has too many header fields");
    if (at >= end) return undefined;
    const first = bytes[at];
    if (first === lf || first === cr) break;
    const nameAt = at;
    while (at < end && isToken[bytes[at] as number] === 1) at++;
    if (at >= end) return undefined;
    // A line that begins with a space would go on with the last one: obsolete, and refused.
    if (bytes[at] !== colon || at === nameAt) throw invalid("a header field is malformed");
    const nameEnd = at++;
    while (at < end && isSpace(bytes[at])) at++;
    const valueAt = at;
    while (at < end && isText[bytes[at] as number] === 1) at++;
    const textEnd = at;
    if (bytes[at] === cr) at++;
    if (at >= end) return undefined;
    if (bytes[at++] !== lf) throw invalid("a header field is malformed");
    const size = nameEnd - nameAt;
    // Of the names that matter here, each has one of these lengths.
    if (size === 10 || size === 14 || size === 16 || size === 17) {
      let valueEnd = textEnd;
      while (valueEnd > valueAt && isSpace(bytes[valueEnd - 1])) valueEnd--;
      readField(head, nameAt, size, valueAt, valueEnd);
    }
  }
  if (bytes[at] === cr && ++at >= end) return undefined;
  if (bytes[at] !== lf) throw invalid("a header field is malformed");
  head.bodyAt = at + 1;
  // Both may stand: then chunks count, and the connection is not trusted any further (RFC 9112 §6.3).
  if (head.chunked && head.length >= 0) head.keepAlive = false;
  return head;
}

const isSpace = (byte: number | undefined) => byte === space || byte === tab;

/** `HTTP/1.1 200 OK`. Answers where the next line begins, or -1 where this one has not ended. */
function parseStatusLine(head: Head, bytes: Uint8Array, from: number): number {
  for (let i = 0; i < versionPrefix.length; i++) {
    const byte = bytes[from + i];
    if (byte === undefined) return -1;
    if (byte !== versionPrefix[i]) throw invalid("it does not begin as HTTP/1.x does");
  }
  const end = bytes.length;
  let at = from + versionPrefix.length;
  if (end - at < 6) return -1;
  const minor = digit(bytes[at]);
  const hundreds = digit(bytes[at + 2]);
  const tens = digit(bytes[at + 3]);
  const ones = digit(bytes[at + 4]);
  const after = bytes[at + 5] as number;
  if (minor < 0 || bytes[at + 1] !== space || hundreds < 1 || tens < 0 || ones < 0) {
    throw invalid("its status line is malformed");
  }
  if (after !== space && after !== cr && after !== lf)
    throw invalid("its status line is malformed");
  head.status = hundreds * 100 + tens * 10 + ones;
  head.keepAlive = minor !== 0;
  at += 5;
  while (at < end && isText[bytes[at] as number] === 1) at++;
  if (bytes[at] === cr) at++;
  if (at >= end) return -1;
  if (bytes[at] !== lf) throw invalid("its status line is malformed");
  return at + 1;
}

const versionPrefix = new TextEncoder().encode("HTTP/1.");
const contentLength = new TextEncoder().encode("content-length");
const contentEncoding = new TextEncoder().encode("content-encoding");
const transferEncoding = new TextEncoder().encode("transfer-encoding");
const connection = new TextEncoder().encode("connection");
const keepAlive = new TextEncoder().encode("keep-alive");
const maxDigits = 15; // exact as a double

function digit(byte: number | undefined): number {
  return byte !== undefined && byte >= 48 && byte <= 57 ? byte - 48 : -1;
}

function readField(head: Head, nameAt: number, size: number, valueAt: number, valueEnd: number) {
  const { bytes } = head;
  if (size === 14) {
    if (isName(bytes, nameAt, contentLength)) readLength(head, valueAt, valueEnd);
    return;
  }
  if (size === 16) {
    if (!isName(bytes, nameAt, contentEncoding)) return;
    const coding = text(bytes, valueAt, valueEnd).toLowerCase();
    if (coding !== "" && coding !== "identity") head.encoded = true;
    return;
  }
  if (size === 17) {
    if (!isName(bytes, nameAt, transferEncoding)) return;
    const coding = text(bytes, valueAt, valueEnd).toLowerCase();
    if (coding === "identity") return; // of an old server: nothing is done to the body
    if (coding !== "chunked" || head.chunked) throw invalid(`its transfer coding is not known`);
    head.chunked = true;
    return;
  }
  if (isName(bytes, nameAt, connection)) {
    if (valueEnd - valueAt === 10 && isName(bytes, valueAt, keepAlive)) head.keepAlive = true;
    else readConnection(head, text(bytes, valueAt, valueEnd));
  } else if (isName(bytes, nameAt, keepAlive)) {
    const found = /(?:^|[,;\s])timeout\s*=\s*(\d{1,6})/i.exec(text(bytes, valueAt, valueEnd));
    if (found) head.keepAliveS = Number(found[1]);
  }
}

function readConnection(head: Head, value: string): void {
  const words = value
    .toLowerCase()
    .split(",")
    .map((word) => word.trim());
  if (words.includes("close")) head.keepAlive = false;
  else if (words.includes("keep-alive")) head.keepAlive = true;
}

/** One number, or the same one several times over. */
function readLength(head: Head, from: number, end: number): void {
  const { bytes } = head;
  let at = from;
  for (;;) {
    let value = 0;
    const start = at;
    for (; at < end; at++) {
      const next = digit(bytes[at]);
      if (next < 0) break;
      value = value * 10 + next;
    }
    if (at === start || at - start > maxDigits) throw invalid("its length is no number");
    if (head.length >= 0 && head.length !== value) throw invalid("it has two different lengths");
    head.length = value;
    while (at < end && isSpace(bytes[at])) at++;
    if (at >= end) return;
    if (bytes[at++] !== comma) throw invalid("its length is no number");
    while (at < end && isSpace(bytes[at])) at++;
  }
}

/** `name` is in lower case. */
function isName(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) {
    if (((bytes[at + i] as number) | 0x20) !== name[i]) return false;
  }
  return true;
}

function text(bytes: Uint8Array, from: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, end - from).toString("latin1");
}

/**
 * A field's value; several of a name are joined as one list. Undefined where there is none.
 * @param name in lower case
 */
export function findField(head: Head, name: string): string | undefined {
  let found: string | undefined;
  eachField(head, (nameAt, nameEnd, valueAt, valueEnd) => {
    if (nameEnd - nameAt !== name.length) return;
    for (let i = 0; i < name.length; i++) {
      if (((head.bytes[nameAt + i] as number) | 0x20) !== (name.charCodeAt(i) | 0x20)) return;
    }
    const value = text(head.bytes, valueAt, valueEnd);
    found = found === undefined ? value : `${found}, ${value}`;
  });
  return found;
}

export function toHeaders(head: Head): Headers {
  const headers = new Headers();
  eachField(head, (nameAt, nameEnd, valueAt, valueEnd) => {
    headers.append(text(head.bytes, nameAt, nameEnd), text(head.bytes, valueAt, valueEnd));
  });
  return headers;
}

type OnField = (nameAt: number, nameEnd: number, valueAt: number, valueEnd: number) => void;

/** Over fields that have been parsed once, so nothing is checked again. */
function eachField({ bytes, fieldsAt, bodyAt }: Head, onField: OnField): void {
  let at = fieldsAt;
  for (;;) {
    if (bytes[at] === cr || bytes[at] === lf) return;
    const lineEnd = bytes.indexOf(lf, at);
    const nameEnd = bytes.indexOf(colon, at);
    let valueAt = nameEnd + 1;
    let valueEnd = bytes[lineEnd - 1] === cr ? lineEnd - 1 : lineEnd;
    while (valueAt < valueEnd && isSpace(bytes[valueAt])) valueAt++;
    while (valueEnd > valueAt && isSpace(bytes[valueEnd - 1])) valueEnd--;
    onField(at, nameEnd, valueAt, valueEnd);
    at = lineEnd + 1;
    if (at >= bodyAt) return;
  }
}

const invalid = (what: string) =>
  new ConnectionFailed("InvalidHTTPResponse", `the answer is no valid HTTP/1.1: ${what}`);
