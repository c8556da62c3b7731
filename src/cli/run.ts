/** A command line from its words to an exit code: find, parse, help, run, and one clear line on failure. */
import { GatewayError } from "../domain/errors.ts";
import type { CommandContext } from "./command.ts";
import { commandHelp, overviewHelp } from "./help.ts";
import { createOutput, type TextSink } from "./output.ts";
import { findCommand, parseWords, UsageError } from "./parse.ts";
import type { CommandRegistry } from "./registry.ts";

export interface RunOptions {
  readonly words: readonly string[];
  readonly commands: CommandRegistry;
  readonly defaultCommand: string;
  readonly stdout: TextSink;
  readonly stderr: TextSink;
  readonly env: CommandContext["env"];
  readonly signal: AbortSignal;
}

/** 0 ok, 1 failed, 2 wrong usage, 130 interrupted. Never rejects. */
export async function runCommandLine(options: RunOptions): Promise<number> {
  const { stderr, env, signal } = options;
  try {
    return await dispatch(options);
  } catch (thrown) {
    if (thrown instanceof UsageError) {
      stderr.write(`routeiq: ${thrown.message}\nTry "routeiq --help".\n`);
      return 2;
    }
    if (signal.aborted && thrown === signal.reason) {
      stderr.write("routeiq: interrupted\n");
      return 130;
    }
    stderr.write(`${describe(thrown, Boolean(env["ROUTEIQ_DEBUG"]))}\n`);
    return 1;
  }
}

async function dispatch(options: RunOptions): Promise<number> {
  const { commands, stdout, stderr, env, signal } = options;
  const words = normalise(options.words, commands);
  const names = Object.keys(commands);
  if (isOverview(words, names)) {
    const group = words[0]?.startsWith("-") ? undefined : words[0];
    const loaded = await Promise.all(Object.values(commands).map((load) => load()));
    stdout.write(`${overviewHelp(loaded, group)}\n`);
    return 0;
  }
  const { name = options.defaultCommand, rest } = findCommand(words, names);
  const load = commands[name];
  if (!load) throw new UsageError(`unknown command "${name}".`);
  const command = await load();
  const { args, flags } = parseWords(command, rest);
  if (flags["help"] === true) {
    stdout.write(`${commandHelp(command)}\n`);
    return 0;
  }
  const out = createOutput(stdout, stderr, flags["json"] === true);
  return command.run({ args, flags, out, env, signal });
}

/** `help train` is `train --help`; `--version` and `-v` are `version`. */
function normalise(words: readonly string[], commands: CommandRegistry): readonly string[] {
  const [first, ...rest] = words;
  if (first === "help" && !Object.hasOwn(commands, "help")) return [...rest, "--help"];
  if (first === "--version" || first === "-v") return ["version", ...rest];
  return words;
}

/** `--help` alone, or behind the first word of a family: `models --help`. */
function isOverview(words: readonly string[], names: readonly string[]): boolean {
  const [first, second] = words;
  if (first === "--help" || first === "-h") return true;
  if (second !== "--help" && second !== "-h") return false;
  return !names.includes(first ?? "") && names.some((name) => name.startsWith(`${first} `));
}

/** One line for a failure with a row in the table; its causes and the stack only on demand. */
function describe(thrown: unknown, debug: boolean): string {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (debug) return `routeiq: ${message}\n${Bun.inspect(thrown)}`;
  if (thrown instanceof GatewayError && thrown.code !== "internal") return `routeiq: ${message}`;
  const cause =
    thrown instanceof GatewayError && thrown.cause instanceof Error ? thrown.cause : thrown;
  const text = cause instanceof Error ? `${cause.name}: ${cause.message}` : message;
  return `routeiq: unexpected failure: ${text} (ROUTEIQ_DEBUG=1 shows where)`;
}
