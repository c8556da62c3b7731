/** Skills run in a few threads of their own; one that does not end in time is ended with its thread. */
import { GatewayError } from "../../domain/errors.ts";
import { type Background, createBackground, type WorkerLike } from "../../std/background.ts";
import { type Clock, sleep } from "../../std/clock.ts";
import { RpcError } from "../../std/rpc.ts";
import type { SkillResult, SkillRun, SkillService } from "./run-thread.ts";

export interface SkillRunner {
  /** @throws GatewayError skill_failed, overloaded */
  run(run: SkillRun): Promise<SkillResult>;
  close(): void;
}

export interface SkillRunnerOptions {
  readonly spawn: () => WorkerLike;
  readonly clock: Clock;
  readonly concurrency: () => number;
  readonly maxWaiting: number;
}

/** Beyond its own limit, which the interpreter keeps: what the interpreter cannot stop is stopped here. */
const graceMs = 2_000;

interface Api {
  readonly skills: SkillService;
}

export function createSkillRunner(options: SkillRunnerOptions): SkillRunner {
  const { spawn, clock, concurrency, maxWaiting } = options;
  const idle: Background<Api>[] = [];
  const waiting: (() => void)[] = [];
  let busy = 0;
  let closed = false;

  async function enter(): Promise<void> {
    if (busy < concurrency()) {
      busy += 1;
      return;
    }
    if (waiting.length >= maxWaiting) {
      const message = "Too many skills are running. Try again in a moment.";
      throw new GatewayError("overloaded", message, { retryAfterS: 1 });
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  }

  function leave(): void {
    const next = waiting.shift();
    if (next) next();
    else busy -= 1;
  }

  async function runIn(thread: Background<Api>, run: SkillRun): Promise<SkillResult> {
    await thread.service("skills").call("ready", null);
    const stop = new AbortController();
    const late = sleep(clock, run.timeoutMs + graceMs, stop.signal).then(() => {
      throw new RpcError("skill_timeout", "The skill took too long.");
    });
    try {
      const result = await Promise.race([thread.service("skills").call("run", run), late]);
      idle.push(thread);
      return result;
    } catch (cause) {
      const known = cause instanceof RpcError ? cause.code : "";
      // An interpreter that gave an answer is sound; a thread that did not is ended.
      if (/^skill_(failed|output)$/.test(known)) idle.push(thread);
      else thread.close();
      const message = cause instanceof Error ? cause.message : String(cause);
      throw new GatewayError("skill_failed", message.slice(0, 500), { cause });
    } finally {
      stop.abort();
      late.catch(() => undefined);
    }
  }

  return {
    async run(run) {
      await enter();
      try {
        if (closed) throw new GatewayError("draining", "The gateway closes.");
        const thread =
          idle.pop() ?? createBackground<Api>({ spawn, clock, onCrash: () => undefined });
        return await runIn(thread, run);
      } finally {
        leave();
      }
    },
    close() {
      closed = true;
      for (const thread of idle) thread.close();
    },
  };
}
