/**
 * Protocol buffers on the wire, without schemas: fields in, fields out. Source:
 * https://protobuf.dev/programming-guides/encoding
 */

export interface ProtoField {
  readonly number: number;
  /** A varint, or the bytes of a fixed-width or length-delimited field. */
  readonly value: bigint | Uint8Array;
}

/**
 * The fields of one message, in order; bytes are views, not copies.
 * @throws RangeError when it is cut short or holds a group (obsolete, and nesting without bound).
 */
export function* readFields(bytes: Uint8Array): Generator<ProtoField> {
  let at = 0;
  function varint(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new RangeError("protobuf: a number is cut short or too long");
  }
  function take(length: number): Uint8Array {
    if (at + length > bytes.length) throw new RangeError("protobuf: a field ends past its message");
    at += length;
    return bytes.subarray(at - length, at);
  }
  while (at < bytes.length) {
    const key = varint();
    const number = Number(key >> 3n);
    const wire = Number(key & 7n);
    if (wire === 0) yield { number, value: varint() };
    else if (wire === 1) yield { number, value: take(8) };
    else if (wire === 2) yield { number, value: take(Number(varint())) };
    else if (wire === 5) yield { number, value: take(4) };
    else throw new RangeError(`protobuf: wire type ${wire} is not read`);
  }
}

/** A repeated int64: packed, or one varint per field. */
export function readInts(value: bigint | Uint8Array): bigint[] {
  if (typeof value === "bigint") return [value];
  const found: bigint[] = [];
  let current = 0n;
  let shift = 0n;
  for (const byte of value) {
    current |= BigInt(byte & 0x7f) << shift;
    shift += 7n;
    if (byte >= 0x80 && shift < 70n) continue;
    found.push(BigInt.asUintN(64, current));
    current = 0n;
    shift = 0n;
  }
  return found;
}

/** Builds one message; fields come out in the order they were added. */
export interface ProtoWriter {
  int(number: number, value: number): ProtoWriter;
  bytes(number: number, value: Uint8Array): ProtoWriter;
  text(number: number, value: string): ProtoWriter;
  float(number: number, value: number): ProtoWriter;
  message(number: number, value: ProtoWriter): ProtoWriter;
  finish(): Uint8Array;
}

export function createProtoWriter(): ProtoWriter {
  const parts: Uint8Array[] = [];
  const key = (number: number, wire: number) => parts.push(encodeVarint(number * 8 + wire));
  const writer: ProtoWriter = {
    int(number, value) {
      key(number, 0);
      parts.push(encodeVarint(value));
      return writer;
    },
    bytes(number, value) {
      key(number, 2);
      parts.push(encodeVarint(value.length), value);
      return writer;
    },
    text: (number, value) => writer.bytes(number, new TextEncoder().encode(value)),
    float(number, value) {
      key(number, 5);
      parts.push(new Uint8Array(new Float32Array([value]).buffer));
      return writer;
    },
    message: (number, value) => writer.bytes(number, value.finish()),
    finish: () => Buffer.concat(parts),
  };
  return writer;
}

function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
