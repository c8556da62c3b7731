/** A gateway's rollout as a person reads it: from the answer of `/admin/model/*`, which is a gateway's word. */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

/** Lines of text. Whatever is missing, or of a newer gateway, is left out. */
export function showRollout(status: JsonObject): string[] {
  const { active, staged, verdicts } = status;
  return [
    isObject(active) ? `in force  ${nameOf(active)}` : "in force  nothing; routing is static",
    ...(isObject(active) ? showTrial(active["health"], "health window") : []),
    ...(isObject(staged) ? showStaged(staged) : ["staged    nothing"]),
    ...(Array.isArray(verdicts) && verdicts.length > 0 ? ["", "Verdicts, newest first"] : []),
    ...(Array.isArray(verdicts) ? verdicts : []).flatMap((one) =>
      isObject(one) ? [`  ${showVerdict(one)}`] : [],
    ),
  ];
}

const nameOf = ({ name, version }: JsonObject) => `${text(name)}@${text(version)}`;

function showStaged(staged: JsonObject): string[] {
  const { stage, share, step, steps, stage_since: since, ready, undecided } = staged;
  const of =
    typeof step === "number" && Number(steps) > 1 ? `, step ${step} of ${text(steps)}` : "";
  const wide = typeof share === "number" ? `, ${percent(share)} of the calls${of}` : "";
  const waits = undecided === true ? "; too few calls, waits for you" : "";
  return [
    `staged    ${nameOf(staged)}: ${text(stage)}${wide}, since ${text(since)}${
      ready === true ? "; ready, waits for routeiq models promote" : waits
    }`,
    ...showTrial(staged["canary"], "canary"),
    ...showShadow(staged["shadow"]),
  ];
}

function showTrial(trial: Json | undefined, what: string): string[] {
  if (!isObject(trial)) return [];
  const { calls, control, control_calls: others, differences } = trial;
  const head = `  ${what}: ${text(calls)} calls beside ${text(others)} of ${text(control)}`;
  const rows = Array.isArray(differences) ? differences : [];
  return [head, ...rows.flatMap((row) => (isObject(row) ? showDifference(row) : []))];
}

/** One metric of two arms, and the interval of their difference. */
export function showDifference(row: JsonObject): string[] {
  const { metric, control, arm, arm_n: n, interval, significant } = row;
  if (typeof arm !== "number" || typeof control !== "number") return [];
  const show = (value: number) => {
    if (metric === "errors") return percent(value);
    if (metric === "latency") return `${value.toFixed(0)} ms`;
    return metric === "cost" ? `${value.toPrecision(3)} USD` : value.toFixed(3);
  };
  const ratio = metric === "latency" || metric === "cost";
  const bound = (value: Json | undefined) => {
    const number = Number(value);
    if (ratio) return `×${number.toFixed(2)}`;
    const sign = number > 0 ? "+" : "";
    return `${sign}${metric === "errors" ? (100 * number).toFixed(1) : number.toFixed(3)}`;
  };
  const unit = metric === "errors" ? " points" : "";
  const range = Array.isArray(interval)
    ? `${bound(interval[0])} to ${bound(interval[1])}${unit}`
    : "too little yet";
  const sure = significant === true ? "  beyond chance" : "";
  return [
    `    ${text(metric).padEnd(8)} ${show(arm)} against ${show(control)} (n ${text(n)}): ${range}${sure}`,
  ];
}

const signed = (value: number, shown: string) => (value > 0 ? `+${shown}` : shown);

function showShadow(shadow: Json | undefined): string[] {
  if (!isObject(shadow)) return [];
  const { calls, agreement, failed, predicted, score_us: us } = shadow;
  const gain = isObject(predicted) ? predicted["quality_gain"] : undefined;
  const cost = isObject(predicted) ? predicted["cost_change_usd"] : undefined;
  const p99 = isObject(us) ? us["p99"] : undefined;
  return [
    `  shadow: ${text(calls)} decisions scored, ${text(failed)} failed`,
    ...(typeof agreement === "number" ? [`    agrees on ${percent(agreement)}`] : []),
    ...(typeof gain === "number"
      ? [
          `    predicts ${signed(gain, gain.toFixed(4))} quality and ${signed(Number(cost), Number(cost).toPrecision(3))} USD a call, against what serves`,
        ]
      : []),
    ...(typeof p99 === "number" ? [`    scores within ${(p99 / 1000).toFixed(1)} ms (p99)`] : []),
  ];
}

function showVerdict({ at, arm, stage, healthy, message, calls }: JsonObject): string {
  const word = healthy === true ? "good" : "taken back";
  return `${text(at)}  ${text(arm)} ${word} (${text(stage)}, ${text(calls)} calls): ${text(message)}`;
}

const percent = (share: number) => `${Number((share * 100).toFixed(2))} %`;

/** What came from outside has its control characters taken out. */
function text(value: Json | undefined): string {
  return String(value ?? "").replace(/\p{Cc}/gu, " ");
}
