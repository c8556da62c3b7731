/** An upstream's answer on the hot path: no more than a call needs, and nothing made before it is asked for. */
export interface OutboundReply {
  readonly status: number;
  /** A header's value, of several one list; undefined where there is none. `name` in lower case. */
  header(name: string): string | undefined;
  /** All headers, made on each call: for those who hand them on. */
  headers(): Headers;
  /**
   * The body as a whole, at once where it has come already. Beyond the limit the rest is cut off,
   * or the whole refused. @throws BodyTooLarge, and what `read` throws
   */
  whole(limitBytes: number, beyond: "cut" | "refuse"): Bytes | Promise<Bytes>;
  /**
   * The next bytes, at once where they have come already; undefined at the end. One read at a time.
   * Who does not read stops the server: no more than `unreadLimitBytes` are held.
   * @param explain makes of a failure what is thrown: here, so that it costs no promise
   * @throws the reason of the cancel; otherwise any error, when the body broke off
   */
  read(explain?: Explain): Piece | Promise<Piece>;
  /** Lets go of what was not read: a connection in the middle of a body is closed. */
  close(): void;
}

export type Bytes = Uint8Array | ArrayBuffer;

/** Undefined: the end. */
export type Piece = Uint8Array | undefined;
export type Explain = (thrown: unknown) => unknown;

export class BodyTooLarge extends Error {
  constructor(limitBytes: number) {
    super(`the body is larger than the limit of ${limitBytes} bytes`);
    this.name = "BodyTooLarge";
  }
}

/** More than this waits for a reader in the kernel, or at the sender's. */
export const unreadLimitBytes = 256 * 1024;
