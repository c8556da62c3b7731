/** HTTP as bytes over a socket: requests that no client would send, answers as they came. */

export interface RawAnswer {
  /** Of the first answer; 0 where none came. */
  readonly status: number;
  /** All that came, byte for byte, as Latin-1. */
  readonly text: string;
  /** The server closed the connection. */
  readonly closed: boolean;
}

export interface RawOptions {
  /** Waits for so many answers, where it is not the end of the connection that is waited for. */
  readonly answers?: number;
  /** A hang is a finding, told as such; 0 ms of a healthy test go into it. */
  readonly limitMs?: number;
}

/** Sends pieces, each in a write of its own, and reads until the answers are there or it closes. */
export async function sendRaw(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  { answers, limitMs = 10_000 }: RawOptions = {},
): Promise<RawAnswer> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let text = "";
  const timer = setTimeout(() => resolve(false), limitMs);
  const waiting: Uint8Array[] = pieces.map((piece) =>
    typeof piece === "string" ? Buffer.from(piece, "latin1") : piece,
  );
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_, bytes) {
        text += bytes.toString("latin1");
        if (answers !== undefined && countAnswers(text) >= answers) resolve(false);
      },
      drain: (open) => push(open, waiting),
      close: () => resolve(true),
      error: () => resolve(true),
    },
  });
  push(socket, waiting);
  const closed = await promise;
  clearTimeout(timer);
  socket.end();
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1] ?? 0), text, closed };
}

interface Writable {
  write(bytes: Uint8Array): number;
}

function push(socket: Writable, waiting: Uint8Array[]): void {
  for (let piece = waiting.shift(); piece; piece = waiting.shift()) {
    const written = socket.write(piece);
    if (written < 0) return; // closed
    if (written < piece.length) {
      waiting.unshift(piece.subarray(written));
      return;
    }
  }
}

/** Whole answers, by their Content-Length; 100 Continue and its like are none. */
export function countAnswers(text: string): number {
  return splitAnswers(text).length;
}

export interface SplitAnswer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

export function splitAnswers(text: string): SplitAnswer[] {
  const found: SplitAnswer[] = [];
  let at = 0;
  for (;;) {
    const end = text.indexOf("\r\n\r\n", at);
    if (end < 0) return found;
    const head = text.slice(at, end);
    const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1] ?? 0);
    const length = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
    if (text.length < end + 4 + length) return found;
    if (status >= 200) found.push({ status, head, body: text.slice(end + 4, end + 4 + length) });
    at = end + 4 + length;
  }
}

/** A plain POST's bytes, its head open to change. */
export function post(path: string, body: string, headers: readonly string[] = []): string {
  const lines = [
    `POST ${path} HTTP/1.1`,
    "Host: gateway.test",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...headers,
  ];
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}
