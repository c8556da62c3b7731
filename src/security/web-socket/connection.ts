/**
 * A WebSocket that is open: messages out of it one at a time, messages into it with the word whether
 * to wait. Nothing is buffered beyond a limit: a reader that is slow slows the peer down.
 */
import type { Duplex } from "node:stream";
import type { Clock } from "../../std/clock.ts";
import { createDeadline } from "../../std/deadline.ts";
import {
  type Closing,
  createFrameReader,
  decodeClose,
  encodeClose,
  encodeFrame,
  type Frame,
  FrameRefused,
  isCloseCode,
  opcodes,
} from "./frames.ts";

export interface SocketMessage {
  readonly text: boolean;
  readonly bytes: Uint8Array;
}

export interface WebSocketConnection {
  /** What the server chose of the subprotocols. */
  readonly protocol: string | undefined;
  /** The next message; undefined when it is closed and all were read. One reader at a time. */
  read(): Promise<SocketMessage | undefined>;
  /** The first message, if it comes in time. Undefined too where the end comes first. */
  first(limitMs: number, clock: Clock): Promise<SocketMessage | undefined>;
  /** False: enough waits to be sent, so hold back until `drained`. After the end it does nothing. */
  send(message: SocketMessage): boolean;
  /** Resolves when what waits has been sent, or the end has come. */
  drained(): Promise<void>;
  /** Says goodbye. For the reader this is the end; the peer has a second to answer. */
  close(code: number, reason?: string): void;
  /** At once, without a word. */
  destroy(): void;
  /** How it ended: the peer's code; 1006 where the connection broke; ours where we closed. */
  readonly ended: Closing | undefined;
}

export interface ConnectionOptions {
  readonly socket: Duplex;
  /** What came behind the handshake's answer. */
  readonly first: Uint8Array;
  readonly protocol: string | undefined;
  /** Of one message. */
  readonly limitBytes: number;
  readonly clock: Clock;
}

/** So much may wait to be read before the socket is left alone. */
const waitingLimitBytes = 256 * 1024;
const closeLimitMs = 1_000;
/** Silence after which the peer is asked whether it lives; as much again, and it does not. */
const pingAfterMs = 30_000;

export function createConnection(options: ConnectionOptions): WebSocketConnection {
  const { socket, clock } = options;
  const frames = createFrameReader(options.limitBytes);
  const waiting: SocketMessage[] = [];
  let waitingBytes = 0;
  let reader: ((message: SocketMessage | undefined) => void) | undefined;
  let ended: Closing | undefined;
  let closing: Closing | undefined;
  let asked = false;
  const drains = new Set<() => void>();

  const lastWords = createDeadline(clock, () => socket.destroy());
  const silence = createDeadline(clock, () => {
    // While nothing is read, nothing is heard: that is our own doing.
    if (socket.isPaused()) return silence.set(pingAfterMs);
    if (asked) return finish({ code: 1006, reason: "the peer fell silent" });
    asked = true;
    write(opcodes.ping, new Uint8Array(0));
    silence.set(pingAfterMs);
  });

  function write(opcode: Parameters<typeof encodeFrame>[0], payload: Uint8Array): boolean {
    return socket.write(encodeFrame(opcode, payload));
  }

  /** The first way in which it ends stands. */
  function finish(how: Closing): void {
    if (ended) return;
    ended = how;
    silence.clear();
    if (closing) {
      socket.end();
      lastWords.set(closeLimitMs);
    } else socket.destroy();
    for (const drained of drains) drained();
    drains.clear();
    if (waiting.length === 0) reader?.(undefined);
    reader = undefined;
  }

  function goodbye(code: number, reason: string): void {
    if (closing || ended) return;
    closing = { code, reason };
    write(opcodes.close, encodeClose(isCloseCode(code) ? code : 1000, reason));
    lastWords.set(closeLimitMs);
    if (socket.isPaused()) socket.resume(); // the peer's answer is to be heard
  }

  function take({ opcode, payload }: Frame): void {
    if (opcode === opcodes.ping) write(opcodes.pong, payload);
    if (opcode === opcodes.close) {
      const told = decodeClose(payload);
      const own = closing;
      goodbye(told.code, "");
      finish(own ?? told);
    }
    if (opcode !== opcodes.text && opcode !== opcodes.binary) return;
    const message = { text: opcode === opcodes.text, bytes: payload };
    if (reader) {
      const deliver = reader;
      reader = undefined;
      deliver(message);
      return;
    }
    waiting.push(message);
    waitingBytes += payload.length;
    if (waitingBytes > waitingLimitBytes) socket.pause();
  }

  function receive(bytes: Uint8Array): void {
    asked = false;
    silence.set(pingAfterMs);
    if (ended) return;
    try {
      // After our goodbye only the peer's is listened for.
      for (const frame of frames.push(bytes)) {
        if (!ended && (!closing || frame.opcode >= 8)) take(frame);
      }
    } catch (thrown) {
      if (!(thrown instanceof FrameRefused)) throw thrown;
      goodbye(thrown.code, thrown.message);
      finish({ code: thrown.code, reason: thrown.message });
    }
  }

  socket.on("data", receive);
  socket.on("drain", () => {
    for (const drained of drains) drained();
    drains.clear();
  });
  // An error is told by the close that follows it.
  socket.on("error", () => undefined);
  socket.on("end", () => finish(closing ?? broken));
  socket.on("close", () => {
    finish(closing ?? broken);
    lastWords.clear();
  });
  silence.set(pingAfterMs);
  if (options.first.length > 0) receive(options.first);

  return {
    protocol: options.protocol,
    get ended() {
      return ended;
    },
    read() {
      const message = waiting.shift();
      if (!message) {
        if (ended) return Promise.resolve(undefined);
        return new Promise((resolve) => {
          reader = resolve;
        });
      }
      waitingBytes -= message.bytes.length;
      if (waitingBytes <= waitingLimitBytes && socket.isPaused()) socket.resume();
      return Promise.resolve(message);
    },
    first(limitMs, clock) {
      return new Promise((resolve) => {
        const cancel = clock.after(limitMs, () => {
          reader = undefined;
          resolve(undefined);
        });
        void this.read().then((message) => {
          cancel();
          resolve(message);
        });
      });
    },
    send({ text, bytes }) {
      if (ended || closing) return true;
      return write(text ? opcodes.text : opcodes.binary, bytes);
    },
    drained() {
      if (ended || !socket.writableNeedDrain) return Promise.resolve();
      return new Promise((resolve) => drains.add(resolve));
    },
    close(code, reason = "") {
      goodbye(code, reason);
      waiting.length = 0;
      if (closing) finish(closing);
    },
    destroy() {
      finish(closing ?? broken);
      socket.destroy();
    },
  };
}

const broken: Closing = { code: 1006, reason: "" };
