/** Fields of rows, read strictly: a number that is no number is a bad row, not a guess. */
import { excerpt } from "../../domain/errors.ts";
import type { RoutingTool } from "../../domain/features.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { BadRow } from "./problems.ts";
import type { Outcome } from "./row.ts";

/** An outcome as DESIGN's rows have it. @param what names it in messages @throws BadRow */
export function toOutcome(value: JsonObject, what: string): Outcome {
  const { score } = value;
  if (typeof score !== "number" || !(score >= 0 && score <= 1)) {
    throw new BadRow(`${what}.score must be a number from 0 to 1`);
  }
  const number = (key: string): number | undefined => {
    const given = value[key];
    if (given === undefined || given === null) return undefined;
    if (typeof given !== "number" || !Number.isFinite(given) || given < 0) {
      throw new BadRow(`${what}.${key} must be a number of at least 0`);
    }
    return given;
  };
  const seconds = number("latency_s");
  const verification = number("verification");
  if (verification !== undefined && verification > 1) {
    throw new BadRow(`${what}.verification must be a number from 0 to 1`);
  }
  return {
    score,
    ...defined({
      inputTokens: number("input_tokens"),
      outputTokens: number("output_tokens"),
      costUsd: number("cost_usd"),
      latencyMs: number("latency_ms") ?? (seconds === undefined ? undefined : seconds * 1000),
      verification,
    }),
  };
}

/** OpenAI's `{type, function}` and the bare function schema alike; what is no tool is left out. */
export function toTools(value: unknown): RoutingTool[] {
  if (!Array.isArray(value)) return [];
  return value.flatMap((entry: unknown): RoutingTool[] => {
    if (!isObject(entry)) return [];
    const tool = isObject(entry["function"]) ? entry["function"] : entry;
    const { name, description, parameters } = tool;
    if (typeof name !== "string") return [];
    return [
      {
        name,
        ...(typeof description === "string" ? { description } : {}),
        ...(parameters === undefined ? {} : { parameters }),
      },
    ];
  });
}

/** A text of digits counts as a number: tables have no types. Empty is undefined. @throws BadRow */
export function toNumber(value: unknown, what: string): number | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (typeof value === "bigint") return Number(value);
  const word = typeof value === "string" ? value.trim().toLowerCase() : "";
  if (word === "nan" || word === "none" || word === "null") return undefined;
  if (word === "true" || word === "false") return word === "true" ? 1 : 0;
  const number = typeof value === "number" ? value : word === "" ? Number.NaN : Number(word);
  if (typeof value === "number" && Number.isNaN(value)) return undefined;
  if (!Number.isFinite(number)) {
    throw new BadRow(`${what} must be a number, not ${excerpt(String(value)).slice(0, 40)}`);
  }
  return number;
}

/** Drops what is undefined, so that optional fields stay absent. */
export function defined<T extends Record<string, number | undefined>>(
  fields: T,
): { [K in keyof T]?: number } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: number;
  };
}

export function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
