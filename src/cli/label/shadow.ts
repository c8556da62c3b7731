/** `routeiq label --shadow`: a stratified sample of queries on every model, graded, as rows to learn from. */
import { appendFile } from "node:fs/promises";
import { GatewayError } from "../../domain/errors.ts";
import { isObject } from "../../domain/json.ts";
import { createFeatureExtractor } from "../../embedding/features.ts";
import { createStaticEmbedder } from "../../embedding/static.ts";
import { createKernels } from "../../kernels/create.ts";
import { openLocalFile, readLines } from "../../learning/data/input-file.ts";
import { isOwnTraffic } from "../../learning/events/event-label.ts";
import { labelWindow } from "../../learning/label/choose-calls.ts";
import {
  orderQueries,
  type ShadowParts,
  type ShadowQuery,
  shadowCostUsd,
  shadowQuery,
} from "../../learning/label/shadow-set.ts";
import { type WorkReport, workThrough } from "../../learning/label/work.ts";
import { toQuery } from "../../routing/query-text.ts";
import { takePidLock } from "../../storage/file/pid-lock.ts";
import type { CommandContext } from "../command.ts";
import { eventsOf, listFlag, seedFlag, textFlag } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";
import type { LabelTools } from "./label-tools.ts";
import { tellPlan, tellWork, withinBudget } from "./tell-work.ts";

export async function runShadow(context: CommandContext, tools: LabelTools): Promise<number> {
  const { flags, out, signal } = context;
  const models = (textFlag(flags, "models") ?? "").split(",").filter((name) => name !== "");
  if (models.length < 2) throw new UsageError("--models A,B,… names at least two models.");
  const unpriced = models.filter((model) => !tools.priceOf(model));
  if (unpriced.length > 0) {
    throw new UsageError(
      `Nobody knows the price of ${unpriced.join(", ")}, so no budget can be kept: set input_cost_per_token and output_cost_per_token in model_info.`,
    );
  }
  const path = textFlag(flags, "out");
  if (path === undefined && !tools.plan) throw new UsageError("--out FILE is needed.");
  const done = path === undefined ? new Set<string>() : await readDone(path);
  const queries = (await readQueries(context)).filter(({ id }) => !done.has(id));
  const ordered = orderQueries(queries, createKernels, seedFlag(flags)).slice(0, tools.limit);
  out.line(`${queries.length} queries to choose from, ${done.size} done before`);
  const costOf = (query: ShadowQuery) => shadowCostUsd(query, { ...tools, models });
  const affordable = withinBudget(ordered, costOf, tools.budgetUsd);
  if (tools.plan || path === undefined) {
    tellPlan(context, affordable, ({ id, text }) => ({ id, query: text.slice(0, 80), models }));
    return 0;
  }
  const release = takePidLock(`${path}.label-lock`);
  let report: WorkReport;
  try {
    await endLine(path);
    const parts: ShadowParts = { ...tools, models, write: (line) => appendFile(path, line) };
    report = await workThrough(ordered, (query) => shadowQuery(query, parts), {
      concurrency: tools.concurrency,
      signal,
      onProgress: (handled) =>
        out.progress("shadow", handled / Math.max(1, affordable.items.length)),
    });
  } finally {
    release();
  }
  tellWork(out, report, tools.purse.spentUsd);
  out.line(
    `${done.size + report.done} rows in ${path}; learn from them: routeiq train --data ${path}`,
  );
  out.json({
    ok: true,
    judge: tools.judge.source,
    rows: done.size + report.done,
    report,
    spent_usd: tools.purse.spentUsd,
    out: path,
  });
  return report.done > 0 || report.failed === 0 ? 0 : 1;
}

/** Ids of the rows that are there: a run that was broken off goes on where it was. */
async function readDone(path: string): Promise<Set<string>> {
  const done = new Set<string>();
  if (!(await Bun.file(path).exists())) return done;
  for await (const { text } of readLines(await openLocalFile(path))) {
    const row = parse(text);
    if (isObject(row) && typeof row["id"] === "string") done.add(row["id"]);
  }
  return done;
}

/** A run that was killed may have left half a line: what comes next must not be joined to it. */
async function endLine(path: string): Promise<void> {
  const file = Bun.file(path);
  if (!(await file.exists()) || file.size === 0) return;
  if ((await file.slice(file.size - 1).text()) !== "\n") await appendFile(path, "\n");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // the last line of a run that was killed: its query is done again
  }
}

async function readQueries(context: CommandContext): Promise<ShadowQuery[]> {
  const { flags } = context;
  const source = textFlag(flags, "events");
  const paths = listFlag(flags, "data");
  if ((source === undefined) === (paths.length === 0)) {
    throw new UsageError("--shadow takes its queries from --events SRC or from --data FILE….");
  }
  return source === undefined
    ? await queriesOfFiles(paths)
    : await queriesOfEvents(source, context);
}

/** Each text once, the latest calls first to stay. */
async function queriesOfEvents(source: string, context: CommandContext): Promise<ShadowQuery[]> {
  const byHash = new Map<string, ShadowQuery>();
  let withoutText = 0;
  for await (const { receipt, prompt, queryHash, features } of eventsOf(source, context)) {
    if (isOwnTraffic(receipt) || !features) continue;
    if (prompt === undefined || prompt.trim() === "") {
      withoutText++;
      continue;
    }
    const id = queryHash ?? receipt.callId;
    byHash.delete(id);
    byHash.set(id, { id, text: prompt, embedding: features.embedding });
    if (byHash.size > labelWindow) byHash.delete(byHash.keys().next().value ?? "");
  }
  if (byHash.size === 0 && withoutText > 0) {
    throw new GatewayError(
      "invalid_request",
      `${source}: ${withoutText} calls have no text to ask again: set routeiq_settings.telemetry.store_prompts for calls to come, or give queries with --data FILE`,
    );
  }
  return [...byHash.values()];
}

async function queriesOfFiles(paths: readonly string[]): Promise<ShadowQuery[]> {
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  const queries: ShadowQuery[] = [];
  for (const path of paths) {
    for await (const { text, line } of readLines(await openLocalFile(path))) {
      if (text.trim() === "") continue;
      const row = parse(text);
      const query = isObject(row) ? row["query"] : undefined;
      if (typeof query !== "string" || !isObject(row)) {
        throw new GatewayError("invalid_request", `${path}:${line}: "query" must be a string`);
      }
      const { embedding } = await extractor.extract(toQuery(query));
      const id = typeof row["id"] === "string" ? row["id"] : `${path}:${line}`;
      queries.push({ id, text: query, embedding: embedding.slice() });
    }
  }
  embedder.close();
  return queries;
}
