/** The command line's grammar. */
import { describe, expect, test } from "bun:test";
import { defineCommand } from "./command.ts";
import { findCommand, parseWords, UsageError } from "./parse.ts";

const sample = defineCommand({
  name: "sample",
  summary: "",
  args: { FILE: "a file", "[MORE…]": "further files" },
  flags: {
    port: { description: "", value: "N", short: "p" },
    data: { description: "", value: "FILE", many: true },
    header: { description: "", value: "H", repeat: true },
    force: { description: "", short: "f" },
  },
  example: "",
  run: () => Promise.resolve(0),
});
const narrow = defineCommand({ ...sample, args: { "[FILE]": "a file" } });
const check = (line: string, command = sample) =>
  parseWords(command, line.split(" ").filter(Boolean));

describe("words to arguments and flags", () => {
  const cases: readonly [string, readonly string[], Record<string, unknown>][] = [
    ["a", ["a"], {}],
    ["--port 1 a", ["a"], { port: "1" }],
    ["a --port=1", ["a"], { port: "1" }],
    ["a -p 1 -f", ["a"], { port: "1", force: true }],
    ["a -p=1 --force=false", ["a"], { port: "1", force: false }],
    ["a --port -1", ["a"], { port: "-1" }],
    ["a b c", ["a", "b", "c"], {}],
    ["a --data x y z --force", ["a"], { data: ["x", "y", "z"], force: true }],
    ["a --data=x y --data z", ["a"], { data: ["x", "y", "z"] }],
    ["--header one a --header two", ["a"], { header: ["one", "two"] }],
    ["a --port=", ["a"], { port: "" }],
    ["a -- --port", ["a", "--port"], {}],
    ["- --json", ["-"], { json: true }],
    ["--help", [], { help: true }],
  ];
  test.each(cases)("%s", (line, args, flags) => {
    expect(check(line)).toEqual({ args, flags } as ReturnType<typeof check>);
  });

  const refused: readonly [string, string][] = [
    ["", '"sample" needs FILE.'],
    ["a --prot 1", 'unknown flag "--prot". Did you mean "--port"?'],
    ["a -x", 'unknown flag "-x".'],
    ["a --toString", 'unknown flag "--toString".'],
    ["a --port", "--port needs a value: --port N"],
    ["a --port --force", "--port needs a value: --port N"],
    ["a --port 1 -p 2", "--port is given twice."],
    ["a --force=maybe", "--force takes no value (or =true, =false)."],
  ];
  test.each(refused)("refused: %s", (line, message) => {
    expect(() => check(line)).toThrow(new UsageError(message));
  });

  test("surplus arguments are refused by name", () => {
    expect(() => check("a b", narrow)).toThrow(new UsageError('"sample" does not take "b".'));
    expect(check("", narrow).args).toEqual([]);
  });
});

describe("which command", () => {
  const names = ["serve", "models verify", "models list", "config check"];
  const cases: readonly [string, string | undefined, readonly string[]][] = [
    ["", undefined, []],
    ["--port 1", undefined, ["--port", "1"]],
    ["serve --port 1", "serve", ["--port", "1"]],
    ["models verify dir", "models verify", ["dir"]],
  ];
  test.each(cases)("%s", (line, name, rest) => {
    expect(findCommand(line.split(" ").filter(Boolean), names)).toEqual({ name, rest });
  });

  const refused: readonly [string, string][] = [
    ["sreve", 'unknown command "sreve". Did you mean "serve"?'],
    ["xyzzy", 'unknown command "xyzzy".'],
    ["models", '"models" needs one of: verify, list.'],
    [
      "models verfy",
      'unknown command "models verfy". Did you mean "models verify"? There are: verify, list.',
    ],
  ];
  test.each(refused)("refused: %s", (line, message) => {
    expect(() => findCommand(line.split(" "), names)).toThrow(new UsageError(message));
  });
});
