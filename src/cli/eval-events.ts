/** `routeiq eval --events`: what a router would have been worth on logged calls, and whether that is sure. */
import { GatewayError } from "../domain/errors.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { createKernels } from "../kernels/create.ts";
import { readPrices } from "../learning/dataset.ts";
import type { Interval } from "../learning/evidence/bootstrap.ts";
import { type Compared, estimatorNames } from "../learning/off-policy/estimators.ts";
import { evaluateLog, type LogEvaluation } from "../learning/off-policy/evaluate-log.ts";
import { type LoggedCalls, readLoggedCalls } from "../learning/off-policy/logged-calls.ts";
import { toLogReport } from "../learning/off-policy/report.ts";
import { version } from "../std/version.ts";
import type { CommandContext } from "./command.ts";
import {
  eventsOf,
  openEmbedder,
  readLabelFiles,
  readRouter,
  seedFlag,
  textFlag,
} from "./learning-inputs.ts";
import { UsageError } from "./parse.ts";

export async function evaluateEvents(
  context: CommandContext,
  sources: readonly string[],
  folders: readonly string[],
): Promise<number> {
  const { flags, out } = context;
  for (const name of ["decisions"]) {
    if (textFlag(flags, name)) throw new UsageError(`--${name} goes with --data alone.`);
  }
  const encoding = await openEmbedder(flags);
  const { embedder } = encoding;
  const given = textFlag(flags, "prices");
  const prices = given === undefined ? undefined : await readPrices(given, given);
  const tradeoff = readShare(flags, "tradeoff");
  const labels = await readLabelFiles(context);
  const since = readTime(flags, "since");
  const results: { events: string; artifact: string; evaluation: LogEvaluation }[] = [];
  try {
    for (const source of sources) {
      const logged = await readLoggedCalls({
        events: eventsOf(source, context),
        embedderId: embedder.id,
        labels,
        ...(since === undefined ? {} : { sinceMs: since }),
      });
      if (logged.calls.length === 0) throw nothingLogged(source, logged);
      for (const artifact of folders) {
        const { router, release } = await readRouter(artifact, encoding);
        warnOfOverlap(context, release, logged);
        const evaluation = await evaluateLog(router, logged, {
          seed: seedFlag(flags),
          embedder,
          kernels: createKernels,
          ...(prices ? { prices } : {}),
          ...(tradeoff === undefined ? {} : { tradeoff }),
          progress: (share) => out.progress(`estimate ${artifact}`, share),
        });
        router.close();
        results.push({ events: source, artifact, evaluation });
        for (const text of toLogLines(source, evaluation)) out.line(text);
      }
    }
  } finally {
    encoding.close();
  }
  const report = textFlag(flags, "report");
  if (report) {
    await Bun.write(report, toLogReport(results, version));
    out.line(`report written to ${report}`);
  }
  out.json({ ok: true, results });
  return 0;
}

function nothingLogged(source: string, { counts }: LoggedCalls): GatewayError {
  const { seen, deterministic, unlabelled, foreign } = counts;
  const said =
    `${source}: none of ${seen} calls can be used: ${deterministic} were certain choices ` +
    `(probability 1), ${unlabelled} have no label, ${foreign} are of another embedder.`;
  const remedy =
    deterministic >= unlabelled
      ? " Switch exploration on (routing_strategy_args.exploration), or evaluate on rows that every model answered (--data)."
      : " Send feedback to /v1/feedback, or have a judge label calls: routeiq label.";
  return new GatewayError("invalid_request", said + remedy);
}

/** A router flatters itself on calls that it learnt from. */
function warnOfOverlap({ out }: CommandContext, release: JsonObject, { calls }: LoggedCalls): void {
  const provenance = release["provenance"];
  const until = isObject(provenance) ? provenance["events_until"] : undefined;
  if (typeof until !== "string") return;
  const untilMs = Date.parse(until);
  const learnt = calls.filter(({ atMs }) => atMs <= untilMs).length;
  if (learnt === 0) return;
  out.note(
    `${learnt} of ${calls.length} calls may be ones that this router learnt from, which flatters it: give --since ${until}`,
  );
}

function readShare(flags: CommandContext["flags"], name: string): number | undefined {
  const text = textFlag(flags, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== "" && value >= 0 && value <= 1) return value;
  throw new UsageError(`--${name} ${text} is not a number from 0 to 1.`);
}

function readTime(flags: CommandContext["flags"], name: string): number | undefined {
  const text = textFlag(flags, name);
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms;
  throw new UsageError(`--${name} ${text} is not a time such as 2026-11-01T00:00:00Z.`);
}

const names: Readonly<Record<(typeof estimatorNames)[number], string>> = {
  ips: "IPS",
  snips: "SNIPS",
  clipped: "SNIPS, clipped",
  direct: "direct method",
  doublyRobust: "doubly robust",
  doublyRobustClipped: "doubly robust, clipped",
};

export function toLogLines(source: string, e: LogEvaluation): readonly string[] {
  const { counts, overlap, served } = e;
  const labels = Object.entries(counts.labels).map(([name, count]) => `${count} by ${name}`);
  return [
    `${source} · ${e.strategy}: ${counts.used} calls of ${e.sessions} sessions, ${e.models} models`,
    `  of ${counts.seen} calls: ${counts.deterministic} certain choices (probability 1, no exploration), ` +
      `${counts.unlabelled} without label, ${counts.foreign} of another embedder, ${counts.dropped} too old; ` +
      `labels: ${labels.join(", ")}`,
    `  as served: quality ${four(served.quality)}, ${usd(served.costUsd)} a call; ` +
      `compared with ${e.rival === "incumbent" ? "the incumbent without its exploration" : "what served"}`,
    `  effective sample ${overlap.effectiveSamples.toFixed(0)}, mean weight ${overlap.meanWeight.toFixed(2)} (should be 1), ` +
      `largest ${overlap.maxWeight.toFixed(0)}; drawn as the router picks ${percent(overlap.matched)}, ` +
      `left to the model ${percent(overlap.clipped)}, never tried ${percent(overlap.unsupported)}, ` +
      `same choice ${percent(overlap.agreed)}`,
    `  ${"".padEnd(24)}${"quality of the router".padEnd(28)}${"gain in quality".padEnd(28)}gain in utility`,
    ...estimatorNames.map((name) => {
      const cell = (of: Interval) => withRange(of).padEnd(28);
      return `  ${names[name].padEnd(24)}${cell(e.quality.policy[name])}${cell(e.quality.gain[name])}${withRange(e.utility.gain[name])}`;
    }),
    ...costLines(e.costUsd, e.costKnown),
    `  ${e.verdict.verdict === "refused" ? "no verdict" : e.verdict.verdict}: ${e.verdict.reason}`,
  ];
}

function costLines({ policy, gain }: Compared, known: number): string[] {
  const { value, low, high } = policy.doublyRobustClipped;
  const change = gain.doublyRobustClipped;
  const part = known < 1 ? ` (cost known of ${percent(known)} of the calls)` : "";
  return [
    `  cost a call ${usd(value)} [${usd(low)}, ${usd(high)}], change ${usd(change.value)} ` +
      `[${usd(change.low)}, ${usd(change.high)}]${part}`,
  ];
}

const four = (value: number) => (Number.isFinite(value) ? value.toFixed(4) : "–");
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const usd = (value: number) => `${value < 0 ? "-" : ""}$${Math.abs(value).toPrecision(3)}`;
const withRange = ({ value, low, high }: Interval) =>
  `${four(value)} [${four(low)}, ${four(high)}]`;
