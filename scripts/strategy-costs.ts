/**
 * `bun scripts/strategy-costs.ts [--only A,B] [--calls N] [--cache FILE]`: measures every in-process
 * strategy, each step in a process of its own, and writes the table of docs/strategies.md. With a
 * cache what was measured is kept, so that a run that was broken off goes on.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { selfCommand } from "../src/cli/run-self.ts";
import { createStaticEmbedder } from "../src/embedding/static.ts";
import { readArtifactFolder, writeArtifactFolder } from "../src/learning/artifacts/folder.ts";
import { createRandom, nextInt } from "../src/std/random.ts";
import {
  inProcess,
  makeQuery,
  makeTable,
  sizeKb,
  timeDecisions,
  timeTraining,
} from "../test/bench/strategy-cost.ts";
import { makeText, writeEventFolder } from "../test/support/event-folder.ts";
import { root, run, tool } from "./run.ts";

const trainedSize = { rows: 10_000, models: 10 };
const servedSize = { rows: 10_000, models: 20 };
const topics = 200;
const marks = { start: "<!-- costs: scripts/strategy-costs.ts -->", end: "<!-- end of costs -->" };

interface Costs {
  readonly trainCpuS?: number;
  readonly p50Us?: number;
  readonly p99Us?: number;
  readonly artifactKb?: number;
  readonly memoryMb?: number;
  readonly logCpuS?: number;
  readonly logGb?: number;
  readonly logP50Us?: number;
  readonly logArtifactKb?: number;
  readonly logMemoryMb?: number;
}

const { values } = parseArgs({
  options: {
    only: { type: "string" },
    calls: { type: "string" },
    cache: { type: "string" },
    step: { type: "string" },
    strategy: { type: "string" },
    folder: { type: "string" },
  },
});
if (values.step) await runStep(values.step, values.strategy ?? "", values.folder ?? "");
else await main();

/** In a process of its own: `train` and `fit` make an artifact in the folder, `serve` asks it. */
async function runStep(step: string, strategy: string, folder: string): Promise<void> {
  const embedder = createStaticEmbedder();
  if (step === "serve" || step === "serve-log") {
    const { files } = await readArtifactFolder(folder);
    const random = createRandom(2);
    const text =
      step === "serve"
        ? () => makeQuery(random).text
        : () => makeText(random, nextInt(random, topics));
    const queries = Array.from({ length: 1_000 }, text);
    Bun.gc(true);
    const before = process.memoryUsage.rss();
    const times = await timeDecisions(files, queries, { embedder, rounds: 7 });
    Bun.gc(true);
    const memoryMb = Math.max(0, process.memoryUsage.rss() - before) / 1e6;
    console.log(JSON.stringify({ ...times, memoryMb, artifactKb: sizeKb(files) }));
  } else {
    const table = await makeTable(
      step === "train" ? trainedSize : servedSize,
      createRandom(1),
      embedder,
    );
    const { files, cpuS } = await timeTraining(table, strategy, embedder);
    const test = { input: [...files.keys()][0] ?? "", output: [...files.keys()][0] ?? "" };
    await writeArtifactFolder(folder, { name: "bench", files, selfTest: test, provenance: {} });
    console.log(JSON.stringify({ cpuS }));
  }
  process.exit(0);
}

async function main(): Promise<void> {
  const only = values.only?.split(",");
  const chosen = inProcess.filter((name) => only?.includes(name) ?? true);
  const calls = Number(values.calls ?? 1_000_000);
  const cache = values.cache;
  const all: Record<string, Costs> =
    cache && existsSync(cache) ? JSON.parse(readFileSync(cache, "utf8")) : {};
  const keep = (name: string, costs: Costs) => {
    all[name] = { ...all[name], ...costs };
    if (cache) writeFileSync(cache, JSON.stringify(all, undefined, 1));
    console.error(name, JSON.stringify(all[name]));
  };
  const folder = mkdtempSync(join(tmpdir(), "routeiq-costs-"));
  try {
    for (const name of chosen) {
      if (all[name]?.p50Us === undefined) keep(name, await measureRows(name, folder));
    }
    const log = join(folder, "log");
    for (const name of chosen) {
      if (all[name]?.logP50Us !== undefined || calls === 0) continue;
      if (!existsSync(log)) {
        mkdirSync(log);
        await writeEventFolder(log, calls);
      }
      keep(name, await measureLog(name, log, folder));
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  writeTable(all);
}

async function measureRows(strategy: string, folder: string): Promise<Costs> {
  const out = join(folder, "router");
  const trained = await child<{ cpuS: number }>("train", strategy, out);
  rmSync(out, { recursive: true });
  await child("fit", strategy, out);
  const served = await child<Served>("serve", strategy, out);
  rmSync(out, { recursive: true });
  const { p50Us, p99Us, artifactKb, memoryMb } = served;
  return { trainCpuS: trained.cpuS, p50Us, p99Us, artifactKb, memoryMb };
}

interface Served {
  readonly p50Us: number;
  readonly p99Us: number;
  readonly artifactKb: number;
  readonly memoryMb: number;
}

/** `routeiq train --events` on the log, as an operator runs it. */
async function measureLog(strategy: string, log: string, folder: string): Promise<Costs> {
  const out = join(folder, "router");
  const args = ["train", "--events", log, "--strategy", strategy, "--out", out, "--json"];
  const trained = Bun.spawn([...selfCommand(), ...args], {
    stdout: "ignore",
    stderr: "inherit",
    stdin: "ignore",
  });
  if ((await trained.exited) !== 0) return {};
  const used = trained.resourceUsage();
  const served = await child<Served>("serve-log", strategy, out);
  rmSync(out, { recursive: true });
  return {
    logCpuS: Number(used?.cpuTime.total ?? 0) / 1e6,
    logGb: (used?.maxRSS ?? Number.NaN) / 1e9,
    logP50Us: served.p50Us,
    logArtifactKb: served.artifactKb,
    logMemoryMb: served.memoryMb,
  };
}

async function child<T>(step: string, strategy: string, folder: string): Promise<T> {
  const args = ["--step", step, "--strategy", strategy, "--folder", folder];
  const spawned = Bun.spawn([process.execPath, import.meta.path, ...args], {
    stdout: "pipe",
    stderr: "inherit",
    stdin: "ignore",
  });
  const text = await new Response(spawned.stdout).text();
  if ((await spawned.exited) !== 0) throw new Error(`${step} of ${strategy} failed`);
  return JSON.parse(text.trim().split("\n").at(-1) ?? "") as T;
}

function writeTable(all: Record<string, Costs>): void {
  const path = join(root, "docs", "strategies.md");
  const text = readFileSync(path, "utf8");
  const [before, rest] = text.split(marks.start);
  const after = rest?.split(marks.end)[1];
  if (before === undefined || after === undefined) throw new Error(`${path} has no ${marks.start}`);
  const head = [
    "strategy",
    "a decision, p50 (p99)",
    "artifact",
    "memory",
    "training, 10,000 × 10",
    "of 1,000,000 logged calls: a decision, p50",
    "memory in service",
    "training",
    "its memory",
  ];
  const rows = inProcess.flatMap((name) => {
    const of = all[name];
    return of ? [[`\`${name}\``, ...cells(of)]] : [];
  });
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const table = [head, head.map(() => "---"), ...rows].map(line).join("\n");
  writeFileSync(path, `${before}${marks.start}\n\n${table}\n\n${marks.end}${after}`);
  run([tool("biome"), "format", "--config-path=.ci/biome.json", "--write", "docs/strategies.md"]);
}

function cells(of: Costs): readonly string[] {
  const told = (value: number | undefined, unit: string, digits = 0) =>
    value === undefined ? "–" : `${value.toFixed(digits)} ${unit}`;
  return [
    told(of.p50Us, "µs") + (of.p99Us === undefined ? "" : ` (${of.p99Us.toFixed(0)})`),
    told(of.artifactKb, "kB"),
    told(of.memoryMb, "MB"),
    told(of.trainCpuS, "s", 1),
    told(of.logP50Us, "µs"),
    told(of.logMemoryMb, "MB"),
    told(of.logCpuS, "s"),
    told(of.logGb, "GB", 2),
  ];
}
