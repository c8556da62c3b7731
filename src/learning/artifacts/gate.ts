/**
 * The gate before publishing: the evidence that a release carries must say that it is better.
 *
 * `routeiq train` records, measured on rows that it did not train on, at equal cost:
 * ```
 * provenance.metrics.gate = {
 *   "confidence": "0.95", "rows": 1234,
 *   "best_single": {"model", "gain": "0.031", "gain_lower": "0.012"},
 *   "incumbent":   {"sha256", "version", "gain": "0.008", "gain_lower": "0.001"}   // where there is one
 * }
 * ```
 * `gain` is the mean quality above the comparison, `gain_lower` the lower end of its confidence
 * interval; decimals are strings. `incumbent.sha256` is the hash of the release that was in force.
 */
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";

export interface GateVerdict {
  readonly passed: boolean;
  /** In one sentence, for the terminal and the record. */
  readonly reason: string;
}

export interface Incumbent {
  readonly version: number;
  readonly sha256: string;
}

/** Judges a release's provenance; `incumbent` is the release in force, if any. */
export function judgeGate(provenance: JsonObject, incumbent: Incumbent | undefined): GateVerdict {
  const metrics = provenance["metrics"];
  const gate = isObject(metrics) ? metrics["gate"] : undefined;
  if (!isObject(gate)) {
    return fail(
      "it carries no evidence, as rows with one model's outcome each give none (train it with " +
        "--holdout FILE, rows that every model answered)",
    );
  }
  const single = toGain(gate["best_single"]);
  if (!single) return fail("it does not say how it compares with the best single model");
  if (!(single.lower > 0)) {
    return fail(`against the best single model its gain is only certain to be over ${single.text}`);
  }
  if (!incumbent) return pass(`better than the best single model by at least ${single.text}`);
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
