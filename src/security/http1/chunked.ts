/**
 * The chunked transfer coding, taken off piece by piece. Extensions and trailers are read over:
 * neither means anything to us. Source: RFC 9112 §7.1.
 */
import { ConnectionFailed } from "./connection-failed.ts";

export const chunkedLimits = {
  /** Of the line that says a chunk's size, extensions and all. */
  lineBytes: 16 * 1024,
  /** Of all trailers together. */
  trailerBytes: 64 * 1024,
} as const;

const lf = 10;
const cr = 13;
const semicolon = 59;
const space = 32;
const tab = 9;
const maxDigits = 12; // exact as a double

const inSize = 0;
const inExtension = 1;
const inData = 2;
const afterData = 3;
const inTrailers = 4;
const ended = 5;

/** One per body. */
export class ChunkedDecoder {
  #state: number = inSize;
  #digits = 0;
  #left = 0;
  #lineBytes = 0;
  #trailerBytes = 0;
  /** A line feed before the next other byte than CR ends the trailers. */
  #lineEmpty = true;
  /** After `done`: where in the last piece the body ended. */
  end = 0;

  get done(): boolean {
    return this.#state === ended;
  }

  /**
   * The data in a piece of the wire, from `from` on: a view of the piece, whose bytes are moved
   * together where it holds several chunks. Undefined where there is none.
   * @throws ConnectionFailed
   */
  decode(bytes: Uint8Array, from: number): Uint8Array | undefined {
    const size = bytes.length;
    let at = from;
    let dataAt = -1;
    let dataEnd = -1;
    while (at < size && this.#state !== ended) {
      if (this.#state === inData) {
        const stop = Math.min(size, at + this.#left);
        this.#left -= stop - at;
        if (dataAt < 0) {
          dataAt = at;
          dataEnd = stop;
        } else {
          bytes.copyWithin(dataEnd, at, stop);
          dataEnd += stop - at;
        }
        at = stop;
        if (this.#left === 0) this.#state = afterData;
        continue;
      }
      this.#step(bytes[at++] as number);
    }
    this.end = at;
    return dataAt < 0 ? undefined : bytes.subarray(dataAt, dataEnd);
  }

  #step(byte: number): void {
    if (this.#state === inSize) this.#size(byte);
    else if (this.#state === inExtension) this.#extension(byte);
    else if (this.#state === afterData) this.#afterData(byte);
    else this.#trailer(byte);
  }

  #size(byte: number): void {
    const value = hexDigit(byte);
    if (value >= 0) {
      if (++this.#digits > maxDigits) throw invalid("a chunk's size is too large");
      this.#left = this.#left * 16 + value;
      return;
    }
    if (this.#digits === 0) throw invalid("a chunk has no size");
    if (byte !== semicolon && byte !== cr && byte !== lf && byte !== space && byte !== tab) {
      throw invalid("a chunk's size is no number");
    }
    this.#lineBytes = 0;
    this.#extension(byte);
  }

  #extension(byte: number): void {
    this.#state = inExtension;
    if (byte === lf) {
      this.#digits = 0;
      this.#state = this.#left === 0 ? inTrailers : inData;
    } else if (++this.#lineBytes > chunkedLimits.lineBytes) {
      throw invalid("a chunk's extension is too long");
    }
  }

  #afterData(byte: number): void {
    if (byte === lf) this.#state = inSize;
    else if (byte !== cr) throw invalid("a chunk is longer than it says");
  }

  #trailer(byte: number): void {
    if (byte === lf) {
      if (this.#lineEmpty) this.#state = ended;
      this.#lineEmpty = true;
    } else if (byte !== cr) this.#lineEmpty = false;
    if (++this.#trailerBytes > chunkedLimits.trailerBytes)
      throw invalid("it has too many trailers");
  }
}

function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  const lower = byte | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

const invalid = (what: string) =>
  new ConnectionFailed("InvalidHTTPResponse", `the answer is no valid HTTP/1.1: ${what}`);
