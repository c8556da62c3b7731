/** A socket to a server, for one exchange at a time; between two of them it rests in its pool. */
import type { Socket } from "bun";
import { ConnectionFailed } from "./connection-failed.ts";
import type { Carrier, Exchange } from "./exchange.ts";

/** A body up to here is joined to its head, so that both leave in one write. */
const joinedBytes = 64 * 1024;

/** A connection that has rested for less is not one that a server would have closed for it … */
const restMs = 1_000;
/** … and one that it has closed says so within a round trip. */
const showsMs = 1_000;

/** What a connection asks of the pool that it rests in. */
export interface RestingPlace {
  nowMs(): number;
  /** Sends a request once more that a resting connection lost. */
  reopen(exchange: Exchange): void;
  release(connection: Connection, keepAliveS: number): void;
  /** The connection is gone. */
  left(): void;
}

export class Connection implements Carrier {
  exchange: Exchange | undefined;
  /** Exchanges that it has carried. */
  served = 0;
  closed = false;
  /** Told once whether it came about. */
  onReady: ((error: Error | undefined) => void) | undefined;
  /** Since when it rests, and for how long at most. Milliseconds. */
  idleSinceMs = 0;
  idleLimitMs = 0;
  /** When it was taken from its rest. */
  takenAtMs = 0;
  readonly #pool: RestingPlace;
  #socket: Socket<Connection> | undefined;
  /** What the kernel has not taken yet of a request. */
  #unsent: Uint8Array | undefined;
  /** One for the connection's life: no closure per exchange. */
  readonly #onCancel: (reason: Error) => void;

  constructor(pool: RestingPlace) {
    this.#pool = pool;
    this.#onCancel = (reason) => this.exchange?.fail(reason);
  }

  opened(socket: Socket<Connection>): void {
    if (this.closed)
      socket.terminate(); // nobody waits for it any more
    else this.#socket = socket;
  }

  /** It may be used; or, with an error, never will be. */
  ready(error?: Error): void {
    const { onReady } = this;
    if (!onReady) return; // it has been told already
    this.onReady = undefined;
    onReady(error);
    if (error) this.destroy();
  }

  /** Sends a request. Whatever goes wrong from here on, the exchange is told. */
  run(exchange: Exchange): void {
    this.exchange = exchange;
    exchange.connection = this;
    exchange.cancel.listen(this.#onCancel);
    if (this.exchange !== exchange) return; // cancelled already
    if (this.closed) this.#lose(new ConnectionFailed("ECONNRESET", "the connection was closed"));
    else this.#send(exchange);
  }

  #send({ to, lines, body }: Exchange): void {
    const socket = this.#socket;
    if (!socket) return;
    const sizeBytes = typeof body === "string" ? Buffer.byteLength(body) : body.length;
    const head =
      sizeBytes === 0 && bodiless.has(to.method)
        ? `${to.head}${lines}\r\n`
        : `${to.head}${lines}content-length: ${sizeBytes}\r\n\r\n`;
    if (typeof body === "string" && sizeBytes <= joinedBytes) {
      const message = head + body;
      const sent = socket.write(message);
      if (sent === head.length + sizeBytes) return;
      this.#keepUnsent(Buffer.from(message), sent);
      return;
    }
    const content = typeof body === "string" ? Buffer.from(body) : body;
    if (sizeBytes <= joinedBytes) {
      const message = Buffer.concat([Buffer.from(head), content]);
      this.#keepUnsent(message, socket.write(message));
      return;
    }
    const first = Buffer.from(head);
    const sent = socket.write(first);
    if (sent === first.length) this.#keepUnsent(content, socket.write(content));
    else this.#keepUnsent(Buffer.concat([first, content]), sent);
  }

  #keepUnsent(message: Uint8Array, sent: number): void {
    if (sent < 0) this.#lose(new ConnectionFailed("ECONNRESET", "the connection was closed"));
    else if (sent < message.length) this.#unsent = message.subarray(sent);
  }

  /** The kernel takes more. */
  drained(): void {
    const unsent = this.#unsent;
    if (!unsent || !this.#socket) return;
    this.#unsent = undefined;
    this.#keepUnsent(unsent, this.#socket.write(unsent));
  }

  received(bytes: Uint8Array): void {
    if (this.exchange) this.exchange.take(bytes);
    else this.destroy(); // what nobody asked for would be taken for the next answer
  }

  /** The server has shut its side: what it has not said by now it never will. */
  ended(): void {
    const { exchange } = this;
    if (exchange?.answered) exchange.end();
    else this.broke(undefined);
  }

  /** The socket is no more, or about to be. */
  broke(error: Error | undefined): void {
    if (this.closed) return;
    const lost = error ?? new ConnectionFailed("ECONNRESET", "the server closed the connection");
    if (this.onReady) this.ready(lost);
    else this.#lose(lost);
  }

  /**
   * A connection that rested may have died meanwhile. Where nothing of an answer has come, the
   * request goes out once more; otherwise the exchange has failed. Servers close what has rested for
   * seconds, and that shows at once: anything else is a failure like any other, for the pipeline to
   * judge, so that a server in trouble is not asked twice behind its back.
   */
  #lose(error: Error): void {
    const { exchange } = this;
    const again = exchange && !exchange.answered && !exchange.retried && this.#wasStale();
    if (!again) {
      if (exchange) exchange.fail(error);
      else this.destroy();
      return;
    }
    this.exchange = undefined;
    exchange.connection = undefined;
    exchange.retried = true;
    this.destroy();
    this.#pool.reopen(exchange);
  }

  #wasStale(): boolean {
    const { takenAtMs, idleSinceMs } = this;
    return takenAtMs - idleSinceMs >= restMs && this.#pool.nowMs() - takenAtMs < showsMs;
  }

  /** Its exchange is over and all is well: it may carry another. */
  release(keepAliveS: number): void {
    this.served++;
    if (this.#unsent)
      this.destroy(); // the server answered before it had read all
    else if (!this.closed) this.#pool.release(this, keepAliveS);
  }

  pause(): void {
    if (!this.closed) this.#socket?.pause();
  }

  resume(): void {
    if (!this.closed) this.#socket?.resume();
  }

  /** A resting connection keeps no process alive. */
  rest(): void {
    this.#socket?.unref();
  }

  wake(): void {
    this.#socket?.ref();
  }

  /** Breaks it: the server hears of it at once. */
  destroy(): void {
    const socket = this.#socket;
    this.#forget();
    socket?.terminate();
  }

  /** Closes it in peace: all was said. */
  retire(): void {
    const socket = this.#socket;
    this.#forget();
    socket?.end();
  }

  #forget(): void {
    if (this.closed) return;
    this.closed = true;
    this.#unsent = undefined;
    this.#socket = undefined;
    this.#pool.left();
  }
}

/** Of these, a missing body is no body of no bytes. */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS"]);
