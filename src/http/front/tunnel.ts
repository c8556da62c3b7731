/**
 * A caller's connection joined to the runtime's own server, byte for byte in both directions, for
 * as long as it lasts. A side that does not read stops the other: nothing piles up here.
 */

/** As much of a socket as a tunnel needs; what Bun's are. */
export interface Pipe {
  /** How many bytes were taken; the rest is for after `drain`. Negative where it is closed. */
  write(bytes: Uint8Array): number;
  pause(): void;
  resume(): void;
  end(): void;
  terminate(): void;
}

/** One direction: what one side sends on its way into the other. */
class Lane {
  readonly #from: Pipe;
  #to: Pipe | undefined;
  #waiting: Uint8Array[] = [];
  #ended = false;

  constructor(from: Pipe) {
    this.#from = from;
  }

  open(to: Pipe): void {
    this.#to = to;
    this.drain();
  }

  push(bytes: Uint8Array): void {
    if (this.#to && this.#waiting.length === 0) {
      const taken = Math.max(0, this.#to.write(bytes));
      if (taken === bytes.length) return;
      this.#waiting.push(bytes.subarray(taken));
    } else this.#waiting.push(bytes);
    this.#from.pause();
  }

  drain(): void {
    for (let bytes = this.#waiting[0]; bytes && this.#to; bytes = this.#waiting[0]) {
      const taken = Math.max(0, this.#to.write(bytes));
      if (taken < bytes.length) {
        this.#waiting[0] = bytes.subarray(taken);
        return;
      }
      this.#waiting.shift();
    }
    if (!this.#to) return;
    if (this.#ended) this.#to.end();
    else this.#from.resume();
  }

  /** Bytes wait here because the other side does not read. */
  get isStuck(): boolean {
    return this.#waiting.length > 0;
  }

  /** Nothing follows: the other side is closed when it has the rest. */
  end(): void {
    this.#ended = true;
    if (this.#to && this.#waiting.length === 0) this.#to.end();
  }
}

export class Tunnel {
  readonly #caller: Pipe;
  readonly #up: Lane;
  #down: Lane | undefined;
  #server: Pipe | undefined;
  #gone = false;

  /** `first`: what the caller has sent already. */
  constructor(caller: Pipe, address: { readonly unix: string }, first: Uint8Array) {
    this.#caller = caller;
    this.#up = new Lane(caller);
    this.#up.push(first);
    this.#open(address).catch(() => caller.terminate()); // our server is closing
  }

  async #open({ unix }: { readonly unix: string }): Promise<void> {
    await Bun.connect({
      unix,
      socket: {
        open: (server) => {
          if (this.#gone) {
            server.terminate();
            return;
          }
          this.#server = server;
          this.#down = new Lane(server);
          this.#down.open(this.#caller);
          this.#up.open(server);
        },
        data: (_, bytes) => this.#down?.push(bytes),
        drain: () => this.#up.drain(),
        close: () => this.#down?.end(),
        error: () => this.#caller.terminate(),
      },
    });
  }

  push(bytes: Uint8Array): void {
    this.#up.push(bytes);
  }

  /** The caller takes bytes again. */
  drain(): void {
    this.#down?.drain();
  }

  /** The caller is gone. */
  close(): void {
    this.#gone = true;
    // A server that reads nothing, perhaps as nobody takes its answer, would never see the end.
    if (this.#up.isStuck) this.#server?.terminate();
    else this.#up.end();
  }
}
