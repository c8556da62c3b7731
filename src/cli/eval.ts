/** `routeiq eval`: what routers are worth on full-information rows, beside every honest baseline. */
import { basename, dirname, join } from "node:path";
import { GatewayError } from "../domain/errors.ts";
import type { Embedder } from "../embedding/embedder.ts";
import { createFeatureExtractor } from "../embedding/features.ts";
import { createKernels } from "../kernels/create.ts";
import { readArtifactFolder } from "../learning/artifacts/folder.ts";
import { toDecisionLines } from "../learning/decisions.ts";
import { type Evaluation, evaluate } from "../learning/evaluate.ts";
import { toReport } from "../learning/report.ts";
import type { Table } from "../learning/table.ts";
import { loadRouter } from "../routing/load-router.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";
import { version } from "../std/version.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import {
  type Encoding,
  embedderFlag,
  listFlag,
  openEmbedder,
  readData,
  seedFlag,
  textFlag,
} from "./learning-inputs.ts";
import { UsageError } from "./parse.ts";

export const evalCommand = defineCommand({
  name: "eval",
  summary: "Measure routers on rows with every model's outcome: quality against cost.",
  flags: {
    data: { description: "JSONL files with outcomes (.gz too).", value: "FILE…", many: true },
    artifact: { description: "Folders that `train` wrote.", value: "DIR…", many: true },
    embedder: embedderFlag,
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

interface Entry {
  readonly data: string;
  readonly artifact: string;
  readonly evaluation: Evaluation;
}

async function runEval(context: CommandContext): Promise<number> {
  const { flags } = context;
  const paths = listFlag(flags, "data");
  const folders = listFlag(flags, "artifact");
  if (paths.length === 0) throw new UsageError("--data FILE… is needed.");
  if (folders.length === 0) throw new UsageError("--artifact DIR… is needed.");
  if (textFlag(flags, "decisions") && (paths.length !== 1 || folders.length !== 1)) {
    throw new UsageError("--decisions takes exactly one --data and one --artifact.");
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
    const table = await readTable(path, encoding.embedder, context);
    for (const folder of folders) {
      const router = await readRouter(folder, encoding);
      const { evaluation, routed } = await evaluate(router, table, {
        seed: seedFlag(flags),
        progress: (share) => out.progress(`evaluate ${basename(folder)}`, share),
      });
      if (decisions) await writeLines(decisions, toDecisionLines(router, table, routed));
      router.close();
      entries.push({ data: nameOf(path), artifact: folder, evaluation });
      printEntry(context, entries.at(-1) as Entry);
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
  embedder: Embedder,
  { flags, out }: CommandContext,
): Promise<Table> {
  const extractor = createFeatureExtractor(embedder);
  const prices = textFlag(flags, "prices");
  const table = await readData({ paths: [path], prices, extractor, models: "common", out });
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

async function readRouter(folder: string, encoding: Encoding): Promise<TrainedRouter> {
  const { release, files } = await readArtifactFolder(folder);
  const name = typeof release["name"] === "string" ? release["name"] : "router";
  const identity = { name, version: 0, sha256: "" };
  return loadRouter(files, { identity, ...encoding, kernels: createKernels });
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

function printEntry({ out }: CommandContext, { data, evaluation: e }: Entry): void {
  const { zeroRouter, oracle, bestSingle, cheapest, random, queryLength } = e.baselines;
  const signed = (value: number) => `${value >= 0 ? "+" : ""}${value.toFixed(4)}`;
  out.line(`${data} · ${e.strategy}: ${e.rows} queries, ${e.models} models`);
  out.line(
    `  AIQ ${e.router.aiq.toFixed(4)}; the dial alone ${e.dialAiq.toFixed(4)}, its gain over fixed ` +
      `models ${signed(e.gain.value)} [${signed(e.gain.low)}, ${signed(e.gain.high)}]`,
  );
  out.line(
    `  zero-router ${zeroRouter.aiq.toFixed(4)}, query length ${queryLength.aiq.toFixed(4)}, ` +
      `shuffled control ${e.control.aiq.toFixed(4)}, oracle ${oracle.aiq.toFixed(4)}`,
  );
  out.line(
    `  best single ${bestSingle.name} ${bestSingle.quality.toFixed(4)}, ` +
      `cheapest ${cheapest.name} ${cheapest.quality.toFixed(4)}, random ${random.toFixed(4)}`,
  );
  const { 100: all, 98: most, 95: less } = e.router.costAt;
  out.line(
    `  best quality ${e.router.maxQuality.toFixed(4)} (${signed(100 * e.router.perfGain)} %); cost at ` +
      `100/98/95 % of the best: ${[all, most, less].map((share) => share.toFixed(3)).join(" / ")}`,
  );
  if (e.pair) {
    const { apgr, cpt50, cpt80 } = e.pair;
    out.line(
      `  APGR ${apgr.toFixed(4)}, CPT50 ${cpt50.toFixed(3)}, CPT80 ${cpt80.toFixed(3)} ` +
        `(${e.pair.strong} over ${e.pair.weak})`,
    );
  }
  out.line(
    `  calibration error ${e.calibrationError.toFixed(4)}, abstained ${e.abstained}, ` +
      `mean novelty ${e.novelty.toFixed(3)}`,
  );
  if (e.unknownModels.length > 0) {
    out.note(`not known to the router: ${e.unknownModels.join(", ")}`);
  }
}
