/** What a command says, on a terminal, without one, and with `--json`. */
import { expect, test } from "bun:test";
import type { Output } from "./command.ts";
import { createOutput } from "./output.ts";

function check(options: { terminal: boolean; json: boolean }, speak: (out: Output) => void) {
  const written = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write: (text: string) => {
      written[name] += text;
    },
    isTTY: options.terminal,
    columns: 60,
  });
  speak(createOutput(sink("stdout"), sink("stderr"), options.json));
  return written;
}

const speakAll = (out: Output) => {
  out.progress("training", 0);
  out.progress("training", 0.05);
  out.progress("training", 0.5);
  out.line("half");
  out.note("watch out");
  out.json({ done: true });
  out.progress("training", 1);
};

test("without a terminal progress is plain lines, at most one per ten percent", () => {
  expect(check({ terminal: false, json: false }, speakAll)).toEqual({
    stdout: "half\n",
    stderr: "training: 0 %\ntraining: 50 %\nwatch out\ntraining: 100 %\n",
  });
});

test("with --json there is JSON on stdout and only notes beside it", () => {
  const expected = { stdout: '{"done":true}\n', stderr: "watch out\n" };
  expect(check({ terminal: false, json: true }, speakAll)).toEqual(expected);
  expect(check({ terminal: true, json: true }, speakAll)).toEqual(expected);
});

test("on a terminal a bar is redrawn in place, and taken away before a line", () => {
  const { stdout, stderr } = check({ terminal: true, json: false }, speakAll);
  expect(stdout).toBe("half\n");
  expect(stderr).toContain(`\r\x1b[K${"█".repeat(14)}${"░".repeat(14)}  50 %  training\r\x1b[K`);
  expect(stderr.endsWith("100 %  training\n")).toBe(true);
});
