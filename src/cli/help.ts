/** Help texts, made from what the commands declare. */
import type { Command, Flag } from "./command.ts";
import { globalFlags } from "./parse.ts";

/** One command's help. */
export function commandHelp(command: Command): string {
  const args = Object.entries(command.args ?? {});
  const flags = Object.entries({ ...command.flags, ...globalFlags });
  const usage = ["routeiq", command.name, ...args.map(([name]) => name), "[flags]"].join(" ");
  return [
    command.summary,
    "",
    `Usage: ${usage}`,
    ...(args.length > 0 ? ["", "Arguments:", ...table(args)] : []),
    "",
    "Flags:",
    ...table(flags.map(([name, flag]) => [flagForm(name, flag), flag.description])),
    "",
    "Example:",
    ...command.example.split("\n").map((line) => `  ${line}`),
  ].join("\n");
}

/** The list of commands; with `group`, those of one family (`models`). */
export function overviewHelp(commands: readonly Command[], group?: string): string {
  const shown = group ? commands.filter(({ name }) => name.startsWith(`${group} `)) : commands;
  return [
    group
      ? `Usage: routeiq ${group} <command> [flags]`
      : "RouteIQ: an AI gateway that learns which model answers best for the money.\n\n" +
        "Usage: routeiq [command] [flags]        without a command: serve",
    "",
    "Commands:",
    ...table(shown.map(({ name, summary }) => [name, summary])),
    "",
    `\`routeiq ${group ? `${group} ` : ""}<command> --help\` tells more. ` +
      "Exit codes: 0 ok, 1 failed, 2 wrong usage.",
  ].join("\n");
}

/** `-c, --config FILE`, `--data FILE…`. */
export function flagForm(name: string, flag: Flag): string {
  const short = flag.short ? `-${flag.short}, ` : "";
  const value = flag.value ? ` ${flag.value}${flag.many ? "…" : ""}` : "";
  return `${short}--${name}${value}`;
}

function table(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.min(30, Math.max(...rows.map(([left]) => left.length)));
  return rows.map(([left, right]) => {
    const indent = `\n${" ".repeat(width + 4)}`;
    const gap = left.length > width ? indent : " ".repeat(width - left.length + 2);
    return `  ${left}${gap}${right.split("\n").join(indent)}`;
  });
}
