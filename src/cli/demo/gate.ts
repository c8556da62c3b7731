/** The demo's gate: what `eval --json` found on held-out rows, and whether that is good enough. */
import { isObject, type JsonObject } from "../../domain/json.ts";

export interface GateReport {
  readonly strategy: string;
  readonly rows: number;
  /** Area under the quality-cost curve: the router's, and that of the fixed models and their mixtures. */
  readonly aiq: number;
  readonly fixedAiq: number;
  /** The difference with its 95 % interval. */
  readonly gain: number;
  readonly gainLow: number;
  readonly gainHigh: number;
  /** The same router on shuffled answers, at the same cost. */
  readonly controlAiq: number;
  readonly passed: boolean;
}

/** @throws Error when the text is not what `eval --json` writes. */
export function readGate(text: string): GateReport {
  const parsed: unknown = JSON.parse(text.trim().split("\n").at(-1) ?? "");
  const results = isObject(parsed) ? parsed["results"] : undefined;
  const [first] = Array.isArray(results) ? results : [];
  const evaluation = object(isObject(first) ? first["evaluation"] : undefined);
  const gain = object(evaluation["gain"]);
  const baselines = object(evaluation["baselines"]);
  const gainLow = number(gain["low"]);
  return {
    strategy: String(evaluation["strategy"]),
    rows: number(evaluation["rows"]),
    aiq: number(object(evaluation["router"])["aiq"]),
    fixedAiq: number(object(baselines["zeroRouter"])["aiq"]),
    gain: number(gain["value"]),
    gainLow,
    gainHigh: number(gain["high"]),
    controlAiq: number(object(evaluation["control"])["aiq"]),
    passed: gainLow > 0,
  };
}

export function gateLines(gate: GateReport): readonly string[] {
  const signed = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(3)}`;
  const interval = `95 % interval ${signed(gate.gainLow)} to ${signed(gate.gainHigh)}`;
  return [
    `   ${gate.strategy} on ${gate.rows} held-out prompts: AIQ ${gate.aiq.toFixed(3)}, fixed models ` +
      `${gate.fixedAiq.toFixed(3)}, shuffled control ${gate.controlAiq.toFixed(3)}.`,
    `   Gain ${signed(gate.gain)}, ${interval}: ${gate.passed ? "passed" : "refused"}.`,
  ];
}

function object(value: unknown): JsonObject {
  if (!isObject(value)) throw new Error("routeiq eval --json wrote something else than expected");
  return value;
}

function number(value: unknown): number {
  if (typeof value !== "number") throw new Error("routeiq eval --json left a number out");
  return value;
}
