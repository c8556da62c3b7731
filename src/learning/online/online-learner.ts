/**
 * Online learning as the serving thread sees it: what calls will teach, until their scores come;
 * batches to the background thread; states back, swapped in one assignment.
 */
import type { Lesson, OnlineScores, OnlineState } from "../../routing/online.ts";
import { fits, onlineInputs } from "../../routing/online.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Clock } from "../../std/clock.ts";
import { createLru } from "../../std/lru.ts";
import type { Remote } from "../../std/rpc.ts";
import type { EventLog } from "../../storage/event-log.ts";
import type { Telemetry } from "../../telemetry/telemetry.ts";
import type { OnlineService, OnlineTarget } from "./online-thread.ts";

export interface OnlineLearnerOptions {
  readonly remote: Remote<OnlineService>;
  readonly dataDir: string;
  readonly process: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export interface OnlineLearner extends OnlineScores {
  /** A call's score, in [0, 1]; the first one teaches. */
  teach(callId: string, score: number): void;
  /** Sends what waits; resolves when the state it made is in force. */
  flush(): Promise<void>;
  close(): void;
}

/** Outcomes are learnt in batches: as many, or after so long. */
export const batchSize = 64;
export const batchMs = 15_000;
/** Calls whose score may still come; some 200 bytes each. */
export const rememberedLessons = 20_000;
/** Routers that are corrected at once: the one in force, one beside it. */
const mostRouters = 4;
/** Batches that wait while the thread is down; older outcomes are dropped, and counted. */
const mostWaiting = 16 * batchSize;

interface Learnt {
  readonly target: OnlineTarget;
  state: OnlineState | undefined;
  /** What was learnt before is being read. */
  opening: Promise<void>;
  readonly waiting: { readonly lesson: Lesson; readonly score: number }[];
}

export function createOnlineLearner(options: OnlineLearnerOptions): OnlineLearner {
  const { remote, dataDir, process, clock, telemetry } = options;
  const outcomes = telemetry.counter("routeiq.online.outcomes", "Outcomes learnt while serving.");
  const dropped = telemetry.counter("routeiq.online.dropped", "Outcomes that were not learnt.");
  const lessons = createLru<string, Lesson>(rememberedLessons);
  const learnt = new Map<string, Learnt>();
  let cancelFlush: (() => void) | undefined;
  let flushing: Promise<void> = Promise.resolve();

  function open(router: TrainedRouter): Learnt {
    const artifact = router.identity.sha256;
    const target = { dataDir, process, artifact, labels: router.labels.length };
    const opening = Promise.resolve();
    const made: Learnt = { target, state: undefined, opening, waiting: [] };
    learnt.set(artifact, made);
    if (learnt.size > mostRouters) learnt.delete(learnt.keys().next().value ?? "");
    made.opening = remote.call("open", { target }).then(
      (state) => {
        if (fits(state, router)) made.state ??= state;
      },
      (error: unknown) => {
        learnt.delete(artifact); // the next call tries again
        telemetry.log("error", "online learning could not begin", { error });
      },
    );
    return made;
  }

  function queue(lesson: Lesson, score: number): void {
    const of = learnt.get(lesson.artifact);
    if (!of) return; // its router is gone
    of.waiting.push({ lesson, score });
    if (of.waiting.length > mostWaiting) {
      of.waiting.shift();
      dropped.add(1);
    }
    if (of.waiting.length >= batchSize) void flush();
    else cancelFlush ??= clock.after(batchMs, () => void flush());
  }

  function flush(): Promise<void> {
    cancelFlush?.();
    cancelFlush = undefined;
    flushing = flushing.then(async () => {
      for (const of of [...learnt.values()]) await send(of);
    });
    return flushing;
  }

  async function send(of: Learnt): Promise<void> {
    await of.opening;
    const batch = of.waiting.splice(0);
    if (batch.length === 0) return;
    const inputs = new Float32Array(batch.length * onlineInputs);
    batch.forEach(({ lesson }, i) => {
      inputs.set(lesson.inputs, i * onlineInputs);
    });
    try {
      of.state = await remote.call("learn", {
        target: of.target,
        outcomes: {
          labels: Uint16Array.from(batch, ({ lesson }) => lesson.label),
          inputs,
          residuals: Float32Array.from(batch, ({ lesson, score }) => score - lesson.predicted),
        },
      });
      outcomes.add(batch.length);
    } catch (error) {
      dropped.add(batch.length);
      telemetry.log("error", "outcomes could not be learnt online", { error, count: batch.length });
    }
  }

  return {
    stateFor: (router) => (learnt.get(router.identity.sha256) ?? open(router)).state,
    ended(callId, lesson, ok) {
      if (ok) lessons.set(callId, lesson);
      else queue(lesson, 0);
    },
    teach(callId, score) {
      const lesson = lessons.get(callId);
      if (!lesson) return;
      lessons.delete(callId);
      queue(lesson, score);
    },
    flush,
    close() {
      cancelFlush?.();
    },
  };
}

/** The event log, whose feedback teaches. */
export function teachFrom(
  events: EventLog,
  learner: () => Pick<OnlineLearner, "teach"> | undefined,
): EventLog {
  return {
    ...events,
    async addFeedback(feedback) {
      const known = await events.addFeedback(feedback);
      if (known) learner()?.teach(feedback.callId, feedback.score);
      return known;
    },
  };
}
