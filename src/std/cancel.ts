/**
 * How one attempt of a call is stopped. An AbortController with its signal, event target and
 * listener costs microseconds, and almost no call is ever stopped: this is two fields until someone
 * asks for a signal. One owner listens at a time: whoever has the connection.
 */
export class Cancel {
  /** Why it was stopped; undefined while it runs. */
  reason: Error | undefined;
  #listener: ((reason: Error) => void) | undefined;
  #controller: AbortController | undefined;

  /** The first reason stands; later ones are not heard. */
  cancel(reason: Error): void {
    if (this.reason) return;
    this.reason = reason;
    this.#listener?.(reason);
    this.#controller?.abort(reason);
  }

  /** Who is told; it takes the place of who was told before, and is told at once where it is late. */
  listen(listener: ((reason: Error) => void) | undefined): void {
    this.#listener = listener;
    if (this.reason) listener?.(this.reason);
  }

  /** For what takes nothing else, such as `fetch`. Made when it is asked for. */
  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController();
      if (this.reason) this.#controller.abort(this.reason);
    }
    return this.#controller.signal;
  }

  throwIfCancelled(): void {
    if (this.reason) throw this.reason;
  }
}
