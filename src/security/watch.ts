/**
 * Watches calls that wait for an answer on a connection that used to work. `fetch` does not tell a
 * dead connection from a slow answer, so when one waits past its limit the address is probed; a
 * dead address ends the wait of all. One timer serves every call of an address.
 */
import type { Clock } from "../std/clock.ts";

export interface Watch {
  /** The answer, or a rejection with `dead()` when the address turns out to be gone. */
  wait(answer: Promise<Response>, limitMs: number, dead: () => Error): Promise<Response>;
}

interface Waiting {
  readonly doubtAtMs: number;
  readonly giveUp: () => void;
}

export function createWatch(clock: Clock, probe: (timeoutMs: number) => Promise<boolean>): Watch {
  const waiting = new Set<Waiting>();
  let armed = false;

  const arm = (limitMs: number) => {
    armed = true;
    clock.after(limitMs, async () => {
      const oldest = waiting.values().next().value;
      if (oldest && oldest.doubtAtMs <= clock.now() && !(await probe(limitMs))) {
        const nowMs = clock.now();
        for (const call of waiting) if (call.doubtAtMs <= nowMs) call.giveUp();
      }
      armed = false;
      if (waiting.size > 0) arm(limitMs);
    });
  };

  return {
    wait(answer, limitMs, dead) {
      return new Promise((resolve, reject) => {
        let over = false;
        const call: Waiting = {
          doubtAtMs: clock.now() + limitMs,
          giveUp() {
            over = true;
            waiting.delete(call);
            reject(dead());
          },
        };
        waiting.add(call);
        if (!armed) arm(limitMs);
        answer.then(
          (response) => {
            waiting.delete(call);
            if (!over) return resolve(response);
            // Nobody waits any more: let go of the connection.
            response.body?.cancel().catch(() => undefined);
          },
          (thrown) => {
            waiting.delete(call);
            reject(thrown);
          },
        );
      });
    },
  };
}
