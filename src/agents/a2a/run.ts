/**
 * One message on its way through an agent: its events are taken, kept, told to whoever listens. It
 * goes on when the caller hangs up, for that is what a task is; its time is limited.
 */
import type { GatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Clock } from "../../std/clock.ts";
import { thisRunner } from "../../std/runner.ts";
import { type Agent, type Execute, isOwn, type UpstreamIds, type Work } from "./agent.ts";
import { A2aError, toA2aError } from "./errors.ts";
import { EventQueue } from "./event-queue.ts";
import { advance, type Progress } from "./progress.ts";
import { isOver } from "./state.ts";
import { statusOf } from "./status.ts";
import type { HeldTask, Tasks } from "./tasks.ts";
import type { StatusUpdate, Task, TaskEvent, TaskState } from "./wire.ts";

export interface RunParts {
  readonly tasks: Tasks;
  readonly clock: Clock;
  readonly runMs: number;
  /** Told of every event that matters to who waits elsewhere. */
  readonly tell: (task: Task, event: TaskEvent, owner: string) => void;
  /** Whether a task that goes on after its answer may be followed. */
  readonly mayFollow: () => boolean;
  /** A failure of ours, not of the agent. */
  readonly onFailure: (error: unknown) => void;
}

/** A task whose process has been killed on another host is told as failed after so long; here at once. */
export const leaseMs = 30_000;

/** An agent that says much without moving is written down no more often. */
const storeEveryMs = 250;

type Given = Pick<Work, "agent" | "caller" | "request" | "isNew" | "extensions" | "stream">;

export class Run {
  readonly agent: Agent;
  /** Settles when no more comes; never rejects. */
  readonly done: Promise<void>;
  /** The agent's answer, where it is a message and no task. */
  message: JsonObject | undefined;
  failure: A2aError | undefined;
  readonly #given: Given;
  readonly #parts: RunParts;
  readonly #listeners = new Set<EventQueue>();
  readonly #abort = new AbortController();
  readonly #begun = Promise.withResolvers<void>();
  readonly #answered = Promise.withResolvers<void>();
  #isAnswered = false;
  #progress: Progress;
  #upstream: UpstreamIds | undefined;
  #stored: boolean;
  #deadlineMs: number;
  #storedAtMs = 0;
  /** Something was told that its record does not have yet. */
  #isDirty = false;
  #stopLease: () => void = () => undefined;
  /** How it ended stands in its record already, by somebody else's word. */
  #isLost = false;

  constructor(given: Given, held: HeldTask, execute: Execute, parts: RunParts) {
    this.agent = given.agent;
    this.#given = given;
    this.#parts = parts;
    this.#progress = { task: held.task, moves: held.moves, size: JSON.stringify(held.task).length };
    this.#upstream = held.upstream;
    this.#stored = !given.isNew;
    this.#deadlineMs = parts.clock.now() + parts.runMs;
    this.done = this.#drive(execute);
  }

  get task(): Task {
    return this.#progress.task;
  }

  /** Its record is there, or it has ended without one. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  /** Who sent the message can be answered; what follows is for whoever listens. */
  get answered(): Promise<void> {
    return this.#answered.promise;
  }

  /** Who sent the message. */
  get owner(): string {
    return this.#given.caller.id;
  }

  /** Every event from now on, until whoever listens has left. */
  listen(left: AbortSignal): EventQueue {
    const queue = new EventQueue(() => this.#listeners.delete(queue));
    this.#listeners.add(queue);
    const leave = () => {
      this.#listeners.delete(queue);
      queue.end();
    };
    left.addEventListener("abort", leave, { once: true });
    return queue;
  }

  /** Ends it by somebody's word. */
  async cancel(): Promise<void> {
    this.#abort.abort(new A2aError("internal", "The task was cancelled."));
    await this.#take(this.#toStatus("TASK_STATE_CANCELED"));
    this.#end();
  }

  /** The gateway goes down. */
  stop(): void {
    this.#abort.abort(new A2aError("internal", "The gateway stopped before the task was done."));
  }

  async #drive(execute: Execute): Promise<void> {
    const { clock, runMs } = this.#parts;
    const stopClock = clock.after(runMs, () =>
      this.#abort.abort(new A2aError("internal", `The agent took longer than ${runMs} ms.`)),
    );
    const own = isOwn(this.agent);
    try {
      if (own) await this.#take({ task: this.task });
      const work: Work = {
        ...this.#given,
        task: this.task,
        upstream: this.#upstream,
        signal: this.#abort.signal,
        onUpstream: (ids) => {
          this.#upstream = ids;
        },
        onAnswered: () => {
          this.#isAnswered = true;
          this.#answered.resolve();
          return this.#parts.mayFollow();
        },
      };
      for await (const event of execute(work)) {
        if (!(await this.#take(event))) break;
      }
      if (this.#isDirty && this.#stored && !this.#isLost) await this.#store();
      this.#end();
    } catch (thrown) {
      await this.#fail(thrown, own);
    } finally {
      stopClock();
      this.#stopLease();
    }
  }

  /** False where no more is wanted. */
  async #take(event: TaskEvent): Promise<boolean> {
    if ("message" in event) {
      this.message = event.message;
      this.#publish(event);
      return false;
    }
    if (isOver(this.task.status.state)) return false;
    const before = this.task.status.state;
    this.#progress = advance(this.#progress, event);
    const isPiece = "artifactUpdate" in event && !event.artifactUpdate.lastChunk;
    const isMove = before !== this.task.status.state;
    const isSoon = this.#parts.clock.now() - this.#storedAtMs < storeEveryMs;
    const mayWait = this.#stored && (isPiece || (isSoon && !isMove));
    this.#isDirty = true;
    if (!mayWait && !(await this.#store())) {
      this.#endedElsewhere();
      return false;
    }
    this.#publish(event);
    if (!isPiece) this.#parts.tell(this.task, event, this.#given.caller.id);
    return !isOver(this.task.status.state);
  }

  async #store(): Promise<boolean> {
    const held = {
      ...this.#progress,
      agent: this.agent.id,
      owner: this.#given.caller.id,
      upstream: this.#upstream,
      deadlineMs: Math.min(this.#deadlineMs, this.#parts.clock.now() + leaseMs),
      runner: thisRunner(),
    };
    this.#renewLater();
    this.#storedAtMs = this.#parts.clock.now();
    this.#isDirty = false;
    if (this.#stored) return this.#parts.tasks.save(held);
    await this.#parts.tasks.create(held);
    this.#stored = true;
    this.#begun.resolve();
    return true;
  }

  /** While it is quiet, too, others see that somebody is at work: what is not renewed has died. */
  #renewLater(): void {
    this.#stopLease();
    if (isOver(this.task.status.state)) return;
    this.#stopLease = this.#parts.clock.after(leaseMs / 3, () => {
      this.#store().then((isOurs) => isOurs || this.#endedElsewhere(), this.#parts.onFailure);
    });
  }

  #endedElsewhere(): void {
    this.#isLost = true;
    this.#stopLease();
    this.#abort.abort(new A2aError("internal", "The task was ended elsewhere."));
  }

  #publish(event: TaskEvent): void {
    for (const listener of this.#listeners) listener.push(event);
  }

  /** Of ours, the task ends with its failure; what an agent elsewhere does goes on without us. */
  async #fail(thrown: unknown, own: boolean): Promise<void> {
    const error = toA2aError(this.#abort.signal.aborted ? this.#abort.signal.reason : thrown);
    if (error.kind === "internal" && !this.#isAnswered && !isKnown(error))
      this.#parts.onFailure(thrown);
    const isEnded = isOver(this.task.status.state) || (own && this.#isLost);
    // What was only followed stays as it was told last: whoever asks is told by the agent itself.
    if (isEnded || this.#isAnswered) return this.#end();
    this.failure = error;
    if (own && this.#stored) {
      try {
        await this.#take(this.#toStatus("TASK_STATE_FAILED", error.message));
        this.failure = undefined;
      } catch (failure) {
        this.#parts.onFailure(failure); // the store: nothing can be kept, the caller is told
      }
    }
    this.#end();
  }

  #end(): void {
    this.#begun.resolve();
    this.#answered.resolve();
    for (const listener of this.#listeners) listener.end(this.failure);
  }

  #toStatus(state: TaskState, text?: string): { readonly statusUpdate: StatusUpdate } {
    const { id: taskId, contextId } = this.task;
    const status = statusOf(state, this.#parts.clock, text, { taskId, contextId });
    return { statusUpdate: { taskId, contextId, status } };
  }
}

/** Failures that stand in the gateway's own table are no surprise. */
function isKnown({ more, cause }: A2aError): boolean {
  const code: GatewayError["code"] | string | undefined = more["error"];
  return cause === undefined || (code !== undefined && code !== "internal");
}
