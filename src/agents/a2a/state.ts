/**
 * How a task may move. The predecessor's table, with the two states that A2A has had since: a task
 * may be refused before it ends, and may wait for authorisation as it waits for input.
 */
import { A2aError } from "./errors.ts";
import type { TaskState } from "./wire.ts";

const ends = ["COMPLETED", "FAILED", "CANCELED", "REJECTED"] as const;
const waits = ["INPUT_REQUIRED", "AUTH_REQUIRED"] as const;

const moves: Readonly<Record<string, readonly string[]>> = {
  SUBMITTED: ["WORKING", ...waits, ...ends],
  WORKING: [...waits, ...ends],
  INPUT_REQUIRED: ["WORKING", "AUTH_REQUIRED", ...ends],
  AUTH_REQUIRED: ["WORKING", "INPUT_REQUIRED", ...ends],
  UNSPECIFIED: ["SUBMITTED", "WORKING"],
};

const short = (state: TaskState) => state.replace("TASK_STATE_", "");

export const isOver = (state: TaskState): boolean => ends.some((end) => end === short(state));

/** It goes no further until somebody says something. */
export const isWaiting = (state: TaskState): boolean => waits.some((wait) => wait === short(state));

/** Nobody is at work on it. */
export const isQuiet = (state: TaskState): boolean => isOver(state) || isWaiting(state);

/** To stay is no move. */
export function mayMove(from: TaskState, to: TaskState): boolean {
  return from === to ? !isOver(from) : (moves[short(from)] ?? []).includes(short(to));
}

/** @throws A2aError invalidParams, which lists where it may go */
export function assertMove(from: TaskState, to: TaskState): void {
  if (mayMove(from, to)) return;
  const targets = (moves[short(from)] ?? []).map(olderState).join(", ") || "none, it is over";
  throw new A2aError(
    "invalidParams",
    `A task that is ${olderState(short(from))} cannot become ${olderState(short(to))}. It may become: ${targets}.`,
  );
}

const olderState = (name: string) => name.toLowerCase().replaceAll("_", "-");
