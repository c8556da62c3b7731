/** Skills run in a few threads of their own; one that does not end in time is ended with its thread. */
import { GatewayError } from "../../domain/errors.ts";
import { type Background, createBackground, type WorkerLike } from "../../std/background.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { PythonPlaces } from "./python/places.ts";
import type { SkillService } from "./run-thread.ts";
import type { SkillResult, SkillRun } from "./skill-run.ts";

export interface SkillRunner {
  /**
   * @param signal ends it, whether it waits or runs
   * @throws GatewayError skill_failed, skill_runtime_missing, overloaded; the signal's reason
   */
  run(run: SkillRun, signal?: AbortSignal): Promise<SkillResult>;
  close(): void;
}

export interface SkillRunnerOptions {
  readonly spawn: () => WorkerLike;
  readonly clock: Clock;
  readonly concurrency: () => number;
  readonly maxWaiting: number;
  /** Where Python's runtime may lie. */
  readonly python: () => PythonPlaces;
}

/** Beyond its own limit, which the interpreter keeps: what the interpreter cannot stop is stopped here. */
const graceMs = 2_000;

interface Api {
  readonly skills: SkillService;
}

export function createSkillRunner(options: SkillRunnerOptions): SkillRunner {
  const { spawn, clock, concurrency, maxWaiting, python } = options;
  const idle: Background<Api>[] = [];
  const working = new Set<Background<Api>>();
  const waiting: (() => void)[] = [];
  let busy = 0;
  let closed = false;

  async function enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (busy < concurrency()) {
      busy += 1;
      return;
    }
    if (waiting.length >= maxWaiting) {
      const message = "Too many skills are running. Try again in a moment.";
      throw new GatewayError("overloaded", message, { retryAfterS: 1 });
    }
    const turn = Promise.withResolvers<void>();
    waiting.push(turn.resolve);
    const giveUp = () => {
      const at = waiting.indexOf(turn.resolve);
      if (at < 0) return; // its turn has come: it ends where it runs
      waiting.splice(at, 1);
      turn.reject(signal?.reason);
    };
    signal?.addEventListener("abort", giveUp, { once: true });
    await turn.promise;
    signal?.removeEventListener("abort", giveUp);
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else busy -= 1;
  }

  async function runIn(
    thread: Background<Api>,
    run: SkillRun,
    signal: AbortSignal | undefined,
  ): Promise<SkillResult> {
    const service = thread.service("skills");
    const stop = new AbortController();
    const gone = Promise.withResolvers<never>();
    gone.promise.catch(() => undefined);
    const onAbort = () => {
      if (run.runtime !== "python") return gone.reject(signal?.reason);
      // A thread that ended with its process would leave it dead and unburied.
      void service.call("stop", null).catch(() => undefined);
      sleep(clock, graceMs, stop.signal).then(
        () => gone.reject(signal?.reason),
        () => undefined, // it has ended
      );
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      signal?.throwIfAborted();
      const places = run.runtime === "python" ? python() : null;
      await Promise.race([service.call("ready", places), gone.promise]);
      const late = sleep(clock, run.timeoutMs + graceMs, stop.signal).then(() => {
        throw new RpcError("skill_timeout", "The skill took too long.");
      });
      late.catch(() => undefined);
      const result = await Promise.race([service.call("run", run), late, gone.promise]);
      idle.push(thread);
      return result;
    } catch (thrown) {
      throw endedBy(thread, thrown);
    } finally {
      stop.abort();
      signal?.removeEventListener("abort", onAbort);
    }
  }

  /** An interpreter that gave an answer is sound; a thread that did not is ended. */
  function endedBy(thread: Background<Api>, thrown: unknown): unknown {
    const code = thrown instanceof RpcError ? thrown.code : "";
    if (/^skill_(failed|output|ended|runtime_missing)$/.test(code)) idle.push(thread);
    else thread.close();
    if (!(thrown instanceof RpcError)) return thrown;
    const isMissing = code === "skill_runtime_missing";
    return new GatewayError(
      isMissing ? "skill_runtime_missing" : "skill_failed",
      thrown.message.slice(0, 500),
      { cause: thrown },
    );
  }

  return {
    async run(run, signal) {
      await enter(signal);
      let thread: Background<Api> | undefined;
      try {
        if (closed) throw new GatewayError("draining", "The gateway closes.");
        thread = idle.pop() ?? createBackground<Api>({ spawn, clock, onCrash: () => undefined });
        working.add(thread);
        return await runIn(thread, run, signal);
      } finally {
        if (thread) {
          working.delete(thread);
          if (closed) thread.close();
        }
        leave();
      }
    },
    close() {
      closed = true;
      for (const thread of [...idle, ...working]) thread.close();
    },
  };
}
