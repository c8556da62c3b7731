/**
 * Forms as they come (multipart/form-data), part by part and never whole: fields as values, files as
 * pieces. Source: RFC 7578, RFC 2046 §5.1.
 */

export type FormEvent =
  | {
      readonly kind: "field";
      readonly name: string;
      /** The part's header lines as they came, without the empty one. */
      readonly header: Uint8Array;
      readonly value: Uint8Array;
    }
  | { readonly kind: "file"; readonly name: string; readonly header: Uint8Array }
  /** A piece of the file that was begun last. */
  | { readonly kind: "piece"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

export const formLimits = {
  headerBytes: 8 * 1024,
  /** Of one field: an image's prompt may be long. */
  fieldBytes: 1024 * 1024,
  parts: 256,
  preambleBytes: 1024,
} as const;

export class FormInvalid extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = "FormInvalid";
  }
}

/** Undefined where a Content-Type is no form; @throws FormInvalid where it has no valid boundary. */
export function boundaryOf(contentType: string): string | undefined {
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType.trim())) return undefined;
  const match = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))\s*(?:;|$)/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary !== undefined && /^[\x20-\x7e]*[\x21-\x7e]$/.test(boundary)) return boundary;
  throw new FormInvalid("its Content-Type names no boundary");
}

/**
 * Costs one search per byte and holds one chunk, or one field, at a time.
 * @throws FormInvalid where the form is broken, ends early, or is beyond a limit
 */
export async function* parseForm(
  source: AsyncIterable<Uint8Array>,
  boundary: string,
): AsyncGenerator<FormEvent> {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  const chunks = source[Symbol.asyncIterator]();
  // The first boundary has no line before it.
  let held = Buffer.from("\r\n");
  const more = async () => {
    const { value, done } = await chunks.next();
    if (done) throw new FormInvalid("it ends before its last boundary");
    held = held.length === 0 ? Buffer.from(value) : Buffer.concat([held, value]);
  };
  /** Position of some bytes, read on for at most so many. */
  const find = async (wanted: Buffer, limitBytes: number, what: string) => {
    for (let from = 0; ; ) {
      const at = held.indexOf(wanted, from);
      if (at > limitBytes || (at < 0 && held.length > limitBytes + wanted.length)) {
        throw new FormInvalid(`${what} is longer than ${limitBytes} bytes`);
      }
      if (at >= 0) return at;
      from = Math.max(0, held.length - wanted.length + 1);
      await more();
    }
  };
  const take = (bytes: number) => {
    const taken = held.subarray(0, bytes);
    held = held.subarray(bytes);
    return taken;
  };

  take(await find(delimiter, formLimits.preambleBytes, "what stands before its first part"));
  for (let parts = 0; ; parts++) {
    take(delimiter.length);
    while (held.length < 2) await more();
    if (held.subarray(0, 2).equals(dashes)) break;
    if (parts >= formLimits.parts)
      throw new FormInvalid(`it has more than ${formLimits.parts} parts`);
    const lineEnd = await find(crlf, 64, "a boundary's line");
    if (take(lineEnd).toString("latin1").trim() !== "") {
      throw new FormInvalid("a boundary is followed by something else");
    }
    const headerEnd = await find(emptyLine, formLimits.headerBytes, "a part's header");
    const header = take(headerEnd).subarray(crlf.length);
    take(emptyLine.length);
    const { name, file } = readDisposition(header.toString("utf8"));
    if (!file) {
      const end = await find(delimiter, formLimits.fieldBytes, `the field "${name.slice(0, 50)}"`);
      yield { kind: "field", name, header, value: take(end) };
      continue;
    }
    yield { kind: "file", name, header };
    for (let from = 0; ; ) {
      const at = held.indexOf(delimiter, from);
      // What may be the beginning of a boundary waits for the rest of it.
      const safe = at >= 0 ? at : held.length - delimiter.length + 1;
      if (safe > 0) yield { kind: "piece", bytes: take(safe) };
      if (at >= 0) break;
      from = 0;
      await more();
    }
  }
  yield { kind: "end" };
}

const crlf = Buffer.from("\r\n");
const emptyLine = Buffer.from("\r\n\r\n");
const dashes = Buffer.from("--");

/** The name that a part's file came with; empty where there is none. Source: RFC 7578 §4.2, RFC 8187. */
export function filenameOf(header: Uint8Array): string {
  const line = new TextDecoder().decode(header);
  const encoded = /;\s*filename\*\s*=\s*utf-8''([^;\s]+)/i.exec(line)?.[1];
  if (encoded !== undefined) {
    try {
      return decodeURIComponent(encoded);
    } catch (cause) {
      if (!(cause instanceof URIError)) throw cause;
      throw new FormInvalid("a file's name is not encoded as it says", { cause });
    }
  }
  const match = /;\s*filename\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]+))/i.exec(line);
  return (match?.[1] ?? match?.[2] ?? "").replace(/\\(.)/g, "$1");
}

/** One name, said once: two would be read as one by us and as the other by the next server. */
function readDisposition(header: string): { readonly name: string; readonly file: boolean } {
  const lines = header.split("\r\n").filter((line) => /^content-disposition\s*:/i.test(line));
  const [line] = lines;
  if (lines.length !== 1 || line === undefined || /\r|\n/.test(line)) {
    throw new FormInvalid("a part needs one Content-Disposition");
  }
  const names = [...line.matchAll(/;\s*name\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))/gi)];
  const [match] = names;
  if (names.length !== 1 || !match || /;\s*name\*/i.test(line)) {
    throw new FormInvalid("a part needs one name");
  }
  const name = (match[1] ?? match[2] ?? "").replace(/\\(.)/g, "$1");
  return { name, file: /;\s*filename\*?\s*=/i.test(line) };
}
