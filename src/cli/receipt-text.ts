/** A receipt as a person reads it: what was asked, what was considered, what was chosen and why. */
import type {
  ArmChoice,
  AttemptRecord,
  CandidateScore,
  Decision,
  DecisionReason,
  FilterReason,
  Floor,
  Receipt,
  StrategyCall,
} from "../domain/decision.ts";

const reasons: Readonly<Record<DecisionReason, string>> = {
  utility: "it has the best utility: quality less what it costs, at this trade-off",
  floor: "it is the cheapest that holds the quality floor",
  infeasible: "no routing could be shown to hold the quality floor, so its own model answers",
  fixed: "at this setting no routing was measured to be as good as this model alone",
  explored: "it was drawn by its probability, to learn more about it",
  abstained: "the query is unlike all training data, so the default candidate answers",
  prior: "there is no trained router yet: by name, price and the query's shape it seems best",
  cost_aware: "of those good enough and affordable it has the best trade of quality against price",
  sticky: "the conversation began with it, and no gain outweighed the lost prompt cache",
  single_candidate: "it was the only candidate left",
  named: "the routing model named it",
  verified: "its answer was verified, and held",
  escalated: "the smaller model's answer did not hold",
  composed: "it wrote the answer out of what several models said",
  static: "routing is static: the balancer chose",
  fallback: "the candidates before it failed",
};

const filters: Readonly<Record<FilterReason, string>> = {
  not_allowed: "not allowed for this key",
  context_window: "its context window is too small",
  missing_tools: "it has no tools",
  missing_vision: "it sees no images",
  missing_json_schema: "it takes no JSON schema",
  missing_audio: "it takes no audio",
  cooling_down: "cooling down after failures",
  over_budget: "over budget",
};

/** Lines of text, no colours. Whatever came from outside has its control characters taken out. */
export function showReceipt(receipt: Receipt): string[] {
  const { decision } = receipt;
  return [
    `Call ${clean(receipt.callId)}  ${showTime(receipt.atMs)}`,
    ...showFacts([
      ["asked for", showAsked(receipt)],
      ["outcome", showOutcome(receipt)],
      ["chosen", decision && `${clean(decision.chosen)}, because ${reasons[decision.reason]}`],
      ["strategy", decision && showStrategy(decision)],
      ["draw", decision?.exploration && showDraw(decision.exploration)],
      ["turn", decision?.stay && showStay(decision.stay)],
      ["note", decision?.note === undefined ? undefined : clean(decision.note)],
      ["arm", decision?.arm && showArm(decision.arm)],
    ]),
    ...(decision ? ["", "Candidates", ...showCandidates(decision)] : []),
    ...(decision?.neighbours?.length ? ["", ...showNeighbours(decision.neighbours)] : []),
    ...(receipt.strategyCalls?.length
      ? ["", "What the strategy asked", ...showStrategyCalls(receipt.strategyCalls)]
      : []),
    ...(receipt.attempts.length > 0 ? ["", "Attempts", ...showAttempts(receipt.attempts)] : []),
    "",
    ...showFacts([
      ["timings", showTimings(receipt)],
      ["tokens", showUsage(receipt)],
      ["cost", receipt.costMicroUsd === undefined ? "unknown" : usd(receipt.costMicroUsd / 1e6)],
      ["feedback", showFeedback(receipt)],
    ]),
  ];
}

function showArm({ experiment, variant, probability, keyType }: ArmChoice): string {
  const of = experiment === undefined ? "a release on trial" : `experiment ${clean(experiment)}`;
  return `${clean(variant)} of ${of}, ${Number((probability * 100).toFixed(1))} % by ${keyType}`;
}

function showFacts(facts: readonly (readonly [string, string | undefined])[]): string[] {
  return facts.flatMap(([name, text]) => (text ? [`  ${name.padEnd(10)}${text}`] : []));
}

function showAsked({ requestedModel, operation, stream, caller }: Receipt): string {
  return `${clean(requestedModel)} (${clean(operation)}${stream ? ", streaming" : ""}) by ${clean(caller)}`;
}

function showOutcome({ outcome, error, finishReason, deployment }: Receipt): string {
  const by = deployment === undefined ? "" : `, deployment ${clean(deployment)}`;
  const why = error ?? finishReason;
  return `${outcome}${why === undefined ? "" : ` (${clean(why)})`}${by}`;
}

function showStrategy(decision: Decision): string {
  const { strategy, artifact, decisionUs, novelty, dial } = decision;
  const floor = dial?.floor && showFloor(dial.floor);
  const parts = [
    clean(strategy),
    artifact === "none" ? "no artifact" : `artifact ${clean(artifact)}`,
    floor ?? (dial && `trade-off ${dial.tradeoff}`),
    dial?.latencyWeight ? `latency weight ${dial.latencyWeight}` : undefined,
    decision.online === undefined ? undefined : `corrected online (state ${decision.online})`,
    novelty === undefined ? undefined : `novelty ${novelty.toFixed(2)}`,
    `${decisionUs.toFixed(0)} µs`,
  ];
  return parts.filter((part) => part !== undefined).join(", ");
}

function showFloor({ share, model, violations }: Floor): string {
  const rate = violations === undefined ? "" : `, but for ${(violations * 100).toFixed(1)} %`;
  return `floor ${share}@${clean(model)}${rate}`;
}

function showDraw({ mode, draw, rate, greedy }: NonNullable<Decision["exploration"]>): string {
  const even = `${(rate * 100).toFixed(0)} % of it even`;
  return `${mode}, ${even}: ${draw.toFixed(4)} drawn; without it ${clean(greedy)} had answered`;
}

function showStay({ model, lostUsd }: NonNullable<Decision["stay"]>): string {
  const lost = lostUsd > 0 ? `; a change loses ${usd(lostUsd)} of prompt cache` : "";
  return `${clean(model)} answered the last one${lost}`;
}

const heads = ["", "model", "quality", "cost", "tokens out", "latency", "utility", "p"];

function showCandidates({ candidates, chosen }: Decision): string[] {
  const kept = candidates.filter((one) => !one.filtered);
  const rows = kept.map((one) => toRow(one, one.model === chosen));
  const left = candidates.filter((one) => one.filtered);
  const width = Math.max(0, ...left.map((one) => clean(one.model).length));
  return [
    ...showTable([heads, ...rows], "llrrrrrr"),
    ...left.map((one) => {
      const why = one.filtered ? filters[one.filtered] : "";
      return `    ${clean(one.model).padEnd(width)}  left out: ${why ?? clean(String(one.filtered))}`;
    }),
  ];
}

function toRow(one: CandidateScore, chosen: boolean): string[] {
  const spread = one.uncertainty === undefined ? "" : ` ± ${one.uncertainty.toFixed(3)}`;
  return [
    chosen ? "→" : "",
    `${clean(one.model)}${one.prior ? " (prior)" : ""}`,
    one.quality === undefined ? "–" : `${one.quality.toFixed(3)}${spread}`,
    one.costUsd === undefined ? "–" : usd(one.costUsd),
    one.outputTokens === undefined ? "–" : one.outputTokens.toFixed(0),
    one.latencyMs === undefined ? "–" : ms(one.latencyMs),
    one.utility === undefined ? "–" : one.utility.toFixed(3),
    one.probability.toFixed(2),
  ];
}

/** Columns of equal width, each l(eft) or r(ight); those that hold nothing are left out. */
function showTable(rows: readonly (readonly string[])[], sides: string): string[] {
  const [head = [], ...body] = rows;
  const used = head
    .map((_, at) => at)
    .filter((at) => at === 0 || body.some((row) => row[at] !== "–"));
  const widths = used.map((at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)));
  return rows.map((row) => {
    const cells = used.map((at, n) => {
      const cell = row[at] ?? "";
      const width = widths[n] ?? 0;
      return sides[at] === "l" ? cell.padEnd(width) : cell.padStart(width);
    });
    return `  ${cells.join("  ").trimEnd()}`;
  });
}

function showNeighbours(neighbours: NonNullable<Decision["neighbours"]>): string[] {
  const list = neighbours.map(({ row, similarity }) => `${row} (${similarity.toFixed(2)})`);
  return [`Nearest training rows (similarity): ${list.join(", ")}`];
}

function showAttempts(attempts: readonly AttemptRecord[]): string[] {
  const rows = attempts.map((one, n) => [
    `${n + 1}`,
    clean(one.model),
    one.because,
    `${one.status}`,
    one.error === undefined ? one.outcome : `${one.outcome}: ${clean(one.error)}`,
    ms(one.durationMs),
    // Its own where another attempt took its place; the rest is the call's.
    one.costMicroUsd === undefined ? "–" : usd(one.costMicroUsd / 1e6),
    clean(one.deployment),
  ]);
  const attemptHeads = ["", "model", "because", "status", "outcome", "took", "cost", "deployment"];
  return showTable([attemptHeads, ...rows], "lllrlrrl");
}

function showStrategyCalls(calls: readonly StrategyCall[]): string[] {
  const rows = calls.map((one, n) => [
    `${n + 1}`,
    one.purpose,
    one.model === undefined ? "–" : clean(one.model),
    one.error === undefined ? one.outcome : `${one.outcome}: ${clean(one.error)}`,
    `${one.attempts}`,
    one.usage === undefined ? "–" : `${one.usage.inputTokens}`,
    one.usage === undefined ? "–" : `${one.usage.outputTokens}`,
    ms(one.durationMs),
    one.costMicroUsd === undefined ? "–" : usd(one.costMicroUsd / 1e6),
  ]);
  const callHeads = ["", "for", "model", "outcome", "attempts", "in", "out", "took", "cost"];
  return showTable([callHeads, ...rows], "lllrrrrrr");
}

function showTimings({ timings, attempts }: Receipt): string {
  const first =
    timings.firstTokenMs === undefined ? "" : `, first token ${ms(timings.firstTokenMs)}`;
  const overhead = `${(timings.overheadUs / 1000).toFixed(2)} ms in the gateway before the upstream`;
  const queued = timings.queuedMs === undefined ? "" : `${ms(timings.queuedMs)} in the queue, `;
  return `${queued}${attempts.length > 0 ? `${overhead}${first}, ` : ""}${ms(timings.totalMs)} in all`;
}

function showUsage({ usage }: Receipt): string {
  if (!usage) return "unknown";
  const { inputTokens, outputTokens, cachedInputTokens, reasoningTokens } = usage;
  const cached = cachedInputTokens ? ` (${cachedInputTokens} cached)` : "";
  const thought = reasoningTokens ? ` (${reasoningTokens} reasoning)` : "";
  const guess = usage.estimated ? ", estimated" : "";
  return `${inputTokens} in${cached}, ${outputTokens} out${thought}${guess}`;
}

function showFeedback({ feedback }: Receipt): string {
  if (feedback.length === 0) return "none";
  return feedback
    .map(({ score, source, comment }) => {
      const said = comment === undefined ? "" : `: "${clean(comment)}"`;
      return `${score} by ${clean(source)}${said}`;
    })
    .join("; ");
}

function showTime(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

function usd(amount: number): string {
  return `$${amount >= 0.01 ? amount.toFixed(4) : amount.toPrecision(3)}`;
}

function ms(amount: number): string {
  return amount >= 10_000 ? `${(amount / 1000).toFixed(1)} s` : `${amount.toFixed(0)} ms`;
}

/** A comment or a model's name must not move the reader's cursor. */
function clean(text: string): string {
  return text.replace(/\p{Cc}/gu, " ");
}
