/** WebSocket's frames, a client's side of them: written masked, read whole. Source: RFC 6455 §5. */

import { isUtf8 } from "node:buffer";
import { randomFillSync } from "node:crypto";

export const opcodes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
type Opcode = (typeof opcodes)[keyof typeof opcodes];

/** The peer broke the protocol; `code` is what its connection is closed with. */
export class FrameRefused extends Error {
  readonly code: 1002 | 1007 | 1009;
  constructor(code: FrameRefused["code"], message: string) {
    super(message);
    this.name = "FrameRefused";
    this.code = code;
  }
}

/** A whole message, however many frames it came in; or a control frame. */
export interface Frame {
  readonly opcode: Exclude<Opcode, 0>;
  readonly payload: Uint8Array;
}

/** One frame, final and masked. Costs one copy of the payload, and a step for four bytes of it. */
export function encodeFrame(opcode: Opcode, payload: Uint8Array): Uint8Array {
  const size = payload.length;
  const extended = size < 126 ? 0 : size < 65_536 ? 2 : 8;
  const start = 6 + extended;
  // The payload begins at a multiple of four, so that it can be masked by words.
  const pad = (4 - (start % 4)) % 4;
  const memory = new ArrayBuffer(pad + start + size);
  const frame = Buffer.from(memory, pad);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extended === 0 ? size : extended === 2 ? 126 : 127);
  if (extended === 2) frame.writeUInt16BE(size, 2);
  if (extended === 8) frame.writeBigUInt64BE(BigInt(size), 2);
  const mask = frame.subarray(start - 4, start);
  randomFillSync(mask);
  frame.set(payload, start);
  // Read and written in the machine's own order of bytes: the same on both sides.
  const words = new Uint32Array(memory, pad + start, size >> 2);
  const key = new Uint32Array(memory, pad + start - 4, 1)[0] as number;
  for (let i = 0; i < words.length; i++) words[i] = (words[i] as number) ^ key;
  for (let i = size & ~3; i < size; i++) {
    frame[start + i] = (frame[start + i] as number) ^ (mask[i & 3] as number);
  }
  return frame;
}

/** The payload of a close frame: a code, and as much of the reason as fits. */
export function encodeClose(code: number, reason: string): Uint8Array {
  const text = cutUtf8(Buffer.from(reason), 123);
  const payload = Buffer.allocUnsafe(2 + text.length);
  payload.writeUInt16BE(code, 0);
  payload.set(text, 2);
  return payload;
}

/** No character is cut in two. */
function cutUtf8(bytes: Uint8Array, limit: number): Uint8Array {
  if (bytes.length <= limit) return bytes;
  let end = limit;
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}

export interface Closing {
  /** 1005: the peer gave none. */
  readonly code: number;
  readonly reason: string;
}

/** @throws FrameRefused */
export function decodeClose(payload: Uint8Array): Closing {
  if (payload.length === 0) return { code: 1005, reason: "" };
  const text = payload.subarray(2);
  const code = payload.length === 1 ? 0 : ((payload[0] as number) << 8) | (payload[1] as number);
  if (!isCloseCode(code)) throw new FrameRefused(1002, `${code} is no code to close with`);
  if (!isUtf8(text)) throw new FrameRefused(1007, "the reason of a close is not UTF-8");
  return { code, reason: Buffer.from(text).toString("utf8") };
}

/** Codes that may stand in a frame (RFC 6455 §7.4). */
export function isCloseCode(code: number): boolean {
  if (code >= 3000) return code <= 4999;
  return code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006;
}

export interface FrameReader {
  /** @throws FrameRefused; nothing may be pushed after that */
  push(bytes: Uint8Array): Frame[];
}

const controlLimit = 125;

/** @param limitBytes of one message; a larger one is refused when its length is known. */
export function createFrameReader(limitBytes: number): FrameReader {
  const input = createInput();
  let parts: Uint8Array[] = [];
  let partBytes = 0;
  let kind: 1 | 2 | undefined;

  function take({ opcode, final }: Head, payload: Uint8Array): Frame | undefined {
    if (opcode >= 8) return { opcode: opcode as Frame["opcode"], payload };
    if (opcode === opcodes.more ? kind === undefined : kind !== undefined) {
      throw new FrameRefused(1002, "a message's pieces are out of order");
    }
    if (opcode !== opcodes.more) kind = opcode as 1 | 2;
    parts.push(payload);
    partBytes += payload.length;
    if (!final) return undefined;
    const whole = parts.length === 1 ? payload : Buffer.concat(parts);
    const frame: Frame = { opcode: kind as 1 | 2, payload: whole };
    parts = [];
    partBytes = 0;
    kind = undefined;
    if (frame.opcode === opcodes.text && !isUtf8(whole)) {
      throw new FrameRefused(1007, "a text message is not UTF-8");
    }
    return frame;
  }

  return {
    push(bytes) {
      input.push(bytes);
      const frames: Frame[] = [];
      for (;;) {
        const head = readHead(input.peek(headBytes), limitBytes - partBytes);
        if (!head || input.size < head.start + head.size) return frames;
        const payload = input.take(head.start + head.size).subarray(head.start);
        const frame = take(head, payload);
        if (frame) frames.push(frame);
      }
    },
  };
}

/** Of the longest head that a server may send. */
const headBytes = 10;

/** Pieces as they came, joined only when all that is wanted of them is there. */
function createInput() {
  let pieces: Buffer[] = [];
  let size = 0;
  function join(): Buffer {
    if (pieces.length > 1) pieces = [Buffer.concat(pieces)];
    return pieces[0] ?? Buffer.alloc(0);
  }
  return {
    get size() {
      return size;
    },
    push(bytes: Uint8Array) {
      if (bytes.length === 0) return;
      pieces.push(Buffer.from(bytes)); // the runtime may use its own again
      size += bytes.length;
    },
    /** The first bytes, as many as there are up to a count. */
    peek(count: number): Buffer {
      const [first] = pieces;
      if (!first || first.length >= Math.min(count, size)) return first ?? Buffer.alloc(0);
      return join();
    },
    take(count: number): Buffer {
      const all = join();
      size -= count;
      pieces = size > 0 ? [all.subarray(count)] : [];
      return all.subarray(0, count);
    },
  };
}

interface Head {
  readonly opcode: number;
  readonly final: boolean;
  readonly start: number;
  readonly size: number;
}

/** Undefined until all of it is there. */
function readHead(bytes: Buffer, leftBytes: number): Head | undefined {
  if (bytes.length < 2) return undefined;
  const [first, second] = bytes as unknown as readonly [number, number];
  const opcode = first & 0x0f;
  const final = (first & 0x80) !== 0;
  const short = second & 0x7f;
  if (first & 0x70) throw new FrameRefused(1002, "a frame uses an extension that was not agreed");
  if (second & 0x80) throw new FrameRefused(1002, "a server's frame is masked");
  if (!knownOpcodes.has(opcode)) throw new FrameRefused(1002, `${opcode} is no kind of frame`);
  if (opcode >= 8 && (!final || short > controlLimit)) {
    throw new FrameRefused(1002, "a control frame is too long, or in pieces");
  }
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const start = 2 + extended;
  if (bytes.length < start) return undefined;
  const size =
    extended === 0
      ? short
      : extended === 2
        ? bytes.readUInt16BE(2)
        : Number(bytes.readBigUInt64BE(2)); // beyond 2^53 it is beyond every limit
  if (opcode < 8 && size > leftBytes) throw new FrameRefused(1009, "a message is too large");
  return { opcode, final, start, size };
}

const knownOpcodes: ReadonlySet<number> = new Set(Object.values(opcodes));
