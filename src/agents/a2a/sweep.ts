/**
 * What an earlier process has left: tasks whose end nobody noticed, and addresses that were not told
 * how a task stands. Looked for at the start and now and then; what is told twice is told at least once.
 */
import { type Clock, sleep } from "../../std/clock.ts";
import { isGone } from "../../std/runner.ts";
import type { Open, Push } from "./push.ts";
import { isQuiet } from "./state.ts";
import type { HeldTask, Tasks } from "./tasks.ts";
import type { Task } from "./wire.ts";

export const sweepLimits = {
  everyMs: 15_000,
  /** Another process may still be trying: its attempts take no longer. */
  patienceMs: 90_000,
  /** Of agents elsewhere that are asked in one sweep. */
  questions: 100,
} as const;

export interface SweepParts {
  readonly tasks: Tasks;
  readonly push: Push;
  readonly clock: Clock;
  /** A message to it is under way in this process. */
  readonly isLiving: (taskId: string) => boolean;
  /** As the agent elsewhere has it, kept. */
  readonly refresh: (held: HeldTask) => Promise<Task>;
  readonly onFailure: (error: unknown) => void;
}

export interface Sweep {
  start(): void;
  /** Once; for tests too. */
  run(): Promise<void>;
  close(): Promise<void>;
}

export function createSweep(parts: SweepParts): Sweep {
  const { tasks, push, clock, isLiving, refresh, onFailure } = parts;
  const closing = new AbortController();
  let loop: Promise<void> = Promise.resolve();
  let isFirst = true;

  async function look(open: Open, ask: () => boolean): Promise<void> {
    const held = await tasks.look(open.taskId);
    if (!held || isLiving(open.taskId)) return;
    let { task } = held;
    const isLeft = clock.now() > held.deadlineMs || (held.runner && isGone(held.runner));
    if (held.upstream && !isQuiet(task.status.state) && isLeft && ask()) {
      task = await refresh(held);
    }
    const { state, timestamp } = task.status;
    if (open.told === `${state} ${timestamp}`) return;
    const ageMs = clock.now() - Date.parse(timestamp);
    if (!isFirst && task === held.task && ageMs < sweepLimits.patienceMs && !isLeft) return;
    push.tell(task, { task });
  }

  async function run(): Promise<void> {
    let asked = 0;
    const seen = new Set<string>();
    for (const open of await push.open()) {
      if (seen.has(open.taskId)) continue;
      seen.add(open.taskId);
      try {
        await look(open, () => ++asked <= sweepLimits.questions);
      } catch (thrown) {
        onFailure(thrown); // of one task: the others are looked at all the same
      }
    }
    isFirst = false;
  }

  return {
    run,
    start() {
      loop = (async () => {
        while (!closing.signal.aborted) {
          await run().catch(onFailure);
          await sleep(clock, sweepLimits.everyMs, closing.signal).catch(() => undefined);
        }
      })();
    },
    async close() {
      closing.abort();
      await loop;
    },
  };
}
