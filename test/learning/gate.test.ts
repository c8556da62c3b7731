/** The gate's evidence over many simulated trainings: seldom fooled by chance, seldom blind to a gain. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { judgeGate } from "../../src/learning/artifacts/gate.ts";
import { measureEvidence } from "../../src/learning/evidence/evidence.ts";
import { toLoggedRows } from "../../src/learning/evidence/judged.ts";
import type { LoggedChoice } from "../../src/learning/off-policy/logged-calls.ts";
import type { Table } from "../../src/learning/table.ts";
import { createRandom, nextInt, type Random } from "../../src/std/random.ts";

setDefaultTimeout(60_000);

const labels = ["dear", "middle", "cheap"];
const level = [0.8, 0.65, 0.5];
const cost = [1, 0.4, 0.1];
const m = labels.length;

interface Sample {
  readonly table: Table;
  /** n: 0 or 1; what a good router would know. */
  readonly kind: Int32Array;
}

/** @param edge how much better the middle model is on kind 1, and worse on kind 0 */
function sample(n: number, edge: number, random: Random): Sample {
  const kind = Int32Array.from({ length: n }, () => nextInt(random, 2));
  const quality = Float32Array.from({ length: n * m }, (_, at) => {
    const j = at % m;
    const sign = kind[Math.floor(at / m)] === 1 ? 1 : -1;
    const chance = (level[j] as number) + (j === 1 ? sign * edge : 0);
    return random.next() < chance ? 1 : 0;
  });
  const costUsd = Float64Array.from({ length: n * m }, (_, at) => cost[at % m] as number);
  const ids = Array.from({ length: n }, (_, row) => `call-${row}`);
  const group = Int32Array.from({ length: n }, (_, row) => row);
  return { table: { n, labels, ids, quality, costUsd, group } as unknown as Table, kind };
}

/** A dial from the dear model to the cheap one, over the middle, that sends by `knows`. */
function dialOf(n: number, knows: (row: number) => number, random: Random): Int32Array[] {
  return [0, 0.25, 0.5, 0.75, 1].map((share) =>
    Int32Array.from({ length: n }, (_, row) => {
      if (knows(row) === 1) return 1;
      return random.next() < share ? 2 : 0;
    }),
  );
}

const passes = (gate: unknown, sha256?: string) =>
  judgeGate(
    { metrics: { gate: gate as never } },
    sha256 === undefined ? undefined : { version: 1, sha256 },
  );

describe("rows that every model answered", () => {
  test("without a true gain, at most 5 % of 300 trainings pass", () => {
    let promoted = 0;
    for (let seed = 0; seed < 300; seed++) {
      const random = createRandom(seed);
      const { table } = sample(300, 0, random);
      const choices = dialOf(table.n, () => nextInt(random, 2), random);
      if (passes(measureEvidence(table, choices, { seed, rounds: 300 })).passed) promoted++;
    }
    expect(promoted / 300).toBeLessThanOrEqual(0.05);
  });

  test("as good as the incumbent and no better: at most 5 % replace it", () => {
    const identity = { name: "router", version: 1, sha256: "0".repeat(64) };
    let promoted = 0;
    for (let seed = 0; seed < 200; seed++) {
      const random = createRandom(seed);
      const { table, kind } = sample(300, 0.25, random);
      const mistaken = () =>
        dialOf(table.n, (row) => (random.next() < 0.2 ? 0 : (kind[row] as number)), random);
      const rival = { identity, choices: mistaken() };
      const gate = measureEvidence(table, mistaken(), { seed, rival, rounds: 300 });
      if (passes(gate, identity.sha256).passed) promoted++;
    }
    expect(promoted / 200).toBeLessThanOrEqual(0.05);
  });

  test("a true gain passes, over fixed models, the control and the incumbent", () => {
    const random = createRandom(4);
    const { table, kind } = sample(1000, 0.3, random);
    const choices = dialOf(table.n, (row) => kind[row] as number, random);
    const rival = {
      identity: { name: "router", version: 1, sha256: "0".repeat(64) },
      choices: dialOf(table.n, () => nextInt(random, 2), random),
    };
    const gate = measureEvidence(table, choices, { seed: 1, rival });
    expect(gate).toMatchObject({ method: "full-information", rows: 1000 });
    expect(passes(gate, rival.identity.sha256)).toMatchObject({ passed: true });
    expect(passes(gate, "another").reason).toContain("not compared with release");
  });

  test("a fixed model at every point of the dial gains nothing", () => {
    const { table } = sample(400, 0.3, createRandom(8));
    const gate = measureEvidence(table, [new Int32Array(400)], { seed: 1 });
    expect(passes(gate)).toMatchObject({ passed: false });
  });
});

/** The outcomes of a sample as a log of draws, with a model's expectation that knows levels alone. */
function toLog({ table }: Sample, exploration: number, random: Random) {
  const calls = new Map<string, LoggedChoice>();
  table.ids.forEach((callId, row) => {
    const action = random.next() < exploration ? nextInt(random, m) : 0;
    const propensity = exploration / m + (action === 0 ? 1 - exploration : 0);
    const at = row * m + action;
    calls.set(callId, {
      callId,
      chosen: labels[action] as string,
      propensity,
      quality: table.quality[at] as number,
      costUsd: table.costUsd[at] as number,
      session: callId,
      top: labels[0] as string,
      topChance: exploration / m + 1 - exploration,
      leastChance: exploration / m,
    });
  });
  const predicted = Float32Array.from(table.quality, (_, at) => level[at % m] as number);
  const costs = Float32Array.from(table.quality, (_, at) => cost[at % m] as number);
  return toLoggedRows(table, calls, { predicted, costs });
}

describe("logged calls", () => {
  test("without a true gain, at most 5 % of 150 trainings pass", () => {
    let promoted = 0;
    for (let seed = 0; seed < 150; seed++) {
      const random = createRandom(seed);
      const drawn = sample(800, 0, random);
      const choices = dialOf(800, () => nextInt(random, 2), random);
      const judged = toLog(drawn, 0.6, random);
      const gate = measureEvidence(drawn.table, choices, { seed, judged, rounds: 300 });
      if (passes(gate).passed) promoted++;
    }
    expect(promoted / 150).toBeLessThanOrEqual(0.05);
  });

  test("a true gain passes, and says that it was estimated", () => {
    const random = createRandom(3);
    const drawn = sample(4000, 0.33, random);
    const choices = dialOf(4000, (row) => drawn.kind[row] as number, random);
    const judged = toLog(drawn, 0.6, random);
    const gate = measureEvidence(drawn.table, choices, { seed: 1, judged });
    expect(gate).toMatchObject({ method: "off-policy", rows: 4000 });
    expect(gate?.["effective_samples"]).toBeGreaterThan(200);
    expect(passes(gate)).toMatchObject({ passed: true });
  });

  test("too few explored calls are refused, whatever they say", () => {
    const random = createRandom(3);
    const drawn = sample(400, 0.33, random);
    const choices = dialOf(400, (row) => drawn.kind[row] as number, random);
    const judged = toLog(drawn, 0.3, random);
    const verdict = passes(measureEvidence(drawn.table, choices, { seed: 1, judged }));
    expect(verdict).toMatchObject({ passed: false });
    expect(verdict.reason).toContain("effective sample");
  });
});
