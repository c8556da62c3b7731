/** The operator's log: a JSON line per event on standard error, or words where a person reads. */
import { redactText, redactValue } from "../security/redact.ts";
import type { Clock } from "../std/clock.ts";
import type { LogLevel, Telemetry } from "./telemetry.ts";

export interface LogOptions {
  readonly clock: Clock;
  /** Writes one line, its end included. */
  readonly write: (line: string) => void;
  /** Lines below it are not written. Default "info". */
  readonly level?: LogLevel;
  /** `pretty` for a terminal. */
  readonly format: "json" | "pretty";
}

const order: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };
/** A line is cut past this. */
const lineCharLimit = 16_384;
/** Lines a second at most, so that a storm of failures fills neither disk nor memory. */
export const lineRateLimit = 200;

export function isLogLevel(word: string): word is LogLevel {
  return Object.hasOwn(order, word);
}

/**
 * Every text is scrubbed of what looks like a secret, values of secret names are left out, and a
 * line break in a value cannot begin a line of its own.
 */
export function createLog(options: LogOptions): Telemetry["log"] {
  const least = order[options.level ?? "info"];
  const format = options.format === "pretty" ? toPretty : toJson;
  let second = 0;
  let lines = 0;

  function write(level: LogLevel, message: string, fields: Record<string, unknown>): void {
    const time = new Date(options.clock.now()).toISOString();
    const line = format(time, level, message, fields);
    options.write(`${line.length > lineCharLimit ? `${line.slice(0, lineCharLimit)}…` : line}\n`);
  }

  /** False past the rate; what was left out is said when the next second has a line. */
  function mayWrite(): boolean {
    const now = Math.floor(options.clock.now() / 1000);
    if (now !== second) {
      const left = lines - lineRateLimit;
      second = now;
      lines = 0;
      if (left > 0) write("warn", `${left} log lines were left out`, { limitPerS: lineRateLimit });
    }
    return ++lines <= lineRateLimit;
  }

  return (level, message, fields = {}) => {
    if (order[level] < least || !mayWrite()) return;
    write(level, redactText(message), redactValue(plainFields(fields)) as Record<string, unknown>);
  };
}

function toJson(time: string, level: LogLevel, message: string, fields: Record<string, unknown>) {
  // Ours come first and cannot be overwritten by a field of the same name.
  const { time: _1, level: _2, message: _3, ...rest } = fields;
  return JSON.stringify({ time, level, message, ...rest });
}

const colours: Readonly<Record<LogLevel, string>> = {
  debug: "\u001b[2m",
  info: "\u001b[36m",
  warn: "\u001b[33m",
  error: "\u001b[31m",
};

function toPretty(time: string, level: LogLevel, message: string, fields: Record<string, unknown>) {
  const pairs = Object.entries(fields).map(([name, value]) => {
    const text = typeof value === "string" && /^[\w./:@+-]+$/.test(value);
    return ` \u001b[2m${name}=\u001b[0m${text ? value : JSON.stringify(value)}`;
  });
  const clean = message.replace(/\p{Cc}/gu, " ");
  return `${time.slice(11, 19)} ${colours[level]}${level.padEnd(5)}\u001b[0m ${clean}${pairs.join("")}`;
}

function plainFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const plain = Object.entries(fields).map(([name, value]) => [name, toPlain(value)]);
  return Object.fromEntries(plain.filter(([, value]) => value !== undefined));
}

function toPlain(value: unknown): unknown {
  if (value instanceof Error) return describeError(value, 0);
  if (typeof value === "bigint") return String(value);
  if (value instanceof Date) return value.toISOString();
  return value;
}

/** Message, code and causes; the stack where it is a bug of ours (no code). */
function describeError(error: Error, depth: number): Record<string, unknown> {
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const { cause } = error;
  return {
    name: error.name,
    message: error.message,
    ...(code === undefined ? { stack: error.stack?.slice(0, 4_000) } : { code }),
    ...(cause instanceof Error && depth < 4 && { cause: describeError(cause, depth + 1) }),
  };
}
