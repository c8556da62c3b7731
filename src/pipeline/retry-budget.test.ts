/** How many retries there are: of steady calls, in a storm, after a stall. */
import { expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { createRetryBudget, retryBudgetLimits } from "./retry-budget.ts";

/** Calls at a steady rate, of which so many want a retry; how many got one. */
async function steady(calls: number, failing: number, seconds: number) {
  const clock = createVirtualClock();
  const budget = createRetryBudget(clock);
  let given = 0;
  for (let s = 0; s < seconds; s++) {
    for (let i = 0; i < calls; i++) budget.countCall();
    for (let i = 0; i < failing; i++) given += Number(budget.take());
    await clock.advance(1000);
  }
  return { clock, budget, given };
}

test("a share of the calls may be tried again, and a few always", async () => {
  expect((await steady(50, 7, 10)).given).toBe(70);
  expect((await steady(50, 20, 10)).given).toBe(100);
  expect((await steady(0, 1, 10)).given).toBe(retryBudgetLimits.floor);
});

test("where most calls fail, the share is smaller", async () => {
  expect((await steady(50, 45, 10)).given).toBeLessThan(70);
});

test("after a stall, failures of calls from before it are no storm", async () => {
  const { clock, budget } = await steady(50, 0, 8);
  await clock.advance(2_000);
  let given = 0;
  for (let i = 0; i < 30; i++) given += Number(budget.take());
  expect(given).toBe(30);
});
