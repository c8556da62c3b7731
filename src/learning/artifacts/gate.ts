/**
 * The gate before publishing: the evidence that a release carries must say that it is better.
 *
 * `routeiq train` records, measured on rows that its choices were not fitted to (learning/evidence.ts),
 * at equal cost and averaged over the dial:
 * ```
 * provenance.metrics.gate = {
 *   "confidence": "0.95", "rows": 1234,
 *   "method": "full-information" | "off-policy", "effective_samples": 346,   // the latter's alone
 *   "best_single": {"model", "gain": "0.031", "gain_lower": "0.012"},  // fixed models of equal cost
 *   "control":     {"gain": "0.030", "gain_lower": "0.013"},           // its own choices, dealt at random
 *   "incumbent":   {"sha256", "version", "gain": "0.008", "gain_lower": "0.001"}   // where there is one
 * }
 * ```
 * Where no rows could tell, `provenance.metrics.gate_missing` may say why, and what would.
 * `gain` is the mean quality above the comparison, `gain_lower` the lower end of its 95 % confidence
 * interval; decimals are strings. `incumbent.sha256` is the hash of the release that was in force.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { leastEffectiveSamples } from "../off-policy/verdict.ts";

export interface GateVerdict {
  readonly passed: boolean;
  /** In one sentence, for the terminal and the record. */
  readonly reason: string;
}

export interface Incumbent {
  readonly version: number;
  readonly sha256: string;
}

/** Characters of a release's own word on why it has no evidence. */
const mostReason = 600;

/** Judges a release's provenance; `incumbent` is the release in force, if any. */
export function judgeGate(provenance: JsonObject, incumbent: Incumbent | undefined): GateVerdict {
  const metrics = provenance["metrics"];
  const gate = isObject(metrics) ? metrics["gate"] : undefined;
  if (!isObject(gate)) {
    const why = isObject(metrics) ? metrics["gate_missing"] : undefined;
    if (typeof why === "string" && why !== "") return fail(why.slice(0, mostReason));
    return fail(
      "it carries no evidence: its rows have one model's outcome each and nothing was explored " +
        "(switch exploration on, or train it with --holdout FILE, rows that every model answered)",
    );
  }
  if (gate["method"] === "off-policy") {
    const samples = gate["effective_samples"];
    if (typeof samples !== "number" || samples < leastEffectiveSamples) {
      return fail(
        `the effective sample of its logged calls, ${String(samples)}, is under ${leastEffectiveSamples}`,
      );
    }
  }
  const single = toGain(gate["best_single"]);
  if (!single) return fail("it does not say how it compares with the best single model");
  if (!(single.lower > 0)) {
    return fail(
      `against the best single models at equal cost its gain is only certain to be over ${single.text}`,
    );
  }
  const control = toGain(gate["control"]);
  if (!control) return fail("it was not compared with its own choices dealt at random");
  if (!(control.lower > 0)) {
    return fail(
      `against its own choices dealt at random its gain is only certain to be over ${control.text}`,
    );
  }
  if (!incumbent)
    return pass(`better than the best single models at equal cost by at least ${single.text}`);
  const field = gate["incumbent"];
  const other = toGain(field);
  if (!isObject(field) || !other || field["sha256"] !== incumbent.sha256) {
    return fail(`it was not compared with release ${incumbent.version}, which is in force`);
  }
  if (!(other.lower > 0)) {
    return fail(
      `against release ${incumbent.version} its gain is only certain to be over ${other.text}`,
    );
  }
  return pass(`better than release ${incumbent.version} by at least ${other.text}`);
}

function toGain(
  value: Json | undefined,
): { readonly lower: number; readonly text: string } | undefined {
  const text = isObject(value) ? value["gain_lower"] : undefined;
  if (typeof text !== "string" || !/^-?\d{1,6}(\.\d{1,12})?$/.test(text)) return undefined;
  return { lower: Number(text), text };
}

const pass = (reason: string): GateVerdict => ({ passed: true, reason });
const fail = (reason: string): GateVerdict => ({ passed: false, reason });
