/** Labelling's work: so many at a time, until there is none left, no money, or nobody wants it. */
import { GatewayError } from "../../domain/errors.ts";

/** What became of one piece. */
export type Done = "done" | "skipped" | "no money";

export interface WorkReport {
  readonly done: number;
  readonly skipped: number;
  readonly failed: number;
  /** The first reasons, each once. */
  readonly failures: readonly string[];
  readonly stopped: "finished" | "no money" | "interrupted" | "too many failures";
}

/** So many failures in a row mean that the endpoint, not the piece, is at fault. */
const failuresInARow = 8;
const failuresTold = 5;

export async function workThrough<T>(
  items: readonly T[],
  one: (item: T) => Promise<Done>,
  options: {
    readonly concurrency: number;
    readonly signal: AbortSignal;
    readonly onProgress: (handled: number) => void;
  },
): Promise<WorkReport> {
  const tally = { done: 0, skipped: 0, failed: 0 };
  const failures = new Set<string>();
  let next = 0;
  let inARow = 0;
  let stopped: WorkReport["stopped"] = "finished";
  const worker = async () => {
    while (next < items.length && stopped === "finished") {
      const item = items[next++] as T;
      if (options.signal.aborted) {
        stopped = "interrupted";
        return;
      }
      try {
        const done = await one(item);
        inARow = 0;
        if (done === "no money") stopped = "no money";
        else tally[done]++;
      } catch (error) {
        if (options.signal.aborted) {
          stopped = "interrupted";
          return;
        }
        // One bad answer must not end the run; each is counted, and the reasons are told.
        if (!(error instanceof GatewayError)) throw error;
        tally.failed++;
        if (failures.size < failuresTold) failures.add(error.message);
        if (error.code === "invalid_api_key") throw error;
        if (++inARow >= failuresInARow) stopped = "too many failures";
      }
      options.onProgress(tally.done + tally.skipped + tally.failed);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  return { ...tally, failures: [...failures], stopped };
}
