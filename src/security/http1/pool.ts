/**
 * The connections to one checked address: kept while they rest, the last one used first, so that
 * the others grow old and go; never more than a limit, past which calls wait for one.
 */
import type { SocketHandler } from "bun";
import type { Cancel } from "../../std/cancel.ts";
import type { Clock } from "../../std/clock.ts";
import { Connection, type RestingPlace } from "./connection.ts";
import { ConnectionFailed } from "./connection-failed.ts";
import type { Exchange } from "./exchange.ts";

export interface PoolLimits {
  /** Connections to one address, those that are being opened included. */
  readonly connections: number;
  /** Resting ones among them. */
  readonly idle: number;
  /** How long one rests before it is closed: less than servers and balancers in between allow. */
  readonly idleMs: number;
}

export const defaultPoolLimits: PoolLimits = { connections: 16_384, idle: 2048, idleMs: 30_000 };

/** Told by `Keep-Alive: timeout=5`, we let go so much earlier: a request takes time to arrive. */
const keepAliveMarginMs = 1000;

export interface PoolOptions {
  readonly address: string;
  readonly port: number;
  readonly tls: { readonly serverName?: string; readonly ca?: string } | undefined;
  readonly limits: PoolLimits;
  readonly clock: Clock;
  /** Sends a request once more that a resting connection lost. */
  readonly reopen: (exchange: Exchange) => void;
}

export interface WaitOptions {
  readonly limitMs: number;
  /** What to throw past the limit; `full`: there was no room for another connection. */
  readonly late: (full: boolean) => Error;
  readonly cancel: Cancel;
}

interface Waiting {
  readonly untilMs: number;
  take(connection: Connection): void;
  fail(error: Error): void;
}

/** How often resting connections are looked over. */
const sweepMs = 1000;

export class Pool implements RestingPlace {
  readonly reopen: (exchange: Exchange) => void;
  readonly #options: PoolOptions;
  readonly #clock: Clock;
  /** In the order in which they came to rest. Closed ones may lie among them. */
  #idle: Connection[] = [];
  /** Connections that there are, and those of them that have not come about yet. */
  #open = 0;
  #opening = 0;
  readonly #waiting = new Set<Waiting>();
  #sweeping = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.reopen = options.reopen;
  }

  /** How many connections there are, those being opened included. */
  get size(): number {
    return this.#open;
  }

  nowMs(): number {
    return this.#clock.now();
  }

  /** A connection that rests; undefined where there is none. */
  take(nowMs: number): Connection | undefined {
    for (;;) {
      const connection = this.#idle.pop();
      if (!connection) return undefined;
      if (connection.closed) continue;
      if (nowMs - connection.idleSinceMs < connection.idleLimitMs) {
        connection.takenAtMs = nowMs;
        connection.wake();
        return connection;
      }
      connection.retire(); // the sweep is late
    }
  }

  /**
   * A connection for a call that found none at rest: a new one, or one that another call gives back
   * before that has opened. @throws whatever the connection failed with; past the limit `late`'s
   */
  wait({ limitMs, late, cancel }: WaitOptions): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const untilMs = this.#clock.now() + limitMs;
      const leave = () => {
        stopTimer();
        this.#waiting.delete(waiting);
        cancel.listen(undefined);
      };
      const waiting: Waiting = {
        untilMs,
        take(connection) {
          leave();
          resolve(connection);
        },
        fail(error) {
          leave();
          reject(error);
        },
      };
      const stopTimer = this.#after(limitMs, () => {
        if (this.#waiting.has(waiting)) waiting.fail(late(this.#isFull));
      });
      this.#waiting.add(waiting);
      cancel.listen(waiting.fail);
      this.#openMore(waiting);
    });
  }

  /**
   * Timers ring before the sockets are heard. After a moment in which the process did not get to
   * run, a connection that has opened long since must not count as late: so the sockets go first.
   */
  #after(delayMs: number, act: () => void): () => void {
    return this.#clock.after(delayMs, () => void setImmediate(act));
  }

  get #isFull(): boolean {
    return this.#open >= this.#options.limits.connections;
  }

  /** As many connections are opened as are waited for and there is room for. */
  #openMore(latest?: Waiting): void {
    while (!this.#isFull && this.#opening < this.#waiting.size) {
      const waiting = latest ?? this.#waiting.values().next().value;
      if (!waiting) return;
      this.#connect(waiting);
    }
  }

  #connect(waiting: Waiting): void {
    const { address, port, tls } = this.#options;
    const connection = new Connection(this);
    this.#open++;
    this.#opening++;
    // Whoever gives up leaves the connection to open for another; not for ever, though.
    const leftMs = Math.max(1, waiting.untilMs - this.#clock.now());
    const stopTimer = this.#after(leftMs, () => connection.ready(notInTime()));
    connection.onReady = (error) => {
      stopTimer();
      this.#opening--;
      if (!error) this.#offer(connection);
      else if (this.#waiting.has(waiting)) waiting.fail(error);
      else this.#openMore(); // another connection has served it; this one may be counted on still
    };
    Bun.connect<Connection>({
      hostname: address,
      port,
      data: connection,
      socket: tls ? secureSocket : plainSocket,
      // An empty object would be no TLS at all.
      ...(tls ? { tls: { ...tls, rejectUnauthorized: true } } : {}),
    }).catch((error: Error) => connection.ready(error));
  }

  /** Its exchange is over. */
  release(connection: Connection, keepAliveS: number): void {
    const { idleMs } = this.#options.limits;
    connection.idleLimitMs =
      keepAliveS < 0 ? idleMs : Math.min(idleMs, keepAliveS * 1000 - keepAliveMarginMs);
    if (connection.idleLimitMs <= 0) connection.retire();
    else this.#offer(connection);
  }

  #offer(connection: Connection): void {
    const waiting = this.#waiting.size > 0 ? this.#waiting.values().next().value : undefined;
    if (waiting) {
      connection.takenAtMs = connection.idleSinceMs; // it did not rest
      waiting.take(connection);
      return;
    }
    if (this.#idle.length >= this.#options.limits.idle) {
      connection.retire();
      return;
    }
    connection.idleSinceMs = this.#clock.now();
    if (connection.served === 0) connection.idleLimitMs = this.#options.limits.idleMs;
    connection.rest();
    this.#idle.push(connection);
    if (!this.#sweeping) this.#sweep();
  }

  /** Closes what has rested too long; looks again as long as anything rests. */
  #sweep(): void {
    this.#sweeping = true;
    this.#clock.after(sweepMs, () => {
      const nowMs = this.#clock.now();
      const resting = this.#idle;
      this.#idle = [];
      for (const connection of resting) {
        if (connection.closed) continue;
        if (nowMs - connection.idleSinceMs < connection.idleLimitMs) this.#idle.push(connection);
        else connection.retire();
      }
      if (this.#idle.length > 0) this.#sweep();
      else this.#sweeping = false;
    });
  }

  /** A connection is gone: there is room for another. */
  left(): void {
    this.#open--;
    if (this.#waiting.size > 0) this.#openMore();
  }

  /** Closes what rests. What is in use is closed when it comes back. */
  close(): void {
    for (const connection of this.#idle) connection.retire();
    this.#idle = [];
  }
}

const notInTime = () => new ConnectionFailed("ETIMEDOUT", "the connection did not open in time");

/** What a socket tells goes to its connection. */
const plainSocket: SocketHandler<Connection> = {
  binaryType: "uint8array",
  open(socket) {
    socket.data.opened(socket);
    socket.data.ready();
  },
  data: (socket, bytes) => socket.data.received(bytes),
  drain: (socket) => socket.data.drained(),
  end: (socket) => socket.data.ended(),
  close: (socket, error) => socket.data.broke(error),
  error: (socket, error) => socket.data.broke(error),
};

/** The certificate is checked against the name; one that is not in order is never spoken to. */
const secureSocket: SocketHandler<Connection> = {
  ...plainSocket,
  open: (socket) => socket.data.opened(socket),
  handshake(socket, success, error) {
    const refused = error ?? new ConnectionFailed("ERR_TLS", "the TLS handshake failed");
    socket.data.ready(success && !error && socket.authorized ? undefined : refused);
  },
};
