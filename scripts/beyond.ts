/**
 * `bun scripts/beyond.ts`: what holds where the training data end: day 0, a new model, other sets,
 * latency, the cascade. Writes docs/BEYOND.md. With `--cache FILE` it goes on where it was stopped;
 * with `--only newcomers/` it measures what begins so.
 * `--fit` only prints the weights of `src/routing/prior/need.ts`.
 */
import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { commonModels, measureBetween } from "./beyond/between-sets.ts";
import { measureCascade } from "./beyond/cascade.ts";
import { measureDayZero } from "./beyond/day-zero.ts";
import { type Beyond, toDocument } from "./beyond/document.ts";
import { fitNeed } from "./beyond/fit-need.ts";
import { measureLatencyHull } from "./beyond/latency.ts";
import { measureLogged } from "./beyond/logged.ts";
import { measureNewcomers } from "./beyond/newcomers.ts";
import { measureTransfer } from "./results/measure.ts";
import { createReader, type SetRows, sets } from "./results/results.ts";
import { routingDataOrExit } from "./routing-data.ts";
import { root, run, tool } from "./run.ts";

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    cache: { type: "string" },
    only: { type: "string" },
    fit: { type: "boolean" },
    "document-only": { type: "boolean" },
  },
});

setPriority(10);
const data = routingDataOrExit("beyond", values.data);

/** Sets whose licences let something be learnt from them that ships. */
const licensed = sets.filter((set) => set !== "bfcl-tools");
/** What `auto` keeps on all of the sets. */
const strategy = "llmrouter-ensemble";
/** For new models there are many trainings: one that takes a third of the time. */
const newcomerStrategy = "llmrouter-linear";

const results: Record<string, unknown> =
  values.cache && existsSync(values.cache) ? await Bun.file(values.cache).json() : {};

if (values.fit) {
  const all = await readAll();
  const { weights, bias } = fitNeed(licensed.map((set) => (all.get(set) as SetRows).train));
  console.log(JSON.stringify({ weights: weights.map(round), bias: round(bias) }));
} else {
  if (!values["document-only"]) await measureAll();
  const path = "docs/BEYOND.md";
  await Bun.write(join(root, path), toDocument(results as unknown as Beyond));
  run([tool("biome"), "format", "--config-path=.ci/biome.json", "--write", path]);
  console.error(`wrote ${path}`);
}

async function measureAll(): Promise<void> {
  const all = await readAll();
  const of = (set: string) => all.get(set) as SetRows;
  for (const set of sets) {
    const others = sets.filter((one) => one !== set).map((one) => of(one).train);
    await once(`day-zero/${set}`, () => measureDayZero(set, of(set).test, others));
    await once(`cascade/${set}`, async () => measureCascade(of(set).train, of(set).test));
  }
  await once("latency/bfcl-tools", () => measureLatencyHull(of("bfcl-tools"), strategy));
  await once("logged/mmlu-pro", () => measureLogged(of("mmlu-pro"), strategy));
  // Small ones first, so that a run that is stopped has most of the table.
  for (const from of sets.toSorted((a, b) => of(a).train.n - of(b).train.n)) {
    for (const to of sets) {
      if (from === to || commonModels(of(from).train, of(to).test).length < 2) continue;
      await once(`between/${from}/${to}`, () => measureBetween(of(from), of(to), strategy));
    }
    await once(`category/${from}`, () => measureTransfer(of(from), strategy));
    const models = of(from).train.n > 4_000 ? 2 : 3;
    const newcomers = { strategy: newcomerStrategy, models, labels: [200], draws: 3 };
    await once(`newcomers/${from}`, () => measureNewcomers(of(from), newcomers));
  }
}

async function readAll(): Promise<Map<string, SetRows>> {
  const read = createReader(data);
  const all = new Map<string, SetRows>();
  for (const set of sets) all.set(set, await read(set));
  return all;
}

async function once(key: string, measure: () => Promise<unknown>): Promise<void> {
  if (results[key] !== undefined || !key.startsWith(values.only ?? "")) return;
  const started = performance.now();
  results[key] = (await measure()) ?? null;
  console.error(`${key}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
  if (values.cache) await Bun.write(values.cache, JSON.stringify(results));
}

function round(value: number): number {
  return Number(value.toFixed(4));
}
