/** `routeiq train`: observed queries in, a router's folder out; signed and published on request. */
import { GatewayError } from "../domain/errors.ts";
import type { JsonObject } from "../domain/json.ts";
import type { Embedder } from "../embedding/embedder.ts";
import { createFeatureExtractor } from "../embedding/features.ts";
import { createKernels } from "../kernels/create.ts";
import { writeArtifactFolder } from "../learning/artifacts/folder.ts";
import { judgeGate } from "../learning/artifacts/gate.ts";
import { readIncumbent } from "../learning/artifacts/incumbent.ts";
import { toDataProvenance, toReportJson, toReportLines } from "../learning/data/report.ts";
import {
  type Cascade,
  cascadeRemedy,
  cascadeStrategy,
  readCascade,
  toCascadeEvidence,
} from "../learning/evidence/cascade-evidence.ts";
import {
  type Choices,
  measureEvidence,
  outOfFoldChoices,
  type Rival,
} from "../learning/evidence/evidence.ts";
import { type Judged, toFullRows, toLoggedRows } from "../learning/evidence/judged.ts";
import { findOverlap } from "../learning/evidence/overlap.ts";
import { routeTable } from "../learning/evidence/route-table.ts";
import { type LoggedChoice, readLoggedChoices } from "../learning/off-policy/logged-calls.ts";
import { measureRobustness, type Robustness } from "../learning/robustness/measure.ts";
import { toRobustnessJson, toRobustnessLine } from "../learning/robustness/report.ts";
import type { Table } from "../learning/table.ts";
import { getStrategy, type Trained, trainRouter } from "../learning/train.ts";
import { loadRouter } from "../routing/load-router.ts";
import { routerPaths } from "../routing/router-format.ts";
import { createSelfTest } from "../routing/self-test.ts";
import { strategyNames } from "../routing/strategies/registry.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";
import { systemClock } from "../std/clock.ts";
import { type CommandContext, defineCommand, type Output } from "./command.ts";
import {
  type Encoding,
  embedderFlag,
  eventsOf,
  listFlag,
  openEmbedder,
  optionFlags,
  rawFlag,
  readData,
  seedFlag,
  textFlag,
} from "./learning-inputs.ts";
import { publishCommand } from "./models/publish.ts";
import { rootsFrom, withRepository } from "./models/repository.ts";
import { signCommand } from "./models/sign.ts";
import { UsageError } from "./parse.ts";
import { dataFlags, readTraining, type TrainingData } from "./training-data.ts";

export const trainCommand = defineCommand({
  name: "train",
  summary: "Learn a router from data files or from the event log.",
  flags: {
    ...dataFlags,
    strategy: {
      description: `auto, or one of: ${strategyNames.join(", ")}. Default: auto.`,
      value: "NAME",
    },
    option: {
      description: "An option of the strategy, as docs/strategies.md lists them: C=0.1.",
      value: "NAME=VALUE",
      repeat: true,
    },
    out: { description: "Folder for the router.", value: "DIR" },
    seed: { description: "Same data and seed, same bytes. Default: 1.", value: "N" },
    holdout: {
      description: "Rows to judge the router on, that nothing learns from. Default: out of fold.",
      value: "FILE…",
      many: true,
    },
    embedder: embedderFlag,
    raw: rawFlag,
    prices: { description: "Prices per model, where not beside the data.", value: "FILE" },
    name: { description: 'Name of the router. Default: "router".', value: "NAME" },
    sign: { description: "Sign with this key file.", value: "KEYFILE", repeat: true },
    publish: { description: "Publish to this repository (needs --sign).", value: "REPOSITORY" },
    root: {
      description: "Root file, for a repository's first release.",
      value: "FILE",
      repeat: true,
    },
    against: {
      description:
        "Compare with the release in force here, without publishing. Default: the repository of --publish.",
      value: "REPOSITORY",
    },
    force: { description: "Publish although the gate refuses; this is recorded." },
  },
  example: "routeiq train --data train.jsonl.gz --strategy auto --out ./router",
  run: runTrain,
});

async function runTrain(context: CommandContext): Promise<number> {
  const { flags } = context;
  const folder = textFlag(flags, "out");
  if (!folder) throw new UsageError("--out DIR is needed: the folder for the router.");
  if (flags["publish"] && listFlag(flags, "sign").length === 0) {
    throw new UsageError("--publish needs --sign KEYFILE.");
  }
  const strategy = textFlag(flags, "strategy") ?? "auto";
  if (strategy !== "auto") getStrategy(strategy); // before hours of reading
  const encoding = await openEmbedder(flags);
  try {
    return await trainWith(encoding, folder, context);
  } finally {
    encoding.close();
  }
}

async function trainWith(
  encoding: Encoding,
  folder: string,
  context: CommandContext,
): Promise<number> {
  const { embedder } = encoding;
  const { flags, out } = context;
  const seed = seedFlag(flags);
  const data = await readTraining(context, embedder);
  const { table } = data;
  const strategy = textFlag(flags, "strategy") ?? "auto";
  const trained = await trainRouter(table, {
    strategy,
    options: optionFlags(flags),
    seed,
    embedder,
    kernels: createKernels,
    progress: (label, share) => out.progress(label, share),
  });
  const identity = { name: textFlag(flags, "name") ?? "router", version: 0, sha256: "" };
  const router = await loadRouter(trained.files, { identity, embedder, kernels: createKernels });
  const files = new Map([...trained.files, ...(await createSelfTest(router))]);
  const holdout = await readHoldout(context, embedder, table);
  const judged = holdout ?? table;
  const choices = holdout ? await choicesOf(router, holdout) : outOfFoldChoices(table, trained);
  const rival = await readRival(context, identity.name, judged, encoding);
  const apart = holdout
    ? apartFrom(table, holdout, context.out)
    : await readLogged(context, embedder, data, trained);
  const cascade = readCascade(trained.files);
  const gate = cascade
    ? measureCascade(judged, cascade, { seed, rival, apart: holdout !== undefined })
    : measureEvidence(judged, choices, { seed, rival, judged: apart });
  const extractor = createFeatureExtractor(embedder);
  const robustness = await measureRobustness(router, data.sample.rows, extractor);
  router.close();
  await writeArtifactFolder(folder, {
    name: identity.name,
    files,
    selfTest: { input: routerPaths.queries, output: routerPaths.scores },
    provenance: toProvenance(data, trained, seed, { gate, robustness }),
  });
  const delivered = await deliver(folder, context);
  report(context, { folder, data, trained, gate, robustness, delivered });
  return delivered?.code ?? 0;
}

interface CascadeJudging {
  readonly seed: number;
  readonly rival: ReleasedRival | undefined;
  readonly apart: boolean;
}

/** A cascade's worth is not in a model's choice; undefined where no rows tell it. */
function measureCascade(
  table: Table,
  cascade: Cascade,
  { seed, rival, apart }: CascadeJudging,
): JsonObject | undefined {
  const found = toCascadeEvidence(table, cascade, { apart, rival: rival?.cascade });
  if (!found) return undefined;
  const { labels, judged, choices, control } = found;
  const others = rival?.cascade ? found.rival : rival?.choices;
  // A router in force chooses by the table's labels, which are the judged ones only if all of them are.
  const isComparable = rival?.cascade || labels.length === table.labels.length;
  const inForce = rival && others && isComparable ? { ...rival, choices: others } : undefined;
  return measureEvidence({ ...table, labels }, choices, { seed, judged, control, rival: inForce });
}

/** Rows that no router learnt from: the fairest judges, where there are any. */
async function readHoldout(
  { flags, out, env }: CommandContext,
  embedder: Embedder,
  table: Table,
): Promise<Table | undefined> {
  const paths = listFlag(flags, "holdout");
  if (paths.length === 0) return undefined;
  const extractor = createFeatureExtractor(embedder);
  const prices = textFlag(flags, "prices");
  const holdout = await readData({ paths, prices, extractor, models: "common", out, env });
  const missing = table.labels.filter((label) => !holdout.labels.includes(label));
  if (missing.length > 0) out.note(`the held-out rows know nothing of ${missing.join(", ")}`);
  return holdout;
}

/**
 * Held-out rows that ask nothing that was learnt from; the others judge nothing, and are told.
 * @throws GatewayError invalid_request where too few are left
 */
function apartFrom(table: Table, holdout: Table, out: Output): Judged {
  const overlap = findOverlap(table, holdout);
  const told = overlap
    ? `${overlap.rows.size} of ${holdout.n} rows of --holdout ask what rows that teach ask as well (${overlap.ids.join(", ")} …)`
    : "";
  const judged = toFullRows(holdout, overlap?.rows);
  if (!judged && overlap) {
    throw new GatewayError(
      "invalid_request",
      `${told}: too few are left to judge by. Give rows that are not among the others.`,
    );
  }
  if (!judged) throw new GatewayError("invalid_request", "--holdout has no rows to judge by.");
  if (overlap) out.note(`${told}; they judge nothing`);
  return judged;
}

/** Where few rows have every model's outcome: the calls of the event log that chance decided. */
async function readLogged(
  context: CommandContext,
  embedder: Embedder,
  { table, reading }: TrainingData,
  { evidence }: Trained,
): Promise<Judged | undefined> {
  const sources = listFlag(context.flags, "events");
  if (sources.length === 0 || toFullRows(table)) return undefined;
  const choices = new Map<string, LoggedChoice>();
  const wanted = new Set(table.ids);
  for (const source of sources) {
    const events = eventsOf(source, context);
    const input = { events, embedderId: embedder.id, labels: reading.labels };
    for (const [id, choice] of await readLoggedChoices(input, wanted)) choices.set(id, choice);
  }
  return toLoggedRows(table, choices, evidence);
}

async function choicesOf(router: TrainedRouter, table: Table): Promise<Choices> {
  const { points } = await routeTable(router, table);
  return points.map(({ chosen }) => chosen);
}

interface ReleasedRival extends Rival {
  readonly cascade: Cascade | undefined;
}

/** The release that `--publish` would replace, and what it picks on the same rows. */
async function readRival(
  context: CommandContext,
  name: string,
  table: Table,
  encoding: Encoding,
): Promise<ReleasedRival | undefined> {
  const { flags, out } = context;
  const address = textFlag(flags, "against") ?? textFlag(flags, "publish");
  if (address === undefined) return undefined;
  const keyed = { ...context, flags: { ...flags, key: listFlag(flags, "sign") } };
  const roots = await rootsFrom(keyed);
  const nowMs = systemClock.now();
  try {
    const incumbent = await withRepository(address, context, (store) =>
      readIncumbent(store, roots, { name, nowMs }),
    );
    if (!incumbent) return undefined;
    const { identity, files } = incumbent;
    const router = await loadRouter(files, { identity, ...encoding, kernels: createKernels });
    const choices = await choicesOf(router, table);
    router.close();
    return { identity, choices, cascade: readCascade(files) };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    // Publishing will say that there was no comparison; why, is said here.
    out.note(`no comparison with the release in force: ${error.message}`);
    return undefined;
  }
}

interface Findings {
  readonly gate: JsonObject | undefined;
  readonly robustness: Robustness;
}

/** Fractions are strings: the release is canonical JSON, whole numbers only. */
function toProvenance(
  { table, reading, eventsUntilMs }: TrainingData,
  trained: Trained,
  seed: number,
  { gate, robustness }: Findings,
): JsonObject {
  return {
    strategy: trained.strategy,
    seed,
    data_sha256: table.sha256,
    rows: table.n,
    data: toDataProvenance(table.report, reading),
    // Of the data, not of the training: the same data gives the same bytes.
    ...(Number.isFinite(eventsUntilMs)
      ? { events_until: new Date(eventsUntilMs).toISOString() }
      : {}),
    metrics: {
      ...(gate ? { gate } : {}),
      ...(!gate && trained.strategy === cascadeStrategy ? { gate_missing: cascadeRemedy } : {}),
      robustness: toRobustnessJson(robustness),
      validation: Object.fromEntries(
        trained.tried.map(({ strategy, gain, shrink }) => [
          strategy,
          { aiq_gain: gain.toFixed(6), shrink: shrink.toFixed(2) },
        ]),
      ),
    },
  };
}

interface Delivered {
  readonly code: number;
  readonly result: unknown;
}

/** Hands the folder to `models publish` or `models sign`, whose JSON joins ours. */
async function deliver(folder: string, context: CommandContext): Promise<Delivered | undefined> {
  const keys = listFlag(context.flags, "sign");
  const repository = textFlag(context.flags, "publish");
  if (keys.length === 0) return undefined;
  let result: unknown;
  const inner: CommandContext = {
    ...context,
    args: repository === undefined ? [folder] : [folder, repository],
    flags: {
      key: keys,
      ...(context.flags["root"] === undefined ? {} : { root: context.flags["root"] }),
      ...(context.flags["force"] === true ? { force: true } : {}),
    },
    out: {
      ...context.out,
      json: (value) => {
        result = value;
      },
    },
  };
  const command = repository === undefined ? signCommand : publishCommand;
  try {
    return { code: await command.run(inner), result };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    // The gate, say: the router lies in its folder all the same, and the report tells of it.
    context.out.note(`routeiq: ${error.message}`);
    return { code: 1, result: { ok: false, code: error.code, message: error.message } };
  }
}

interface TrainReport {
  readonly folder: string;
  readonly data: TrainingData;
  readonly trained: Trained;
  readonly gate: JsonObject | undefined;
  readonly robustness: Robustness;
  readonly delivered: Delivered | undefined;
}

function report({ out }: CommandContext, what: TrainReport): void {
  const { folder, data, trained, gate, robustness, delivered } = what;
  const { table, reading } = data;
  for (const line of toReportLines(table.report, reading)) out.line(line);
  out.line(`${table.n} queries, ${table.labels.length} models`);
  for (const { strategy: name, gain, shrink } of trained.tried) {
    const mark = name === trained.strategy ? "→" : " ";
    const sign = gain >= 0 ? "+" : "";
    out.line(
      `${mark} ${name.padEnd(20)} AIQ ${sign}${gain.toFixed(4)} over fixed models, shrink ${shrink.toFixed(2)}`,
    );
  }
  if (trained.why) out.line(trained.why);
  for (const line of toGateLines(gate)) out.line(line);
  out.line(toRobustnessLine(robustness));
  out.line(`router written to ${folder}`);
  out.json({
    ok: delivered === undefined || delivered.code === 0,
    out: folder,
    strategy: trained.strategy,
    rows: table.n,
    models: table.labels,
    data: toReportJson(table.report, reading),
    validation: trained.tried,
    ...(trained.why ? { why: trained.why } : {}),
    gate: gate ?? null,
    robustness,
    ...(delivered ? { delivered: delivered.result } : {}),
  });
}

/** What the gate will read, and what it would say of a first release. */
function toGateLines(gate: JsonObject | undefined): string[] {
  const verdict = judgeGate({ metrics: gate ? { gate } : {} }, undefined);
  const rows = gate ? ` on ${String(gate["rows"])} rows (${String(gate["method"])})` : "";
  return [`gate${rows}: ${verdict.passed ? "passes" : "refuses"}, ${verdict.reason}`];
}
