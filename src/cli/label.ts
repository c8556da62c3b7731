/** `routeiq label`: a judge says what logged answers were worth, or grades a shadow set, within a budget. */
import { GatewayError } from "../domain/errors.ts";
import { createKernels } from "../kernels/create.ts";
import { toEventLabel } from "../learning/event-label.ts";
import { findLabellable, orderCalls } from "../learning/label/choose-calls.ts";
import { createEndpoint, type Price } from "../learning/label/endpoint.ts";
import { createJudge } from "../learning/label/judge.ts";
import {
  createJudgeRecord,
  type JudgeRecord,
  type LabelParts,
  labelCall,
  labelCostUsd,
  modelsOf,
} from "../learning/label/label-calls.ts";
import { createPurse } from "../learning/label/purse.ts";
import { type WorkReport, workThrough } from "../learning/label/work.ts";
import { loadCatalog } from "../providers/catalog.ts";
import { createOutbound } from "../security/outbound.ts";
import { systemClock } from "../std/clock.ts";
import { takePidLock } from "../storage/file/pid-lock.ts";
import { openEventStore } from "../storage/sqlite/event-store.ts";
import { openEvents } from "../storage/sqlite/read-events.ts";
import { type CommandContext, defineCommand } from "./command.ts";
import { runShadow } from "./label-shadow.ts";
import { eventsOf, listFlag, seedFlag, textFlag } from "./learning-inputs.ts";
import { UsageError } from "./parse.ts";

export const labelCommand = defineCommand({
  name: "label",
  summary: "Have a language model grade logged answers, or a shadow set, within a budget.",
  flags: {
    events: { description: "Event log: a data folder, or sqlite:PATH.", value: "SRC" },
    judge: { description: "The model that grades.", value: "MODEL" },
    budget: { description: "What may be spent, answers included, in USD.", value: "USD" },
    plan: { description: "Say what would be labelled and what it would cost; ask nobody." },
    url: {
      description: "The gateway to ask. Default: ROUTEIQ_URL, else the one on this machine.",
      value: "URL",
    },
    "judge-url": {
      description: "Where the judge is, if not there: anything that speaks OpenAI's chat.",
      value: "URL",
    },
    "judge-price": {
      description: "USD per million input and output tokens, where nobody knows: 2.5,10.",
      value: "IN,OUT",
    },
    mode: {
      description:
        "pairwise (beside the nearest rival's answer, in both orders) or rubric (alone).",
      value: "MODE",
    },
    shadow: { description: "Have every model answer a stratified sample; rows go to --out." },
    data: {
      description: "With --shadow: queries ({id, query} a line).",
      value: "FILE…",
      many: true,
    },
    models: { description: "With --shadow: the models that answer, by comma.", value: "A,B,C" },
    out: { description: "With --shadow: file of rows that `train --data` reads.", value: "FILE" },
    limit: { description: "At most so many labels or rows.", value: "N" },
    concurrency: { description: "Calls under way at once. Default: 4; at most 32.", value: "N" },
    seed: { description: "Of the sample. Default: 1.", value: "N" },
  },
  example: "routeiq label --events ./.routeiq --judge gpt-4o --budget 2 --plan",
  run: runLabel,
});

async function runLabel(context: CommandContext): Promise<number> {
  const { flags } = context;
  const tools = await openTools(context);
  if (flags["shadow"] === true) return await runShadow(context, tools);
  const source = textFlag(flags, "events");
  if (source === undefined) throw new UsageError("--events SRC is needed (or --shadow).");
  if (listFlag(flags, "data").length > 0) {
    throw new UsageError("--data goes with --shadow: its rows go to a file, not to the event log.");
  }
  return await labelEvents(context, tools, source);
}

/** What both ways of labelling need. */
export interface LabelTools extends Omit<LabelParts, "store" | "mode"> {
  readonly limit: number;
  readonly concurrency: number;
  readonly plan: boolean;
  readonly budgetUsd: number;
}

const mostConcurrent = 32;

async function openTools(context: CommandContext): Promise<LabelTools> {
  const { flags, env, signal } = context;
  const model = textFlag(flags, "judge");
  if (model === undefined) throw new UsageError("--judge MODEL is needed.");
  const budgetUsd = readNumber(flags, "budget", undefined, 1e6);
  const common = { outbound: createOutbound(), clock: systemClock, signal };
  const url =
    textFlag(flags, "url") ?? env["ROUTEIQ_URL"] ?? `http://127.0.0.1:${env["PORT"] || "4000"}`;
  const key = env["ROUTEIQ_API_KEY"] || env["LITELLM_MASTER_KEY"] || undefined;
  const gateway = createEndpoint({ ...common, url, key });
  const judgeUrl = textFlag(flags, "judge-url");
  const own = { url: judgeUrl ?? url, key: env["ROUTEIQ_JUDGE_API_KEY"] || key };
  const endpoint = judgeUrl === undefined ? gateway : createEndpoint({ ...common, ...own });
  const priceOf = await readPrices(gateway);
  const price = readJudgePrice(flags) ?? priceOf(model);
  if (!price) {
    throw new UsageError(
      `Nobody knows the price of ${model}, so no budget can be kept: give --judge-price IN,OUT (USD per million tokens).`,
    );
  }
  const purse = createPurse(budgetUsd);
  const newKey = () => crypto.randomUUID().replaceAll("-", "");
  return {
    gateway,
    priceOf,
    purse,
    clock: systemClock,
    judge: createJudge({ endpoint, model, price, purse, newKey }),
    limit: readNumber(flags, "limit", 1e6, 1e6),
    concurrency: Math.max(1, Math.min(mostConcurrent, readNumber(flags, "concurrency", 4, 1e6))),
    plan: flags["plan"] === true,
    budgetUsd,
  };
}

/** The gateway's own prices first; else the catalog's. */
async function readPrices(
  gateway: LabelParts["gateway"],
): Promise<(model: string) => Price | undefined> {
  const told = await gateway.prices();
  const catalog = loadCatalog();
  return (model) => {
    const known = told.get(model);
    if (known) return known;
    const [, provider, name] = /^([^/]+)\/(.+)$/.exec(model) ?? [];
    const { price } = catalog.factsOf(provider ?? "openai", name ?? model);
    return price && price.inputUsdPerToken + price.outputUsdPerToken > 0 ? price : undefined;
  };
}

function readJudgePrice(flags: CommandContext["flags"]): Price | undefined {
  const text = textFlag(flags, "judge-price");
  if (text === undefined) return undefined;
  const [input, output, ...more] = text.split(",").map(Number);
  const valid = [input, output].every((value) => value !== undefined && value >= 0);
  if (!valid || more.length > 0) {
    throw new UsageError(`--judge-price ${text} is not of the form IN,OUT, such as 2.5,10.`);
  }
  return { inputUsdPerToken: (input ?? 0) / 1e6, outputUsdPerToken: (output ?? 0) / 1e6 };
}

function readNumber(
  flags: CommandContext["flags"],
  name: string,
  otherwise: number | undefined,
  most: number,
): number {
  const text = textFlag(flags, name);
  if (text === undefined && otherwise !== undefined) return otherwise;
  const value = Number(text);
  if (text !== undefined && text.trim() !== "" && value > 0 && value <= most) return value;
  throw new UsageError(
    text === undefined ? `--${name} is needed.` : `--${name} ${text} is not a number above 0.`,
  );
}

async function labelEvents(
  context: CommandContext,
  tools: LabelTools,
  source: string,
): Promise<number> {
  const { flags, out, signal } = context;
  const mode = readMode(flags);
  const pool = await findLabellable(eventsOf(source, context), tools.judge.source);
  const { counts } = pool;
  out.line(
    `${source}: ${counts.seen} calls; ${pool.calls.length} can be labelled, ${counts.alreadyLabelled} are already, ` +
      `${counts.withoutPrompt} are without their text, ${counts.unfit} failed or are no fit`,
  );
  if (pool.calls.length === 0) return tellNothing(context, counts);
  const ordered = orderCalls(pool.calls, createKernels, seedFlag(flags));
  const affordable = withinBudget(
    ordered.slice(0, tools.limit),
    (call) => labelCostUsd(call, { ...tools, mode }),
    tools.budgetUsd,
  );
  if (tools.plan) {
    tellPlan(context, affordable, (call) => ({
      call_id: call.callId,
      models: modelsOf(call, mode),
      value: Number(call.value.toFixed(4)),
    }));
    return 0;
  }
  const { path } = withReader(source);
  const release = takePidLock(`${path}.label-lock`);
  const store = openEventStore(path);
  let report: WorkReport;
  try {
    const parts: LabelParts = {
      ...tools,
      mode,
      store(feedback) {
        // Somebody may have been here meanwhile; a label is given once.
        const known = store.find(feedback.callId)?.feedback;
        if (!known || known.some((one) => one.source === feedback.source)) return false;
        return store.addFeedback(feedback);
      },
    };
    const { concurrency } = tools;
    report = await workThrough(ordered.slice(0, tools.limit), (call) => labelCall(call, parts), {
      concurrency,
      signal,
      onProgress: (handled) =>
        out.progress("label", handled / Math.max(1, affordable.items.length)),
    });
  } finally {
    store.close();
    release();
  }
  const record = await readRecord(context, source, tools.judge.source);
  tellReport(context, tools, report, record);
  return report.done > 0 || report.failed === 0 ? 0 : 1;
}

function readMode(flags: CommandContext["flags"]): LabelParts["mode"] {
  const mode = textFlag(flags, "mode") ?? "pairwise";
  if (mode === "pairwise" || mode === "rubric") return mode;
  throw new UsageError(`--mode ${mode} is neither pairwise nor rubric.`);
}

/** The path of the log, and whether it is there. */
function withReader(source: string): { readonly path: string } {
  const reader = openEvents(source);
  reader.close();
  return { path: reader.path };
}

function tellNothing({ out }: CommandContext, counts: { readonly withoutPrompt: number }): number {
  if (counts.withoutPrompt > 0) {
    throw new GatewayError(
      "invalid_request",
      `${counts.withoutPrompt} calls have no text to judge: set routeiq_settings.telemetry.store_prompts for calls to come, or grade queries of your own with --shadow --data FILE`,
    );
  }
  out.line("nothing to label");
  out.json({ ok: true, labelled: 0 });
  return 0;
}

export interface Affordable<T> {
  readonly items: readonly T[];
  readonly costUsd: number;
  readonly outOf: number;
}

/** As many, in order, as the budget is expected to do for. */
export function withinBudget<T>(
  items: readonly T[],
  costOf: (item: T) => number,
  budgetUsd: number,
): Affordable<T> {
  let costUsd = 0;
  let count = 0;
  for (const item of items) {
    const cost = costOf(item);
    if (costUsd + cost > budgetUsd) break;
    costUsd += cost;
    count++;
  }
  return { items: items.slice(0, count), costUsd, outOf: items.length };
}

const plannedShown = 10;

export function tellPlan<T>(
  { out }: CommandContext,
  { items, costUsd, outOf }: Affordable<T>,
  show: (item: T) => Readonly<Record<string, unknown>>,
): void {
  out.line(
    `plan: ${items.length} of ${outOf} for about $${costUsd.toFixed(4)}; nothing was asked. First:`,
  );
  for (const item of items.slice(0, plannedShown)) out.line(`  ${JSON.stringify(show(item))}`);
  out.json({ ok: true, plan: items.map(show), cost_usd: costUsd, out_of: outOf });
}

async function readRecord(
  context: CommandContext,
  source: string,
  judge: string,
): Promise<JudgeRecord> {
  const record = createJudgeRecord(judge);
  for await (const { receipt } of eventsOf(source, context)) {
    const label = toEventLabel(receipt);
    record.add(receipt.feedback, label?.source === "feedback" ? label.score : undefined);
  }
  return record.result();
}

function tellReport(
  { out }: CommandContext,
  { judge, purse }: LabelTools,
  report: WorkReport,
  record: JudgeRecord,
): void {
  const { betweenOrders, withPeople } = record;
  tellWork(out, report, purse.spentUsd);
  out.line(`${record.labels} labels of ${judge.source} in the log`);
  out.line(`  between orders: ${toWords(betweenOrders)}`);
  out.line(`  with people: ${toWords(withPeople)}`);
  out.json({
    ok: true,
    judge: judge.source,
    labelled: report.done,
    report,
    spent_usd: purse.spentUsd,
    labels: record.labels,
    agreement: { between_orders: betweenOrders, with_people: withPeople },
  });
}

export function tellWork(out: CommandContext["out"], report: WorkReport, spentUsd: number): void {
  const { done, skipped, failed, failures, stopped } = report;
  out.line(
    `${done} done, ${skipped} skipped, ${failed} failed; $${spentUsd.toFixed(4)} spent` +
      (stopped === "finished" ? "" : `; stopped: ${stopped}`),
  );
  for (const failure of failures) out.note(`routeiq: ${failure}`);
}

function toWords({ cases, agreed, kappa }: JudgeRecord["betweenOrders"]): string {
  if (cases === 0) return "no case yet";
  const beyond = Number.isFinite(kappa) ? kappa.toFixed(3) : "–";
  return `${(100 * agreed).toFixed(1)} % of ${cases} the same, Cohen's kappa ${beyond}`;
}
