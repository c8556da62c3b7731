/** How a command speaks: lines, JSON, and a progress bar where there is a terminal to draw it on. */
import type { Output } from "./command.ts";

/** What is needed of `process.stdout` and `process.stderr`. */
export interface TextSink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

const barWidth = 28;
/** Without a terminal a step speaks once per so many percent. */
const plainStepPercent = 10;

/** Writes at once; `stderr` carries notes and progress, so that stdout stays clean for pipes. */
export function createOutput(stdout: TextSink, stderr: TextSink, json: boolean): Output {
  const terminal = stderr.isTTY === true && !json;
  let drawn = "";
  let plain = { label: "", percent: -1 };

  const clearBar = () => {
    if (drawn !== "") stderr.write("\r\x1b[K");
    drawn = "";
  };
  const drawBar = (label: string, share: number) => {
    const filled = Math.round(share * barWidth);
    const bar = "█".repeat(filled) + "░".repeat(barWidth - filled);
    const text = `${bar} ${percentOf(share).toString().padStart(3)} %  ${label}`;
    const next = text.slice(0, Math.max(20, (stderr.columns ?? 80) - 1));
    if (next !== drawn) stderr.write(`\r\x1b[K${next}`);
    drawn = next;
    if (share < 1) return;
    stderr.write("\n");
    drawn = "";
  };
  const tellPlainly = (label: string, share: number) => {
    const percent = percentOf(share);
    const started = label !== plain.label;
    if (
      !started &&
      percent < plain.percent + plainStepPercent &&
      !(percent === 100 && plain.percent < 100)
    ) {
      return;
    }
    plain = { label, percent };
    stderr.write(`${label}: ${percent} %\n`);
  };

  return {
    terminal,
    line(text) {
      if (json) return;
      clearBar();
      stdout.write(`${text}\n`);
    },
    json(value) {
      if (json) stdout.write(`${JSON.stringify(value)}\n`);
    },
    note(text) {
      clearBar();
      stderr.write(`${text}\n`);
    },
    progress(label, share) {
      const held = Math.min(1, Math.max(0, share));
      if (json) return;
      if (terminal) drawBar(label, held);
      else tellPlainly(label, held);
    },
  };
}

/** Whole percent, rounded down, so that 100 means done. */
const percentOf = (share: number) => Math.floor(share * 100 + 1e-9);
