/**
 * Protocol buffers written straight into memory that grows: for messages by the thousand, where
 * `createProtoWriter` would make an array per field. Source:
 * https://protobuf.dev/programming-guides/encoding
 */

export interface ProtoBuffer {
  readonly length: number;
  /** An int32, int64 or enum; whole, and exact in a double. */
  int(number: number, value: number): void;
  bool(number: number, value: boolean): void;
  double(number: number, value: number): void;
  /** A fixed64 of two halves. */
  fixed64(number: number, high: number, low: number): void;
  fixed32(number: number, value: number): void;
  text(number: number, value: string): void;
  bytes(number: number, value: Uint8Array): void;
  /** Bytes of hex digits. */
  hex(number: number, digits: string): void;
  /** Doubles, or fixed64 counts, packed. */
  doubles(number: number, values: readonly number[]): void;
  counts(number: number, values: readonly number[]): void;
  /** Fields that were encoded before, as they are. */
  raw(fields: Uint8Array): void;
  /** Opens a message; what is written until `end(mark)` is in it. */
  begin(number: number): number;
  end(mark: number): void;
  /** Puts a value where room was left for it, counted from the buffer's start. */
  patchDouble(at: number, value: number): void;
  patchInt(at: number, value: number): void;
  /** Of ASCII, as long as the room for it. */
  patchText(at: number, value: string): void;
  /** All that was written, copied; the buffer is empty after it. */
  take(): Uint8Array<ArrayBuffer>;
  /** The same without a copy: good until something is written after `clear`. */
  view(): Uint8Array<ArrayBuffer>;
  clear(): void;
}

/** A whole number in a slot: five bytes of seven bits, the last without a sequel. */
export const slotIntBytes = 5;
const slotIntLimit = 2 ** 35 - 1;

/** A length that is reserved before it is known: what most messages need. */
const reservedBytes = 2;
const two32 = 2 ** 32;

/** Of what fits into memory. */
function sizeOfVarint(value: number): number {
  return value < 0x80
    ? 1
    : value < 0x4000
      ? 2
      : value < 0x20_0000
        ? 3
        : value < 0x1000_0000
          ? 4
          : 5;
}

export function createProtoBuffer(sizeBytes = 4096): ProtoBuffer {
  let bytes = Buffer.allocUnsafeSlow(sizeBytes);
  let view = new DataView(bytes.buffer);
  let at = 0;

  function reserve(size: number): void {
    if (at + size <= bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(bytes.length * 2, at + size));
    grown.set(bytes.subarray(0, at));
    bytes = grown;
    view = new DataView(grown.buffer);
  }

  function varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      bytes[at++] = (rest % 0x80) | 0x80;
      rest = rest < two32 ? Math.floor(rest) >>> 7 : Math.floor(rest / 0x80);
    }
    bytes[at++] = rest;
  }

  function key(number: number, wire: number, size: number): void {
    reserve(size + 10);
    varint(number * 8 + wire);
  }

  function fixed64(high: number, low: number): void {
    view.setUint32(at, low, true);
    view.setUint32(at + 4, high, true);
    at += 8;
  }

  const buffer: ProtoBuffer = {
    get length() {
      return at;
    },
    int(number, value) {
      key(number, 0, 10);
      if (value >= 0) return varint(value);
      // Two's complement of 64 bits, ten bytes.
      let rest = BigInt.asUintN(64, BigInt(value));
      for (; rest >= 0x80n; rest >>= 7n) bytes[at++] = Number(rest & 0x7fn) | 0x80;
      bytes[at++] = Number(rest);
    },
    bool: (number, value) => buffer.int(number, value ? 1 : 0),
    double(number, value) {
      key(number, 1, 8);
      view.setFloat64(at, value, true);
      at += 8;
    },
    fixed64(number, high, low) {
      key(number, 1, 8);
      fixed64(high, low);
    },
    fixed32(number, value) {
      key(number, 5, 4);
      view.setUint32(at, value, true);
      at += 4;
    },
    text(number, value) {
      key(number, 2, value.length * 3 + 5);
      // Written before its length is known: a second pass to measure would cost as much again.
      const expected = sizeOfVarint(value.length);
      const written = bytes.write(value, at + expected, "utf8");
      const needed = sizeOfVarint(written);
      if (needed !== expected)
        bytes.copyWithin(at + needed, at + expected, at + expected + written);
      varint(written);
      at += written;
    },
    bytes(number, value) {
      key(number, 2, value.length + 5);
      varint(value.length);
      bytes.set(value, at);
      at += value.length;
    },
    hex(number, digits) {
      key(number, 2, digits.length);
      varint(digits.length / 2);
      at += bytes.write(digits, at, "hex");
    },
    doubles(number, values) {
      key(number, 2, values.length * 8 + 5);
      varint(values.length * 8);
      for (const value of values) {
        view.setFloat64(at, value, true);
        at += 8;
      }
    },
    counts(number, values) {
      key(number, 2, values.length * 8 + 5);
      varint(values.length * 8);
      for (const value of values) fixed64(Math.floor(value / two32), value % two32);
    },
    raw(fields) {
      reserve(fields.length);
      bytes.set(fields, at);
      at += fields.length;
    },
    begin(number) {
      key(number, 2, reservedBytes);
      at += reservedBytes;
      return at;
    },
    end(mark) {
      const size = at - mark;
      const needed = sizeOfVarint(size);
      if (needed !== reservedBytes) {
        reserve(needed);
        bytes.copyWithin(mark - reservedBytes + needed, mark, at);
      }
      at = mark - reservedBytes;
      varint(size);
      at += size;
    },
    patchDouble: (offset, value) => view.setFloat64(offset, value, true),
    patchInt(offset, value) {
      let rest = Math.min(slotIntLimit, Math.max(0, Math.round(value)));
      for (let i = 0; i < slotIntBytes - 1; i++) {
        bytes[offset + i] = (rest % 0x80) | 0x80;
        rest = Math.floor(rest / 0x80);
      }
      bytes[offset + slotIntBytes - 1] = rest;
    },
    patchText(offset, value) {
      bytes.write(value, offset, "latin1");
    },
    take() {
      const whole = new Uint8Array(bytes.subarray(0, at));
      at = 0;
      return whole;
    },
    view: () => new Uint8Array(bytes.buffer, 0, at),
    clear() {
      at = 0;
    },
  };
  return buffer;
}
