/**
 * One request and its answer on a connection. It is the answer that callers hold: what came with
 * the head is there at once, the rest as it is read, and no more of it is held than a limit.
 */
import { assert } from "../../std/assert.ts";
import type { Cancel } from "../../std/cancel.ts";
import type { Turns, Waiting } from "../../std/turns.ts";
import type { Destination } from "../destination.ts";
import {
  BodyTooLarge,
  type Explain,
  type OutboundReply,
  type Piece,
  unreadLimitBytes,
} from "../reply.ts";
import { toUpstreamError } from "../upstream-error.ts";
import { ChunkedDecoder } from "./chunked.ts";
import { ConnectionFailed } from "./connection-failed.ts";
import {
  type Framing,
  findField,
  framing,
  type Head,
  headLimits,
  parseHead,
  toHeaders,
} from "./head.ts";
import { unpack } from "./unpack.ts";

/** So many 1xx answers may come before the one that counts. */
const informationalLimit = 32;
/** A head up to here is parsed at every piece of it, a larger one when its end is in sight. */
const eagerBytes = 4 * 1024;
const empty: Uint8Array = new Uint8Array(0);

type Refuse = (thrown: unknown) => void;

/** What an exchange asks of the connection that carries it. */
export interface Carrier {
  exchange: Exchange | undefined;
  /** All is said: it may carry another for so long, in seconds. */
  release(keepAliveS: number): void;
  /** All is said, and it carries no other. */
  retire(): void;
  destroy(): void;
  pause(): void;
  resume(): void;
}

export class Exchange implements OutboundReply, Waiting {
  readonly to: Destination;
  /** Header lines of this request alone. */
  readonly lines: string;
  readonly body: string | Uint8Array;
  readonly cancel: Cancel;
  readonly connectTimeoutMs: number;
  /** Where a stream's pieces wait for their turn; without it they are handed on at once. */
  readonly #turns: Turns | undefined;
  #queued = false;
  connection: Carrier | undefined;
  /** It has been sent a second time, on a connection of its own. */
  retried = false;
  /** The promise was kept or broken. */
  settled = false;
  /** Some of the answer has come: it cannot be asked for again. */
  answered = false;
  #resolve: ((reply: OutboundReply) => void) | undefined;
  #reject: ((thrown: unknown) => void) | undefined;

  #head: Head | undefined;
  /** Of a head that comes in pieces. */
  #partial = empty;
  #informational = 0;
  #framing: Framing = framing.none;
  /** Of a body whose length was told: what is still to come. */
  #left = 0;
  #chunked: ChunkedDecoder | undefined;
  #complete = false;
  #failure: unknown;
  #failed = false;

  /** Pieces that nobody has read; nearly always there is one at most. */
  #first: Uint8Array | undefined;
  #more: Uint8Array[] | undefined;
  #unreadBytes = 0;
  #paused = false;
  /** Somebody waits for the next piece … */
  #hand: ((piece: Piece) => void) | undefined;
  #refuseRead: Refuse | undefined;
  #explain: Explain | undefined;
  /** One for all reads of a stream: no closure per event. */
  #await: ((resolve: (piece: Piece) => void, reject: Refuse) => void) | undefined;
  /** … or for all of them. */
  #wake: (() => void) | undefined;
  #collects = false;

  constructor(
    to: Destination,
    lines: string,
    body: string | Uint8Array,
    cancel: Cancel,
    connectTimeoutMs: number,
    turns?: Turns,
  ) {
    this.to = to;
    this.lines = lines;
    this.body = body;
    this.cancel = cancel;
    this.connectTimeoutMs = connectTimeoutMs;
    this.#turns = turns;
  }

  /** The answer, once its head is there. To be asked for once. */
  wait(): Promise<OutboundReply> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      if (this.#failed) this.#refuse();
    });
  }

  get status(): number {
    return this.#head?.status ?? 0;
  }

  header(name: string): string | undefined {
    return this.#head && findField(this.#head, name);
  }

  headers(): Headers {
    return this.#head ? toHeaders(this.#head) : new Headers();
  }

  read(explain?: Explain): Piece | Promise<Piece> {
    const piece = this.#shift();
    if (piece) return piece;
    if (this.#failed) throw explain ? explain(this.#failure) : this.#failure;
    if (this.#complete) return undefined;
    assert(this.#hand === undefined && !this.#wake, "one read at a time");
    this.#explain = explain;
    this.#await ??= (resolve, reject) => {
      this.#hand = resolve;
      this.#refuseRead = reject;
    };
    return new Promise(this.#await);
  }

  /** To whoever waits in `read`. */
  #deliver(): void {
    const hand = this.#hand;
    if (!hand) {
      this.#wake?.();
      return;
    }
    const piece = this.#shift();
    if (!piece && !this.#complete && !this.#failed) return; // half a head of a chunk, say
    const refuse = this.#refuseRead;
    this.#hand = undefined;
    this.#refuseRead = undefined;
    if (piece || this.#complete) hand(piece);
    else refuse?.(this.#explain ? this.#explain(this.#failure) : this.#failure);
  }

  whole(limitBytes: number, beyond: "cut" | "refuse"): Uint8Array | Promise<Uint8Array> {
    if (this.#complete && !this.#more) {
      const bytes = this.#first ?? empty;
      if (bytes.length <= limitBytes) {
        this.#first = undefined;
        return bytes;
      }
    }
    if (this.#failed) throw this.#failure;
    if (beyond === "refuse" && this.#unreadBytes + this.#left > limitBytes) {
      this.close();
      throw new BodyTooLarge(limitBytes);
    }
    return this.#collect(limitBytes, beyond);
  }

  #collect(limitBytes: number, beyond: "cut" | "refuse"): Promise<Uint8Array> {
    this.#collects = true;
    this.#resume();
    return new Promise((resolve, reject) => {
      const look = () => {
        if (this.#unreadBytes > limitBytes) {
          this.#wake = undefined;
          const cut = beyond === "cut" ? this.#takeAll().subarray(0, limitBytes) : undefined;
          this.close();
          if (cut) resolve(cut);
          else reject(new BodyTooLarge(limitBytes));
        } else if (this.#complete) {
          this.#wake = undefined;
          resolve(this.#takeAll());
        } else if (this.#failed) {
          this.#wake = undefined;
          reject(this.#failure);
        }
      };
      this.#wake = look;
      look();
    });
  }

  close(): void {
    this.#first = undefined;
    this.#more = undefined;
    this.#unreadBytes = 0;
    if (this.#complete || this.#failed) return;
    this.#failed = true;
    this.#failure = new ConnectionFailed("Closed", "the answer was let go");
    this.#letGo()?.destroy();
  }

  /** The wire's next bytes, which nobody else will write to. */
  take(bytes: Uint8Array): void {
    this.answered = true;
    try {
      if (this.#head) this.#takeBody(bytes, 0);
      else this.#takeHead(bytes);
    } catch (thrown) {
      this.fail(thrown);
      return;
    }
    if (this.#hand && this.#turns) this.#queue(this.#turns);
    else this.#deliver();
  }

  /** A stream's piece is for whoever reads it, and that is not urgent: answers and calls go first. */
  #queue(turns: Turns): void {
    if (this.#queued) return;
    this.#queued = true;
    turns.add(this);
  }

  takeTurn(): void {
    this.#queued = false;
    this.#deliver();
  }

  #takeHead(piece: Uint8Array): void {
    let bytes = piece;
    if (this.#partial.length > 0) {
      const seen = this.#partial.length;
      bytes = Buffer.concat([this.#partial, piece]);
      if (bytes.length > eagerBytes && bytes.length <= headLimits.bytes && !ends(bytes, seen)) {
        this.#partial = bytes;
        return;
      }
    }
    let at = 0;
    for (;;) {
      const head = parseHead(bytes, at);
      const length = (head ? head.bodyAt : bytes.length) - at;
      if (length > headLimits.bytes) throw invalid("its head is too large");
      if (!head) {
        this.#partial = at === 0 ? bytes : bytes.subarray(at);
        return;
      }
      at = head.bodyAt;
      if (head.status >= 200) {
        this.#partial = empty;
        this.#begin(head, bytes);
        return;
      }
      if (head.status === 101 || ++this.#informational > informationalLimit) {
        throw invalid("it answers what was not asked");
      }
    }
  }

  #begin(head: Head, bytes: Uint8Array): void {
    this.#head = head;
    this.#framing = head.framing(this.to.method === "HEAD");
    if (this.#framing === framing.length) this.#left = head.length;
    else if (this.#framing === framing.chunked) this.#chunked = new ChunkedDecoder();
    this.#takeBody(bytes, head.bodyAt);
    this.settled = true;
    this.#resolve?.(head.encoded ? unpack(this) : this);
  }

  #takeBody(bytes: Uint8Array, from: number): void {
    const available = bytes.length - from;
    if (this.#framing === framing.length) {
      if (available === 0) return;
      const size = Math.min(available, this.#left);
      this.#left -= size;
      this.#push(from === 0 && size === available ? bytes : bytes.subarray(from, from + size));
      if (this.#left === 0) this.#finish(available === size);
    } else if (this.#framing === framing.none) this.#finish(available === 0);
    else if (this.#framing === framing.chunked) this.#takeChunks(bytes, from);
    else if (available > 0) this.#push(from === 0 ? bytes : bytes.subarray(from));
  }

  #takeChunks(bytes: Uint8Array, from: number): void {
    const decoder = this.#chunked;
    assert(decoder !== undefined, "a chunked body has its decoder");
    const data = decoder.decode(bytes, from);
    if (data) this.#push(data);
    if (decoder.done) this.#finish(decoder.end === bytes.length);
  }

  #push(piece: Uint8Array): void {
    this.#unreadBytes += piece.length;
    if (!this.#first) this.#first = piece;
    else if (this.#more) this.#more.push(piece);
    else this.#more = [piece];
    if (this.#unreadBytes <= unreadLimitBytes || this.#collects || this.#paused) return;
    this.#paused = true;
    this.connection?.pause();
  }

  #shift(): Uint8Array | undefined {
    const piece = this.#first;
    if (!piece) return undefined;
    this.#first = this.#more?.shift();
    if (this.#more?.length === 0) this.#more = undefined;
    this.#unreadBytes -= piece.length;
    if (this.#paused && this.#unreadBytes <= unreadLimitBytes / 2) this.#resume();
    return piece;
  }

  #takeAll(): Uint8Array {
    const first = this.#first ?? empty;
    const all = this.#more ? Buffer.concat([first, ...this.#more]) : first;
    this.#first = undefined;
    this.#more = undefined;
    this.#unreadBytes = 0;
    return all;
  }

  #resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.connection?.resume();
  }

  /** `clean`: nothing came after the end, which would be nobody's. */
  #finish(clean: boolean): void {
    this.#complete = true;
    this.#resume();
    const head = this.#head;
    const connection = this.#letGo();
    if (clean && head?.keepAlive && this.#framing !== framing.close) {
      connection?.release(head.keepAliveS);
    } else connection?.retire();
  }

  /** The server has nothing more to say. */
  end(): void {
    if (this.#framing === framing.close && this.#head) {
      this.#finish(false);
      this.#deliver();
    } else this.fail(new ConnectionFailed("ECONNRESET", "the server closed the connection"));
  }

  /** Breaks the answer off; the connection is closed. */
  fail(thrown: unknown): void {
    if (this.#complete || this.#failed) return;
    this.#failed = true;
    this.#failure = thrown;
    this.#letGo()?.destroy();
    if (!this.settled) this.#refuse();
    this.#deliver();
  }

  #refuse(): void {
    this.settled = true;
    const own = this.cancel.reason !== undefined && this.cancel.reason === this.#failure;
    this.#reject?.(own ? this.#failure : toUpstreamError(this.#failure, this.to.host));
  }

  #letGo(): Carrier | undefined {
    const { connection } = this;
    this.connection = undefined;
    if (connection) connection.exchange = undefined;
    this.cancel.listen(undefined);
    return connection;
  }
}

/** Whether a head's last line may end in these bytes; those before `seen` were looked at. */
function ends(bytes: Uint8Array, seen: number): boolean {
  for (let at = bytes.indexOf(10, Math.max(0, seen - 2)); at >= 0; at = bytes.indexOf(10, at + 1)) {
    const next = bytes[at + 1];
    if (next === 10 || (next === 13 && bytes[at + 2] === 10)) return true;
  }
  return false;
}

const invalid = (what: string) =>
  new ConnectionFailed("InvalidHTTPResponse", `the answer is no valid HTTP/1.1: ${what}`);
