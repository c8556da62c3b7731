/** Words of a command line to a command's arguments and flags. Pure; every complaint is a UsageError. */
import { findNearest } from "../std/nearest.ts";
import type { Command, CommandContext, Flag } from "./command.ts";

/** The command line itself is wrong: printed without a stack, exit code 2. */
export class UsageError extends Error {}

/** Flags that every command has. */
export const globalFlags: Readonly<Record<string, Flag>> = {
  help: { description: "Show this help.", short: "h" },
  json: { description: "Write JSON for machines instead of text." },
};

/** Which command a line means, and the words left for it. `name` is undefined for no command. */
export function findCommand(
  words: readonly string[],
  names: readonly string[],
): { readonly name: string | undefined; readonly rest: readonly string[] } {
  const [first, second] = words;
  if (first === undefined || first.startsWith("-")) return { name: undefined, rest: words };
  if (second !== undefined && names.includes(`${first} ${second}`)) {
    return { name: `${first} ${second}`, rest: words.slice(2) };
  }
  if (names.includes(first)) return { name: first, rest: words.slice(1) };
  const group = names.filter((name) => name.startsWith(`${first} `));
  if (group.length > 0) throw unknownInGroup(first, second, group);
  throw new UsageError(`unknown command "${first}".${hint(first, names)}`);
}

function unknownInGroup(first: string, second: string | undefined, group: readonly string[]) {
  const list = group.map((name) => name.slice(first.length + 1)).join(", ");
  if (second === undefined || second.startsWith("-")) {
    return new UsageError(`"${first}" needs one of: ${list}.`);
  }
  const near = findNearest(`${first} ${second}`, group);
  const meant = near ? ` Did you mean "${near}"?` : "";
  return new UsageError(`unknown command "${first} ${second}".${meant} There are: ${list}.`);
}

/** @throws UsageError for an unknown flag, a missing or surplus value, missing or surplus arguments. */
export function parseWords(
  command: Command,
  words: readonly string[],
): Pick<CommandContext, "args" | "flags"> {
  const known: Readonly<Record<string, Flag>> = { ...command.flags, ...globalFlags };
  const flags: Record<string, string | boolean | readonly string[]> = {};
  const args: string[] = [];
  let index = 0;
  while (index < words.length) {
    const word = words[index++] ?? "";
    if (word === "--") {
      args.push(...words.slice(index));
      break;
    }
    if (!isFlag(word)) {
      args.push(word);
      continue;
    }
    const { name, flag, inline } = readFlag(word, known);
    const values = inline === undefined ? [] : [inline];
    if (flag.value === undefined) {
      flags[name] = switchValue(name, inline);
      continue;
    }
    const most = flag.many ? Number.POSITIVE_INFINITY : 1;
    while (values.length < most && index < words.length && !isFlag(words[index] ?? "")) {
      values.push(words[index++] ?? "");
    }
    if (values.length === 0)
      throw new UsageError(`--${name} needs a value: --${name} ${flag.value}`);
    flags[name] = join(name, flag, flags[name], values);
  }
  if (flags["help"] !== true) checkArgs(command, args);
  return { args, flags };
}

/** `-`, alone, is standard input; `-5` is a number. */
const isFlag = (word: string) => /^-[^\d.]/.test(word);

function readFlag(word: string, known: Readonly<Record<string, Flag>>) {
  const [, dashes = "", written = "", , inline] = /^(--?)([^=]*)(=([\s\S]*))?$/.exec(word) ?? [];
  const name =
    dashes === "--"
      ? written
      : Object.keys(known).find((candidate) => known[candidate]?.short === written);
  const flag = name === undefined ? undefined : Object.hasOwn(known, name) && known[name];
  if (name === undefined || !flag) {
    throw new UsageError(
      `unknown flag "${dashes}${written}".${hint(written, Object.keys(known), "--")}`,
    );
  }
  return { name, flag, inline };
}

function switchValue(name: string, inline: string | undefined): boolean {
  if (inline === undefined || inline === "true") return true;
  if (inline === "false") return false;
  throw new UsageError(`--${name} takes no value (or =true, =false).`);
}

function join(
  name: string,
  flag: Flag,
  before: string | boolean | readonly string[] | undefined,
  values: readonly string[],
): string | readonly string[] {
  if (flag.many || flag.repeat) return [...(Array.isArray(before) ? before : []), ...values];
  if (before !== undefined) throw new UsageError(`--${name} is given twice.`);
  return values[0] ?? "";
}

function checkArgs(command: Command, args: readonly string[]): void {
  const names = Object.keys(command.args ?? {});
  const required = names.filter((name) => !name.startsWith("["));
  const open = names.some((name) => /…\]?$/.test(name));
  if (args.length < required.length) {
    throw new UsageError(`"${command.name}" needs ${required.slice(args.length).join(" ")}.`);
  }
  if (!open && args.length > names.length) {
    throw new UsageError(`"${command.name}" does not take "${args[names.length]}".`);
  }
}

function hint(name: string, known: readonly string[], prefix = ""): string {
  const near = findNearest(name, known);
  return near ? ` Did you mean "${prefix}${near}"?` : "";
}
