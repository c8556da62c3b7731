/** The gate judges a cascade by what its rule gained on rows that it was not fitted to. */
import { expect, test } from "bun:test";
import { createRandom } from "../../std/random.ts";
import { judgeGate } from "../artifacts/gate.ts";
import type { Table } from "../table.ts";
import { type Cascade, cascadeRemedy, toCascadeEvidence } from "./cascade-evidence.ts";
import { measureEvidence } from "./evidence.ts";

const labels = ["tiny", "grand"];
const cascade: Cascade = {
  small: "tiny",
  large: "grand",
  rule: { method: "Threshold", thresholds: [0.5] },
  method: "Threshold",
  bins: 8,
  costs: {},
};

/** Half of the small answers are right; eight verdicts each, right with the given chance. */
function makeTable(n: number, accuracy: number, seed: number): Table {
  const random = createRandom(seed);
  const quality = new Float32Array(n * 2);
  const verification = new Float32Array(n * 2).fill(Number.NaN);
  for (let row = 0; row < n; row++) {
    const right = random.next() < 0.5;
    let votes = 0;
    for (let i = 0; i < 8; i++) {
      const isTrue = random.next() < accuracy;
      if (isTrue === right) votes++;
    }
    quality.set([right ? 1 : 0, random.next() < 0.95 ? 1 : 0], row * 2);
    verification[row * 2] = votes / 8;
  }
  return {
    n,
    labels,
    quality,
    verification,
    costUsd: Float64Array.from({ length: n * 2 }, (_, at) => (at % 2 === 0 ? 0.001 : 0.05)),
    weight: new Float32Array(n).fill(1),
    group: Int32Array.from({ length: n }, (_, row) => row),
    priceUsdPerMtok: Float32Array.of(1, 50),
    sizeB: new Float32Array(2).fill(Number.NaN),
  } as unknown as Table;
}

function gateOf(table: Table, rival?: Cascade) {
  const found = toCascadeEvidence(table, cascade, { apart: false, rival });
  if (!found) return undefined;
  const { judged, choices, control } = found;
  const identity = { name: "router", version: 3, sha256: "ab" };
  const inForce = found.rival && { identity, choices: found.rival };
  return measureEvidence({ ...table, labels: found.labels }, choices, {
    seed: 1,
    judged,
    control,
    rival: inForce,
    rounds: 300,
  });
}

test("a verifier that can tell passes; its gain is over the line between the two models", () => {
  const gate = gateOf(makeTable(400, 0.8, 1));
  expect(judgeGate({ metrics: { gate: gate ?? {} } }, undefined).passed).toBe(true);
  const single = gate?.["best_single"] as { gain: string } | undefined;
  const gain = Number(single?.gain);
  expect(gain).toBeGreaterThan(0.1);
  expect(gain).toBeLessThan(0.3);
});

test("one that guesses passes in at most a twentieth of the data sets", () => {
  let passed = 0;
  for (let seed = 0; seed < 40; seed++) {
    const gate = gateOf(makeTable(200, 0.5, 100 + seed));
    if (judgeGate({ metrics: { gate: gate ?? {} } }, undefined).passed) passed++;
  }
  expect(passed).toBeLessThanOrEqual(2);
});

test("verdicts cost money: with a verifier that is as dear as the large model none pays", () => {
  const table = makeTable(400, 0.8, 2);
  const dear = { ...cascade, costs: { verifier: 50 } };
  const found = toCascadeEvidence(table, dear, { apart: true });
  if (!found) throw new Error("the rows tell");
  const { judged, control, choices } = found;
  const gate = measureEvidence(table, choices, { seed: 1, judged, control, rounds: 300 });
  expect(judgeGate({ metrics: { gate: gate ?? {} } }, undefined).passed).toBe(false);
});

test("it is held against the cascade in force, not against what that one's models are worth", () => {
  const table = makeTable(400, 0.8, 3);
  const wasteful: Cascade = { ...cascade, rule: { method: "Threshold", thresholds: [1] } };
  const incumbent = { version: 3, sha256: "ab" };
  const same = judgeGate({ metrics: { gate: gateOf(table, cascade) ?? {} } }, incumbent);
  expect(same.passed).toBe(false); // as good as itself is not better
  expect(same.reason).toContain("release 3");
  expect(gateOf(table, wasteful)?.["incumbent"]).toBeDefined();
});

test("too few rows tell nothing, and the refusal says what would", () => {
  expect(toCascadeEvidence(makeTable(40, 0.8, 4), cascade, { apart: false })).toBeUndefined();
  const verdict = judgeGate({ metrics: { gate_missing: cascadeRemedy } }, undefined);
  expect(verdict.passed).toBe(false);
  expect(verdict.reason).toContain('"verification"');
});
