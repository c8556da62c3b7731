/**
 * What a batch has answered so far, on disk: a line each, written whole and in the order of their
 * ends. After a crash the lines say what need not be asked again; one that was cut off is dropped.
 */
import { type FileHandle, mkdir, open, rm, truncate } from "node:fs/promises";
import { join } from "node:path";
import { isObject, type JsonObject } from "../../domain/json.ts";
import { readLines } from "../../std/lines.ts";
import { blobPartBytes } from "../../storage/blob-store.ts";

export interface BatchTally {
  completed: number;
  failed: number;
  inputTokens: number;
  cachedTokens: number;
  outputTokens: number;
  reasoningTokens: number;
  costUsd: number;
}

/** What one line cost; counted again from the line itself after a crash. */
export interface LineUsage {
  readonly inputTokens: number;
  readonly cachedTokens: number;
  readonly outputTokens: number;
  readonly reasoningTokens: number;
  readonly costUsd: number;
}

export interface BatchOutput {
  readonly tally: BatchTally;
  has(customId: string): boolean;
  /** Durable once it resolves, but for a crash of the machine. */
  add(customId: string, line: string, failed: boolean, usage: LineUsage): Promise<void>;
  /** The lines of answers, or those of failures; undefined where there are none. */
  read(which: "answers" | "failures"): AsyncIterable<Uint8Array> | undefined;
  close(): Promise<void>;
}

const lineLimitBytes = 64 * 1024 * 1024;

export async function openBatchOutput(folder: string, id: string): Promise<BatchOutput> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const paths = batchPaths(folder, id);
  const done = new Set<string>();
  const tally: BatchTally = {
    completed: 0,
    failed: 0,
    inputTokens: 0,
    cachedTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    costUsd: 0,
  };
  const count = (failed: boolean, usage: LineUsage) => {
    tally[failed ? "failed" : "completed"] += 1;
    tally.inputTokens += usage.inputTokens;
    tally.cachedTokens += usage.cachedTokens;
    tally.outputTokens += usage.outputTokens;
    tally.reasoningTokens += usage.reasoningTokens;
    tally.costUsd += usage.costUsd;
  };
  for (const which of ["answers", "failures"] as const) {
    await recount(paths[which], (line) => {
      const customId = line["custom_id"];
      if (typeof customId !== "string" || done.has(customId)) return;
      done.add(customId);
      count(which === "failures", usageOf(line));
    });
  }
  const files = {
    answers: await open(paths.answers, "a", 0o600),
    failures: await open(paths.failures, "a", 0o600),
  };
  return {
    tally,
    has: (customId) => done.has(customId),
    async add(customId, line, failed, usage) {
      done.add(customId);
      await files[failed ? "failures" : "answers"].appendFile(`${line}\n`);
      count(failed, usage);
    },
    read(which) {
      const lines = which === "failures" ? tally.failed : tally.completed;
      return lines === 0 ? undefined : readFile(paths[which]);
    },
    async close() {
      for (const file of Object.values(files)) {
        await file.sync();
        await file.close();
      }
    },
  };
}

/** Its result lies with the files now. */
export async function removeBatchOutput(folder: string, id: string): Promise<void> {
  for (const path of Object.values(batchPaths(folder, id))) await rm(path, { force: true });
}

const batchPaths = (folder: string, id: string) => ({
  answers: join(folder, `${id}.answers.jsonl`),
  failures: join(folder, `${id}.failures.jsonl`),
});

/** Tells every whole line, and cuts off what a crash left of one. */
async function recount(path: string, tell: (line: JsonObject) => void): Promise<void> {
  const file = Bun.file(path);
  if (!(await file.exists())) return;
  const whole = await wholeBytes(path, file.size);
  if (whole < file.size) await truncate(path, whole);
  for await (const { text } of readLines(readFile(path), lineLimitBytes)) {
    const line: unknown = JSON.parse(text); // written by us, whole
    if (isObject(line)) tell(line);
  }
}

/** Up to the last end of a line. */
async function wholeBytes(path: string, size: number): Promise<number> {
  const file = await open(path, "r");
  try {
    for (let end = size; end > 0; ) {
      const start = Math.max(0, end - blobPartBytes);
      const part = await readPart(file, start, end - start);
      const at = part.lastIndexOf(10);
      if (at >= 0) return start + at + 1;
      end = start;
    }
    return 0;
  } finally {
    await file.close();
  }
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const file = await open(path, "r");
  try {
    for (let at = 0; ; ) {
      const part = await readPart(file, at, blobPartBytes);
      if (part.length === 0) return;
      at += part.length;
      yield part;
    }
  } finally {
    await file.close();
  }
}

async function readPart(file: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const part = new Uint8Array(length);
  const { bytesRead } = await file.read(part, 0, length, at);
  return part.subarray(0, bytesRead);
}

/** Of a line that we wrote: `usage` beside the response. */
function usageOf({ usage }: JsonObject): LineUsage {
  const told = isObject(usage) ? usage : {};
  const number = (name: string) => Number(told[name] ?? 0);
  return {
    inputTokens: number("input_tokens"),
    cachedTokens: number("cached_tokens"),
    outputTokens: number("output_tokens"),
    reasoningTokens: number("reasoning_tokens"),
    costUsd: number("cost_usd"),
  };
}
