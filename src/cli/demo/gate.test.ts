/** The gate reads what `eval --json` writes, and passes only a gain that is certain. */
import { expect, test } from "bun:test";
import { gateLines, readGate } from "./gate.ts";

const written = (low: number) =>
  JSON.stringify({
    ok: true,
    results: [
      {
        evaluation: {
          strategy: "llmrouter-linear",
          rows: 96,
          router: { aiq: 0.85 },
          baselines: { zeroRouter: { aiq: 0.72 } },
          control: { aiq: 0.68 },
          gain: { value: 0.13, low, high: 0.15 },
        },
      },
    ],
  });

test("a gain whose lower bound is above zero passes", () => {
  const gate = readGate(`progress\n${written(0.1)}\n`);
  expect(gate).toMatchObject({ passed: true, aiq: 0.85, fixedAiq: 0.72, rows: 96 });
  expect(gateLines(gate).join(" ")).toContain("+0.130, 95 % interval +0.100 to +0.150: passed");
});

test("a gain that may be none is refused", () => {
  const gate = readGate(written(-0.01));
  expect(gate.passed).toBe(false);
  expect(gateLines(gate).join(" ")).toContain("−0.010 to +0.150: refused");
});

test("anything else is said to be so", () => {
  expect(() => readGate("{}")).toThrow("routeiq eval --json");
});
