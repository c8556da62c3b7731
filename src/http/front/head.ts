/**
 * The head of a request, where it is a plain one: a POST of a stated length and nothing else that a
 * server would have to think about. Whatever differs is not refused but left to the runtime's own
 * server, so this parser may say "not mine" to anything. Grammar: RFC 9110 §5, RFC 9112 §2–3, §5.
 */
import type { RequestHeaders } from "../../domain/call.ts";

export interface Head {
  /** Without its query. */
  readonly path: string;
  readonly headers: RequestHeaders;
  readonly bodyLength: number;
  /** The caller wants the connection closed after the answer. */
  readonly close: boolean;
}

/** The names in lower case, beside their values. What was looked for once is remembered: a client's next heads are the same. */
class FieldList implements RequestHeaders {
  readonly names: string[] = [];
  readonly values: string[] = [];
  readonly #found = new Map<string, string | null>();

  replace(name: string, value: string): void {
    this.values[this.names.indexOf(name)] = value;
    this.#found.set(name, value);
  }

  /** `name` is one of those that the gateway knows, so that few are remembered. */
  get(name: string): string | null {
    const known = this.#found.get(name);
    if (known !== undefined) return known;
    const value = this.#find(name);
    if (this.#found.size < foundLimit) this.#found.set(name, value);
    return value;
  }

  #find(name: string): string | null {
    const at = this.names.indexOf(name);
    if (at < 0) return null;
    const again = this.names.indexOf(name, at + 1);
    if (again < 0) return this.values[at] ?? null;
    return this.values.filter((_, i) => this.names[i] === name).join(", ");
  }

  has(name: string): boolean {
    return this.names.includes(name);
  }

  entries(): Iterable<readonly [string, string]> {
    return this.names.map((name, i) => [name, this.values[i] ?? ""] as const);
  }
}

const foundLimit = 128;

const start = "POST /";
const version = " HTTP/1.1";
/** Field lines in their strict form: a token, a colon, visible characters, blanks and obs-text. */
const fieldLines = /^(?:\r\n[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*)+$/;
/** With a port of up to 65535. */
const hostName =
  /^(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::(?:\d{1,4}|[1-5]\d{4}|6(?:[0-4]\d{3}|5(?:[0-4]\d\d|5(?:[0-2]\d|3[0-5])))))?$/;
const plainTarget = /^\/[\x21-\x7e]*$/;

/** What asks the server for something of its own, or could make two servers read two requests. */
const unplain: readonly string[] = [
  "transfer-encoding",
  "expect",
  "upgrade",
  "origin",
  "idempotency-key",
  "content-encoding",
  "trailer",
  "te",
];

/**
 * Reads the heads of one connection. A client says the same in each but for the length of the body:
 * such a head costs a comparison instead of being taken apart.
 */
export class HeadReader {
  #last: Head | undefined;
  /** The last head up to the digits of its length, and after them. */
  #before = "";
  #after = "";

  /** As `readHead`; the fields that it answers are those of this head until the next is read. */
  read(text: string): Head | undefined {
    const length = this.#lengthOf(text);
    if (this.#last && length !== undefined) {
      const { path, headers, close } = this.#last;
      (headers as FieldList).replace("content-length", length);
      this.#last = { path, headers, bodyLength: Number(length), close };
      return this.#last;
    }
    this.#last = readHead(text);
    if (this.#last) this.#remember(text, String(this.#last.headers.get("content-length")));
    return this.#last;
  }

  /** The digits, where all else is as in the last head. */
  #lengthOf(text: string): string | undefined {
    const from = this.#before.length;
    const to = text.length - this.#after.length;
    if (from === 0 || to <= from || to > from + 10) return undefined;
    if (!text.startsWith(this.#before) || !text.endsWith(this.#after)) return undefined;
    const digits = text.slice(from, to);
    return allDigits.test(digits) ? digits : undefined;
  }

  #remember(text: string, digits: string): void {
    this.#before = "";
    const field = /\r\ncontent-length:[ \t]*/i.exec(text);
    const from = field ? field.index + field[0].length : -1;
    if (!text.startsWith(digits, from)) return;
    this.#before = text.slice(0, from);
    this.#after = text.slice(from + digits.length);
  }
}

const allDigits = /^\d{1,10}$/;

/**
 * Reads a head of latin1 text, its final empty line taken off. Undefined: it is not a plain one.
 * Costs a few microseconds.
 */
export function readHead(text: string): Head | undefined {
  if (!text.startsWith(start)) return undefined;
  const lineEnd = text.indexOf("\r\n");
  if (lineEnd < 0 || !text.startsWith(version, lineEnd - version.length)) return undefined;
  const target = text.slice(start.length - 1, lineEnd - version.length);
  if (!plainTarget.test(target) || !fieldLines.test(text.slice(lineEnd))) return undefined;
  const headers = readFields(text, lineEnd);
  if (unplain.some((name) => headers.has(name))) return undefined;
  const host = headers.get("host");
  const length = headers.get("content-length");
  // Said twice, either reads as "a, b" here, which is no host and no number.
  if (host === null || length === null || !hostName.test(host) || !allDigits.test(length)) {
    return undefined;
  }
  const connection = headers.get("connection")?.toLowerCase();
  if (connection !== undefined && connection !== "keep-alive" && connection !== "close") {
    return undefined;
  }
  const query = target.indexOf("?");
  return {
    path: query < 0 ? target : target.slice(0, query),
    headers,
    bodyLength: Number(length),
    close: connection === "close",
  };
}

const letterA = 65;
const letterZ = 90;
const cr = 13;
const lf = 10;

/**
 * Whether a head that has not ended may still end, so that it is waited for, whatever its method:
 * only here has it a deadline. One with bare line feeds never would end; the other server says so.
 */
export function mayEnd(bytes: Uint8Array): boolean {
  const [first = 0] = bytes;
  if (first < letterA || first > letterZ) return false;
  for (let at = bytes.indexOf(lf); at >= 0; at = bytes.indexOf(lf, at + 1)) {
    if (bytes[at - 1] !== cr) return false;
  }
  return true;
}

function readFields(text: string, from: number): FieldList {
  const fields = new FieldList();
  let at = from + 2;
  while (at < text.length) {
    const colon = text.indexOf(":", at);
    const next = text.indexOf("\r\n", colon);
    const end = next < 0 ? text.length : next;
    fields.names.push(text.slice(at, colon).toLowerCase());
    fields.values.push(text.slice(colon + 1, end).trim());
    at = end + 2;
  }
  return fields;
}
