/** Bytes read from front to back; every read is within what there is. */
import { refuseImport } from "./values.ts";

export class Reader {
  readonly bytes: Uint8Array;
  at: number;
  private readonly view: DataView;
  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get left(): number {
    return this.bytes.length - this.at;
  }
  /** A view of the next bytes, not a copy. */
  take(length: number): Uint8Array {
    this.step(length);
    return this.bytes.subarray(this.at - length, this.at);
  }
  u8(): number {
    this.step(1);
    return this.view.getUint8(this.at - 1);
  }
  u16(): number {
    this.step(2);
    return this.view.getUint16(this.at - 2, true);
  }
  i32(): number {
    this.step(4);
    return this.view.getInt32(this.at - 4, true);
  }
  u32(): number {
    this.step(4);
    return this.view.getUint32(this.at - 4, true);
  }
  /** A length of eight bytes; beyond 2⁵³ it is beyond the file as well. */
  u64(): number {
    this.step(8);
    return Number(this.view.getBigUint64(this.at - 8, true));
  }
  f64(): number {
    this.step(8);
    return this.view.getFloat64(this.at - 8, false);
  }
  /** Up to the end of the line, which is left behind. */
  line(): string {
    const end = this.bytes.indexOf(10, this.at);
    if (end < 0) refuseImport(truncated);
    const { buffer, byteOffset } = this.bytes;
    // TextDecoder's "latin1" is Windows' code page.
    const text = Buffer.from(buffer, byteOffset + this.at, end - this.at).toString("latin1");
    this.at = end + 1;
    return text;
  }

  private step(length: number): void {
    if (!(length >= 0) || length > this.left) refuseImport(truncated);
    this.at += length;
  }
}

const truncated = "the file ends early, or says of a part that it is longer than the file";
