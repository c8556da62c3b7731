/** From an event log to a judged router by the commands alone: train, its gate, eval, publish's refusal. */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { commands, defaultCommand } from "../../src/cli/registry.ts";
import { runCommandLine } from "../../src/cli/run.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";
import { openEventStore } from "../../src/storage/sqlite/event-store.ts";
import { callEvent, callIdOf } from "../support/events.ts";
import { makeRows } from "../support/routing-data.ts";

setDefaultTimeout(120_000);
const folder = mkdtempSync(join(tmpdir(), "routeiq-events-"));
afterAll(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const models = ["big-model", "maths-model", "small-model"];

/** Calls of a gateway that explored so much, each graded by its user. */
async function writeLog(name: string, count: number, exploration: number): Promise<void> {
  mkdirSync(at(name), { recursive: true });
  const extractor = createFeatureExtractor(createStaticEmbedder());
  const random = createRandom(7);
  const store = openEventStore(join(at(name), "events.db"));
  const rows = makeRows(count, 3);
  const events = [];
  for (const [n, row] of rows.entries()) {
    const { receipt } = callEvent(n);
    const chosen = random.next() < exploration ? (models[nextInt(random, 3)] ?? "") : "small-model";
    const candidates = models.map((model) => ({
      model,
      group: "auto",
      probability: exploration / 3 + (model === "small-model" ? 1 - exploration : 0),
    }));
    events.push({
      tenant: "t",
      sessionHash: `s${n}`,
      queryHash: `q${n}`,
      inputTokens: 10,
      features: await extractor.extract({ text: row.query, tools: [] }),
      receipt: {
        ...receipt,
        outcome: "success" as const,
        costMicroUsd: Math.round((row.outcomes.get(chosen)?.costUsd ?? 0) * 1e6),
        decision: {
          strategy: "llmrouter-linear",
          artifact: "router@1",
          reason: "utility" as const,
          candidates,
          chosen,
          dial: { tradeoff: 1 },
          decisionUs: 1,
        },
      },
    });
  }
  store.insert(events);
  for (const [n, row] of rows.entries()) {
    const score = row.outcomes.get(events[n]?.receipt.decision.chosen ?? "")?.score ?? 0;
    store.addFeedback({ callId: callIdOf(n), score, source: "user", atMs: 1 });
  }
  store.close();
}

async function run(...words: string[]) {
  const said = { stdout: "", stderr: "" };
  const sink = (name: keyof typeof said) => ({
    write(text: string) {
      said[name] += text;
    },
  });
  const code = await runCommandLine({
    words,
    commands,
    defaultCommand,
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: {},
    signal: new AbortController().signal,
  });
  return { code, ...said, json: () => JSON.parse(said.stdout) };
}

beforeAll(async () => {
  await writeLog("explored", 1_200, 0.6);
  await writeLog("certain", 200, 0);
});

const train = (log: string) => [
  ...["train", "--events", at(log), "--strategy", "llmrouter-linear", "--out", at(`r-${log}`)],
  "--json",
];

test("a log that was explored carries its own evidence for the gate", async () => {
  const { code, json } = await run(...train("explored"));
  expect(code).toBe(0);
  const { gate, robustness } = json();
  expect(gate).toMatchObject({ method: "off-policy", rows: 1_200 });
  expect(gate.effective_samples).toBeGreaterThan(200);
  expect(Number(gate.best_single.gain)).toBeGreaterThan(0);
  expect(robustness).toMatchObject({ own: true });
  const release = await Bun.file(join(at("r-explored"), "release.json")).json();
  expect(release.provenance.metrics.gate).toEqual(gate);
  expect(release.provenance.metrics.robustness.sample).toBe("own phrases");
});

test("eval --events gives every estimate, and warns of calls that were learnt from", async () => {
  const words = ["eval", "--events", at("explored"), "--artifact", at("r-explored")];
  const { code, json, stderr } = await run(...words, "--json");
  expect(code).toBe(0);
  expect(stderr).toContain("may be ones that this router learnt from");
  const { evaluation } = json().results[0];
  expect(Object.keys(evaluation.quality.policy)).toEqual([
    "ips",
    "snips",
    "clipped",
    "direct",
    "doublyRobust",
    "doublyRobustClipped",
  ]);
  expect(evaluation.verdict.verdict).toBe("better");
  const { stdout } = await run(...words, "--report", at("report.html"));
  expect(stdout).toContain("better: its utility is higher by");
  expect(await Bun.file(at("report.html")).text()).toContain("Doubly robust");
});

test("a log without exploration says nothing of other models, and is told so", async () => {
  const trained = await run(...train("certain"));
  // One model alone was ever drawn: there is nothing to route between.
  expect(trained.code).toBe(1);
  const { code, stderr } = await run(
    "eval",
    "--events",
    at("certain"),
    "--artifact",
    at("r-explored"),
  );
  expect(code).toBe(1);
  expect(stderr).toContain("200 were certain choices (probability 1)");
  expect(stderr).toContain("exploration");
});
