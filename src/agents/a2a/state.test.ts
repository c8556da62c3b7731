/** The predecessor's table of moves, and what A2A has added to it. */
import { expect, test } from "bun:test";
import { A2aError } from "./errors.ts";
import { fromOlderState, toOlderState } from "./older.ts";
import { assertMove, mayMove } from "./state.ts";
import { taskStates } from "./wire.ts";

const moves: Readonly<Record<string, readonly string[]>> = {
  submitted: ["submitted", "working", "completed", "failed", "canceled"],
  working: ["working", "completed", "failed", "canceled", "input-required"],
  "input-required": ["input-required", "working", "completed", "failed", "canceled"],
  unknown: ["unknown", "submitted", "working"],
  completed: [],
  failed: [],
  canceled: [],
  rejected: [],
};
/** States and ways that the predecessor did not know. */
const added = ["rejected", "auth-required"];

const pairs = Object.keys(moves).flatMap((from) =>
  [...Object.keys(moves), ...added].map((to): [string, string] => [from, to]),
);

test.each(pairs)("%s to %s", (from, to) => {
  const isOver = (moves[from] ?? []).length === 0;
  const isAdded =
    !isOver &&
    from !== "unknown" &&
    (added.includes(to) || (from === "submitted" && to === "input-required"));
  const expected = (moves[from] ?? []).includes(to) || isAdded;
  expect(mayMove(fromOlderState(from), fromOlderState(to))).toBe(expected);
});

test("a move that is none lists those that are", () => {
  const move = () => assertMove("TASK_STATE_UNSPECIFIED", "TASK_STATE_COMPLETED");
  expect(move).toThrow(A2aError);
  expect(move).toThrow("submitted, working");
  expect(() => assertMove("TASK_STATE_FAILED", "TASK_STATE_WORKING")).toThrow("none, it is over");
});

test.each(taskStates.map((state) => [state]))("%s keeps its name there and back", (state) => {
  expect(fromOlderState(toOlderState(state))).toBe(state);
});
