/**
 * `bun scripts/results.ts`: trains every strategy of the registry, and `auto`, on the public sets'
 * train splits, measures them on their test splits, and writes docs/RESULTS.md. Hours of two cores
 * if they are busy, so it lowers its own priority, and with `--cache FILE` it goes on where it was
 * stopped (throw the file away when the code changes). `--set` and `--strategy` (again and again)
 * limit what is measured; what is in the cache is written all the same. `--document-only` measures
 * nothing.
 */
import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { strategyNames } from "../src/routing/strategies/registry.ts";
import { toDocument } from "./results/document.ts";
import {
  measureEntry,
  measureLatency,
  measureNewcomer,
  measureTransfer,
  type PreparedSet,
  prepareSet,
} from "./results/measure.ts";
import { createReader, type Results, sets } from "./results/results.ts";
import { routingDataOrExit } from "./routing-data.ts";
import { root, run, tool } from "./run.ts";

const { values } = parseArgs({
  options: {
    data: { type: "string" },
    cache: { type: "string" },
    set: { type: "string", multiple: true },
    strategy: { type: "string", multiple: true },
    "no-document": { type: "boolean" },
    "document-only": { type: "boolean" },
  },
});

setPriority(10);
const data = routingDataOrExit("results", values.data);

const cached = values.cache && existsSync(values.cache);
const results: Results = cached ? await Bun.file(values.cache as string).json() : {};
const names = values.strategy ?? ["auto", ...strategyNames];
const read = createReader(data);

for (const set of values["document-only"] ? [] : (values.set ?? sets)) {
  let shared: Promise<PreparedSet> | undefined;
  for (const strategy of names) {
    await once(`${set}/${strategy}`, async () => {
      const rows = await read(set);
      shared ??= prepareSet(rows);
      return measureEntry(rows, strategy, await shared);
    });
  }
  if (values.strategy && !values.strategy.includes("auto")) continue;
  await once(`${set}/transfer`, async () => measureTransfer(await read(set)));
  await once(`${set}/newcomer`, async () => measureNewcomer(await read(set)));
  await once(`${set}/latency`, async () => measureLatency(await read(set)));
}
if (!values["no-document"]) {
  const path = "docs/RESULTS.md";
  await Bun.write(join(root, path), toDocument(results));
  run([tool("biome"), "format", "--config-path=.ci/biome.json", "--write", path]);
  console.error(`wrote ${path}`);
}

async function once(key: string, measure: () => Promise<Results[string]>): Promise<void> {
  if (results[key]) return;
  const started = performance.now();
  results[key] = await measure();
  console.error(`${key}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
  if (values.cache) await Bun.write(values.cache, JSON.stringify(results));
}
