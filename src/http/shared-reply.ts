/**
 * One reply for several callers: recorded while it comes, told from its beginning to each who joins.
 * The fastest reader draws it; nobody reading, nobody draws. Memory is bounded: for each by `limitBytes`, for all
 * by an allowance. Beyond that a reply loses its beginning, and nobody can join any more.
 */

export interface SharedReply {
  /** A reader's own stream, from the first byte on. `onLeave` is called once, however it ends. */
  read(onLeave: () => void): ReadableStream<Uint8Array>;
  /** False once it is too long to be told from its beginning. */
  readonly whole: boolean;
  /** Draws the rest although nobody reads, while `wanted` says so. */
  drain(wanted: () => boolean): Promise<void>;
  /** Lets the source go. */
  cancel(): void;
  /** All bytes, where it ended well and is whole. */
  bytes(): Uint8Array | undefined;
}

/** Bytes that all shared replies together may hold. */
export class Allowance {
  #left: number;

  constructor(bytes: number) {
    this.#left = bytes;
  }

  get left(): number {
    return this.#left;
  }

  take(bytes: number): void {
    this.#left -= bytes;
  }

  giveBack(bytes: number): void {
    this.#left += bytes;
  }
}

/** `onEnd` is told once: whether the source ended by itself. */
export function shareReply(
  source: ReadableStream<Uint8Array> | null,
  limitBytes: number,
  allowance: Allowance,
  onEnd: (complete: boolean) => void,
): SharedReply {
  const reader = source?.getReader();
  const chunks: Uint8Array[] = [];
  /** Chunks that are gone from the front. */
  let dropped = 0;
  let heldBytes = 0;
  let over: "complete" | "broken" | undefined;
  let failure: unknown;
  let drawing: Promise<void> | undefined;

  function end(how: "complete" | "broken", cause?: unknown): void {
    if (over) return;
    over = how;
    failure = cause;
    onEnd(how === "complete");
    allowance.giveBack(heldBytes); // what is kept of it is counted by who keeps it
  }

  function add(chunk: Uint8Array): void {
    chunks.push(chunk);
    heldBytes += chunk.length;
    allowance.take(chunk.length);
    while ((heldBytes > limitBytes || allowance.left < 0) && chunks.length > 1) {
      const bytes = chunks.shift()?.length ?? 0;
      heldBytes -= bytes;
      allowance.giveBack(bytes);
      dropped++;
    }
  }

  /** One more chunk, however many ask for it. */
  function draw(): Promise<void> {
    drawing ??= drawOne().finally(() => {
      drawing = undefined;
    });
    return drawing;
  }

  async function drawOne(): Promise<void> {
    if (!reader) return end("complete");
    try {
      const { value, done } = await reader.read();
      if (done) end("complete");
      else add(value);
    } catch (thrown) {
      end("broken", thrown);
    }
  }

  const isWhole = () => dropped === 0 && heldBytes <= limitBytes;

  return {
    get whole() {
      return isWhole();
    },
    read(onLeave) {
      let at = 0;
      let left = false;
      const leave = () => {
        if (left) return;
        left = true;
        onLeave();
      };
      return new ReadableStream<Uint8Array>({
        async pull(sink) {
          while (at >= dropped + chunks.length && !over) await draw();
          const chunk = chunks[at - dropped];
          if (at < dropped) {
            leave();
            return sink.error(new Error("this reader fell too far behind another one"));
          }
          if (chunk) {
            at++;
            return sink.enqueue(chunk);
          }
          leave();
          if (over === "broken") return sink.error(failure);
          sink.close();
        },
        cancel: leave,
      });
    },
    cancel() {
      end("broken", new Error("nobody reads this reply any more"));
      reader?.cancel().catch(() => undefined); // it is gone either way
    },
    async drain(wanted) {
      while (!over && isWhole() && wanted()) await draw();
    },
    bytes: () => (over === "complete" && isWhole() ? Buffer.concat(chunks) : undefined),
  };
}
