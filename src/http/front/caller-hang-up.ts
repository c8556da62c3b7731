/** How a call learns that its caller has gone, without an AbortController per call. */
import type { HangUp } from "../../domain/call.ts";

/** Tells whoever listens that the caller is gone; one for all calls of a connection. */
export class CallerHangUp implements HangUp {
  aborted = false;
  #listener: (() => void) | undefined;

  /** Takes the place of who listened to the call before. */
  addEventListener(_type: "abort", listener: () => void): void {
    this.#listener = listener;
  }

  /** The call has ended; nothing of it is kept. */
  forget(): void {
    this.#listener = undefined;
  }

  fire(): void {
    this.aborted = true;
    this.#listener?.();
  }
}
