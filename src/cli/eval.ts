/** `routeiq eval`: what routers are worth on full-information rows, beside every honest baseline. */
import { basename, dirname, join } from "node:path";
import { GatewayError } from "../domain/errors.ts";
import { createFeatureExtractor } from "../embedding/features.ts";
import { toDecisionLines } from "../learning/decisions.ts";
import { type Evaluation, evaluate } from "../learning/evidence/evaluate.ts";
import { toReport } from "../learning/report/report.ts";
import {
  measureRobustness,
  type Robustness,
  robustnessSample,
} from "../learning/robustness/measure.ts";
import { createRowSample } from "../learning/robustness/sample.ts";
import type { Table } from "../learning/table.ts";
import { createTablePrior } from "../learning/table-prior.ts";
import { version } from "../std/version.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { evaluateEvents } from "./eval-events.ts";
import { toLines } from "./eval-text.ts";
import {
  type DataInput,
  type Encoding,
  embedderFlag,
  labelsFlag,
  listFlag,
  openEmbedder,
  rawFlag,
  readData,
  readRouter,
  seedFlag,
  textFlag,
} from "./learning-inputs.ts";
import { UsageError } from "./parse.ts";

export const evalCommand = defineCommand({
  name: "eval",
  summary: "Measure routers: on rows with every model's outcome, or on the event log.",
  flags: {
    data: { description: "JSONL files with outcomes (.gz too).", value: "FILE…", many: true },
    artifact: { description: "Folders that `train` wrote.", value: "DIR…", many: true },
    prior: {
      description: "Also what decides before there is a router: the catalog's prior (with --data).",
    },
    events: {
      description: "Event logs to estimate from instead (IPS … doubly robust).",
      value: "SRC…",
      many: true,
    },
    labels: labelsFlag,
    since: { description: "With --events: calls from this time on (ISO 8601).", value: "TIME" },
    tradeoff: {
      description: "With --events: the dial of calls that were logged without. Default: 0.5.",
      value: "0..1",
    },
    embedder: embedderFlag,
    raw: rawFlag,
    prices: { description: "Prices per model, where not beside the data.", value: "FILE" },
    report: { description: "Also write one HTML page.", value: "FILE" },
    decisions: {
      description: "Also write each decision as a line (one --data and one --artifact).",
      value: "FILE",
    },
    seed: { description: "Of the bootstrap and the control. Default: 1.", value: "N" },
  },
  example: "routeiq eval --data test.jsonl.gz --artifact ./router --report report.html",
  run: runEval,
});

/** Stands for an artifact where the prior is measured. */
const priorName = "prior";

interface Entry {
  readonly data: string;
  readonly artifact: string;
  readonly evaluation: Evaluation;
  readonly robustness: Robustness;
}

async function runEval(context: CommandContext): Promise<number> {
  const { flags } = context;
  const paths = listFlag(flags, "data");
  const folders = listFlag(flags, "artifact");
  const events = listFlag(flags, "events");
  if ((paths.length === 0) === (events.length === 0)) {
    throw new UsageError("Give either --data FILE… or --events SRC….");
  }
  const prior = flags["prior"] === true;
  if (folders.length === 0 && (!prior || events.length > 0)) {
    throw new UsageError("--artifact DIR… is needed.");
  }
  if (events.length > 0) return await evaluateEvents(context, events, folders);
  if (
    textFlag(flags, "decisions") &&
    (paths.length !== 1 || folders.length + Number(prior) !== 1)
  ) {
    throw new UsageError("--decisions takes exactly one --data and one --artifact or --prior.");
  }
  const encoding = await openEmbedder(flags);
  try {
    return await evaluateAll(encoding, paths, folders, context);
  } finally {
    encoding.close();
  }
}

async function evaluateAll(
  encoding: Encoding,
  paths: readonly string[],
  folders: readonly string[],
  context: CommandContext,
): Promise<number> {
  const { flags, out } = context;
  const decisions = textFlag(flags, "decisions");
  const entries: Entry[] = [];
  for (const path of paths) {
    const sample = createRowSample(robustnessSample, seedFlag(flags));
    const extractor = createFeatureExtractor(encoding.embedder);
    const table = await readTable(path, { extractor, sample }, context);
    const routers = [...folders, ...(flags["prior"] === true ? [priorName] : [])];
    for (const folder of routers) {
      const router =
        folder === priorName
          ? createTablePrior(table)
          : (await readRouter(folder, encoding)).router;
      const { evaluation, routed } = await evaluate(router, table, {
        seed: seedFlag(flags),
        progress: (share) => out.progress(`evaluate ${basename(folder)}`, share),
      });
      if (decisions) await writeLines(decisions, toDecisionLines(router, table, routed));
      const robustness = await measureRobustness(router, sample.rows, extractor);
      router.close();
      entries.push({ data: nameOf(path), artifact: folder, evaluation, robustness });
      const { line, note } = out;
      for (const text of toLines(entries.at(-1) as Entry)) line(text);
      const unknown = evaluation.unknownModels.join(", ");
      if (unknown) note(`not known to the router: ${unknown}`);
    }
  }
  const report = textFlag(flags, "report");
  if (report) {
    await Bun.write(report, toReport(entries, version));
    out.line(`report written to ${report}`);
  }
  out.json({ ok: true, results: entries });
  return 0;
}

async function readTable(
  path: string,
  reading: Pick<DataInput, "extractor" | "sample">,
  { flags, out, env }: CommandContext,
): Promise<Table> {
  const prices = textFlag(flags, "prices");
  const table = await readData({ ...reading, paths: [path], prices, models: "common", out, env });
  if (table.labels.length === 0) {
    throw new GatewayError("invalid_request", `${path}: no model has an outcome on every row`);
  }
  if (table.costUsd.some(Number.isNaN)) {
    throw new GatewayError(
      "invalid_request",
      `${path}: rows have no cost_usd and there is no price: put models.json beside the file, or give --prices`,
    );
  }
  return table;
}

/** `bfcl-tools/test`: the last folder and the file without its endings. */
function nameOf(path: string): string {
  return join(basename(dirname(path)), basename(path).replace(/\.jsonl(\.gz)?$/, ""));
}

async function writeLines(path: string, lines: Iterable<string>): Promise<void> {
  const sink = Bun.file(path).writer();
  for (const line of lines) sink.write(line);
  await sink.end();
}
