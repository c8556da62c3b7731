/** When memory is tidied: after many calls at once, and never while one is answered. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { createWaves, quietMs, waveCalls } from "./waves.ts";

function setup() {
  const clock = createVirtualClock();
  let collected = 0;
  const tell = createWaves(clock, () => {
    collected++;
  });
  const rise = (to: number) => {
    for (let calls = 1; calls <= to; calls++) tell(calls);
  };
  const fall = (from: number, to = 0) => {
    for (let calls = from - 1; calls >= to; calls--) tell(calls);
  };
  return { clock, rise, fall, tell, collected: () => collected };
}

test("once after a wave, when it has been quiet", async () => {
  const { clock, rise, fall, collected } = setup();
  for (const wave of [1, 2]) {
    rise(waveCalls);
    fall(waveCalls);
    await clock.advance(quietMs - 1);
    expect(collected()).toBe(wave - 1);
    await clock.advance(1);
    expect(collected()).toBe(wave);
    await clock.advance(10 * quietMs);
    expect(collected()).toBe(wave);
  }
});

test("never for fewer calls than a wave", async () => {
  const { clock, rise, fall, collected } = setup();
  rise(waveCalls - 1);
  fall(waveCalls - 1);
  await clock.advance(10 * quietMs);
  expect(collected()).toBe(0);
});

test("not while a call is under way, nor soon after it", async () => {
  const { clock, rise, fall, tell, collected } = setup();
  rise(waveCalls);
  fall(waveCalls, 1);
  await clock.advance(10 * quietMs);
  expect(collected()).toBe(0);
  tell(0);
  await clock.advance(quietMs - 1);
  tell(1);
  await clock.advance(10 * quietMs);
  expect(collected()).toBe(0);
  tell(0);
  await clock.advance(quietMs / 2);
  tell(1);
  tell(0);
  await clock.advance(quietMs - 1);
  expect(collected()).toBe(0);
  await clock.advance(quietMs);
  expect(collected()).toBe(1);
});
