/** A slice is used up before anybody waits. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { createPause, noPause } from "./pause.ts";

test("work goes on within a slice, and lets others when it is used up", async () => {
  const clock = createVirtualClock();
  let nowUs = 0;
  const pause = createPause({ ...clock, monotonicUs: () => nowUs }, 1_000);
  expect(pause()).toBeUndefined();
  nowUs = 999;
  expect(pause()).toBeUndefined();
  nowUs = 1_000;
  const turn = pause();
  expect(turn).toBeInstanceOf(Promise);
  nowUs = 5_000; // others took their time: the next slice begins after them
  clock.advance(0);
  await turn;
  expect(pause()).toBeUndefined();
  expect(noPause()).toBeUndefined();
});
