/** The demo's last words follow from its figures, also where they are bad. */
import { expect, test } from "bun:test";
import { finaleLines, verdict } from "./finale.ts";

const summary = (quality: number, costPer1000Usd: number) => ({
  calls: 100,
  failed: 0,
  quality,
  costPer1000Usd,
  latencyMs: 10,
  models: { "sim-coder": 60, "sim-sage": 40 },
});

const finale = {
  before: summary(0.7, 1),
  singles: [
    { model: "sim-swift", ...summary(0.6, 0.1) },
    { model: "sim-sage", ...summary(0.9, 4) },
  ],
  dial: [
    { tradeoff: 0, ...summary(0.8, 0.5) },
    { tradeoff: 0.5, ...summary(0.45, 8) },
  ],
};

test("a router that is worse and dearer is called so", () => {
  const words = verdict(finale).join("\n");
  expect(words).toContain("Dial 0.5: 50 % of the quality for 200 % of the cost of sim-sage");
  expect(words).toContain("No setting of the dial is as good as the best single model, sim-sage.");
  expect(words).toContain("Dial 0: 114 % of the quality for 50 % of the cost of simple-shuffle");
  expect(words).toContain("(quality 0.800 against 0.700; $0.50 against $1.00 per 1,000 calls)");
});

test("every row of the table has its mark in the plot", () => {
  const lines = finaleLines(finale, false).join("\n");
  for (const name of ["sim-swift alone", "before: simple-shuffle", "after: router, dial 0.5"]) {
    expect(lines).toContain(name);
  }
  expect(lines.match(/◆/g)?.length).toBe(4); // two rows, two points
  expect(lines).not.toContain("\x1b");
});

test("on a terminal, marks are coloured", () => {
  expect(finaleLines(finale, true).join("\n")).toContain("\x1b[32m◆\x1b[0m");
});
