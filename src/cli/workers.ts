/**
 * `serve --workers N`: further processes on the same port, which the kernel shares out between
 * them. Each is a whole gateway; they share the data folder, but not what is in memory (health of
 * deployments, conversations), so each learns that for itself.
 */
import { sleep, systemClock } from "../std/clock.ts";
import type { CommandContext } from "./command.ts";
import { selfCommand } from "./run-self.ts";

/** Set in the environment of a further process: it starts none of its own and prints no banner. */
export const workerName = "ROUTEIQ_WORKER";

export const maxWorkers = 64;

export interface Workers {
  /** Each reads the configuration anew. */
  reload(): void;
  /** Lets each drain; resolves when all have ended. */
  stop(): Promise<void>;
}

const restartPauseMs = 1_000;

/** Starts them, and again whoever ends without having been told to. */
export function startWorkers(
  count: number,
  words: readonly string[],
  { env, out }: CommandContext,
): Workers {
  const stopping = new AbortController();
  const running = new Map<number, Bun.Subprocess<"pipe", "ignore", "inherit">>();

  async function keepRunning(number: number): Promise<void> {
    while (!stopping.signal.aborted) {
      const child = Bun.spawn([...selfCommand(), ...words], {
        env: { ...env, [workerName]: String(number) },
        // Its end tells a worker that we are gone, whatever ended us.
        stdin: "pipe",
        stdout: "ignore",
        stderr: "inherit",
        // A terminal's Ctrl-C comes to us alone; we pass it on once, as SIGTERM.
        detached: true,
      });
      running.set(number, child);
      const code = await child.exited;
      running.delete(number);
      if (stopping.signal.aborted) return;
      out.note(`routeiq: worker ${number} ended with code ${code}; it is started again`);
      await sleep(systemClock, restartPauseMs, stopping.signal).catch(() => undefined);
    }
  }

  const all = Array.from({ length: count }, (_, i) => keepRunning(i + 2));
  const tell = (signal: NodeJS.Signals) => {
    for (const child of running.values()) child.kill(signal);
  };
  return {
    reload: () => tell("SIGHUP"),
    async stop() {
      stopping.abort();
      tell("SIGTERM");
      await Promise.all(all);
    },
  };
}

/** Aborts when the process that started this worker is gone. */
export function parentGone(): AbortSignal {
  const gone = new AbortController();
  const end = () => gone.abort(new Error("the process that started this worker is gone"));
  process.stdin.once("end", end).once("close", end).once("error", end).resume();
  return gone.signal;
}
