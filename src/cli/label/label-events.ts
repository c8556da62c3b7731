/** Logged answers, graded by the judge; the grades go to where the calls are. */
import { GatewayError } from "../../domain/errors.ts";
import { createKernels } from "../../kernels/create.ts";
import { toEventLabel } from "../../learning/events/event-label.ts";
import { findLabellable, orderCalls } from "../../learning/label/choose-calls.ts";
import type { JudgeRecord, LabelParts } from "../../learning/label/label-calls.ts";
import {
  createJudgeRecord,
  labelCall,
  labelCostUsd,
  modelsOf,
} from "../../learning/label/label-calls.ts";
import type { WorkReport } from "../../learning/label/work.ts";
import { workThrough } from "../../learning/label/work.ts";
import type { CommandContext } from "../command.ts";
import { eventsOf, seedFlag, textFlag } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";
import { openLabelSink } from "./label-sink.ts";
import type { LabelTools } from "./label-tools.ts";
import { tellPlan, tellWork, withinBudget } from "./tell-work.ts";

export async function labelEvents(
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
  const sink = openLabelSink(source, context);
  let report: WorkReport;
  try {
    const parts: LabelParts = { ...tools, mode, store: sink.store };
    const { concurrency } = tools;
    report = await workThrough(ordered.slice(0, tools.limit), (call) => labelCall(call, parts), {
      concurrency,
      signal,
      onProgress: (handled) =>
        out.progress("label", handled / Math.max(1, affordable.items.length)),
    });
  } finally {
    await sink.close();
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

function toWords({ cases, agreed, kappa }: JudgeRecord["betweenOrders"]): string {
  if (cases === 0) return "no case yet";
  const beyond = Number.isFinite(kappa) ? kappa.toFixed(3) : "–";
  return `${(100 * agreed).toFixed(1)} % of ${cases} the same, Cohen's kappa ${beyond}`;
}
