/**
 * LZ4 frames, unpacked.
 * Source: https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md and lz4_Block_format.md
 */
import { Reader } from "./reader.ts";
import { refuseImport } from "./values.ts";

/** @throws GatewayError artifact_refused when it is broken, or longer than `limit` unpacked */
export function unpackLz4(bytes: Uint8Array, limit: number): Uint8Array {
  const reader = new Reader(bytes, 4);
  const flags = reader.u8();
  if (flags >> 6 !== 1) refuseImport("the LZ4 frame is of an unknown version");
  const independent = (flags & 0x20) !== 0;
  const blockChecksum = (flags & 0x10) !== 0;
  reader.u8(); // the largest block: our limit is on the whole
  if (flags & 0x08) reader.take(8); // the length unpacked
  if (flags & 0x01) refuseImport("the LZ4 frame needs a dictionary");
  reader.u8(); // checksum of the header
  const out = new Output(limit);
  for (;;) {
    const size = reader.u32();
    if (size === 0) return out.finish();
    const block = reader.take(size & 0x7fffffff);
    const from = independent ? out.length : 0;
    if (size & 0x80000000) out.append(block);
    else unpackBlock(block, out, from);
    if (blockChecksum) reader.take(4);
  }
}

class Output {
  length = 0;
  private bytes = new Uint8Array(64 * 1024);
  private readonly limit: number;
  constructor(limit: number) {
    this.limit = limit;
  }
  append(part: Uint8Array): void {
    this.reserve(part.length);
    this.bytes.set(part, this.length);
    this.length += part.length;
  }
  /** Byte by byte: what is copied may run into what is being written. */
  repeat(distance: number, count: number, from: number): void {
    if (distance === 0 || this.length - distance < from) refuseImport("the LZ4 block is broken");
    this.reserve(count);
    for (let i = 0; i < count; i++, this.length++) {
      this.bytes[this.length] = this.bytes[this.length - distance] as number;
    }
  }
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
  private reserve(more: number): void {
    const wanted = this.length + more;
    if (wanted > this.limit) refuseImport(`it unpacks to more than ${this.limit} bytes`);
    if (wanted <= this.bytes.length) return;
    const grown = new Uint8Array(Math.min(this.limit, Math.max(wanted, this.bytes.length * 2)));
    grown.set(this.bytes.subarray(0, this.length));
    this.bytes = grown;
  }
}

/** Literals and copies in turn; a block ends after literals. */
function unpackBlock(block: Uint8Array, out: Output, from: number): void {
  const reader = new Reader(block);
  while (reader.left > 0) {
    const token = reader.u8();
    out.append(reader.take(lengthOf(token >> 4, reader)));
    if (reader.left === 0) return;
    const distance = reader.u16();
    out.repeat(distance, 4 + lengthOf(token & 15, reader), from);
  }
}

/** Fifteen says that more follows, a byte at a time while they are 255. */
function lengthOf(nibble: number, reader: Reader): number {
  let length = nibble;
  if (nibble < 15) return length;
  for (;;) {
    const byte = reader.u8();
    length += byte;
    if (byte < 255) return length;
  }
}
