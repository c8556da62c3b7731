/** Command lines that cannot work: they end at once, with what is wrong and the way out. */
import { expect, test } from "bun:test";
import { commands, defaultCommand } from "./registry.ts";
import { runCommandLine } from "./run.ts";

const cases = [
  // [words, exit code, what is said]
  [["trian"], 2, 'Did you mean "train"?'],
  [["train", "--out", "/nowhere/r", "--strategy", "llmrouter-kn"], 1, "nearest: llmrouter-knn"],
  [["models", "import", "/nowhere/x.pkl", "--out", "/nowhere/r"], 1, "x.pkl does not exist"],
  [["models", "status", "--url", "http://127.0.0.1:1"], 1, "Start it with `routeiq serve`"],
  [["skills", "install-python", "--from", "/nowhere/py"], 2, "/nowhere/py does not exist"],
  [["skills", "install-python", "--from", import.meta.path], 1, "the npm package pyodide"],
] as const;

test.each(cases)("%p", async (words, code, said) => {
  const told: string[] = [];
  const sink = { write: (text: string) => void told.push(text), isTTY: false };
  const ended = await runCommandLine({
    words: [...words],
    commands,
    defaultCommand,
    stdout: sink,
    stderr: sink,
    env: {},
    signal: new AbortController().signal,
  });
  expect(told.join("")).toContain(said);
  expect(told.join("")).not.toContain("unexpected failure");
  expect(ended).toBe(code);
});
