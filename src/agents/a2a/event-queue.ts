/** Events of one listener, in order. A listener that does not keep up is let go, and told so. */
import { A2aError } from "./errors.ts";
import type { TaskEvent } from "./wire.ts";

const heldLimit = 4_096;

export class EventQueue implements AsyncIterable<TaskEvent> {
  readonly #held: TaskEvent[] = [];
  #over = false;
  #failure: unknown;
  #wake: (() => void) | undefined;
  #onLeave: (() => void) | undefined;

  constructor(onLeave?: () => void) {
    this.#onLeave = onLeave;
  }

  push(event: TaskEvent): void {
    if (this.#over) return;
    this.#held.push(event);
    if (this.#held.length > heldLimit) {
      this.#held.length = 0;
      this.end(
        new A2aError("internal", "Events were not read as fast as they came; get the task."),
      );
    }
    this.#wake?.();
  }

  /** What is held is still handed out; then the failure, where there is one. */
  end(failure?: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = failure;
    this.#wake?.();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<TaskEvent> {
    try {
      for (;;) {
        const next = this.#held.shift();
        if (next) {
          yield next;
          continue;
        }
        if (this.#over) break;
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#wake = resolve;
        await promise;
      }
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#onLeave?.();
    }
  }
}
