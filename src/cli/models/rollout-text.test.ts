/** Differences of two arms as a person reads them: shares as points, money and time as factors. */
import { expect, test } from "bun:test";
import { showDifference } from "./rollout-text.ts";

test.each([
  ["errors", 0.02, 0.01, [-0.335, 0.012], "2 % against 1 % (n 9): -33.5 to +1.2 points"],
  ["latency", 120, 80, [1.2, 2], "120 ms against 80 ms (n 9): ×1.20 to ×2.00"],
  ["quality", 0.8, 0.7, [0.01, 0.2], "0.800 against 0.700 (n 9): +0.010 to +0.200"],
  ["cost", 0.001, 0.002, null, "0.00100 USD against 0.00200 USD (n 9): too little yet"],
])("%s", (metric, arm, control, interval, said) => {
  const [line] = showDifference({ metric, arm, control, arm_n: 9, interval, significant: false });
  expect(line).toBe(`    ${metric.padEnd(8)} ${said}`);
});
