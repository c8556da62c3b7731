/**
 * A batch from its input to its output files: judged, then asked line by line beside the live
 * traffic, then laid down. Every step may be cut off and is gone on with by whoever finds it next.
 */
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { Services } from "../../pipeline/services.ts";
import { sleep } from "../../std/clock.ts";
import { readLines } from "../../std/lines.ts";
import type { RecordStore, StoredRecord } from "../../storage/record-store.ts";
import type { Files } from "../files/files.ts";
import {
  type BatchStatus,
  batchKind,
  callerOfBatch,
  doneTag,
  openTag,
  problemsOf,
  progressOf,
  stateOf,
} from "./batch.ts";
import { type BatchOutput, openBatchOutput, removeBatchOutput } from "./batch-output.ts";
import { batchEndpoints, inputLimits, judgeInput, parseLine } from "./request-line.ts";
import { runLine, toExpired } from "./run-line.ts";

export interface BatchWork {
  readonly records: RecordStore;
  readonly files: Files;
  readonly folder: string;
  readonly services: () => Services;
}

/** Asked to stop: by the caller's cancel, or by the end of the process. */
export interface BatchStop {
  readonly signal: AbortSignal;
  /** Whether the record is to say so; otherwise it is gone on with later. */
  readonly cancelled: () => boolean;
}

const tellEveryMs = 2_000;
const yieldMs = 100;

/** Resolves when nothing is left to do, or the signal has come. @throws GatewayError storage_failed */
export async function runBatch(id: string, work: BatchWork, stop: BatchStop): Promise<void> {
  let record = await work.records.get(batchKind, id);
  if (record && stateOf(record).status === "validating") record = await judge(record, work);
  if (!record || record.tag === doneTag) return;
  const output = await openBatchOutput(work.folder, id);
  try {
    const { status } = stateOf(record);
    if (status === "in_progress") await askAll(record, output, work, stop);
    if (stop.signal.aborted && !stop.cancelled()) {
      await tell(record, progressOf(output.tally), work);
      return;
    }
    await finish(record, output, work, stop.cancelled() || status === "cancelling");
  } finally {
    await output.close();
  }
}

async function judge(record: StoredRecord, work: BatchWork): Promise<StoredRecord | undefined> {
  const state = stateOf(record);
  const { batches } = work.services().config.routeiq;
  try {
    const { blob } = await work.files.open(state.input_file_id, callerOfBatch(state));
    const options = { endpoint: state.endpoint, maxRequests: batches.maxRequests };
    const { total, model, problems } = await judgeInput(blob.content, options);
    if (problems.length > 0) return await fail(record, problemsOf(problems), work);
    const more = { total, ...(model === undefined ? {} : { model }) };
    return await move(record, "in_progress", more, work, ["validating"]);
  } catch (thrown) {
    const error = toGatewayError(thrown);
    if (error.code !== "not_found") throw thrown;
    const problem = {
      code: error.code,
      message: error.message,
      line: null,
      param: "input_file_id",
    };
    return await fail(record, problemsOf([problem]), work);
  }
}

const fail = (record: StoredRecord, errors: JsonObject, work: BatchWork) =>
  move(record, "failed", { errors }, work, ["validating"]);

/** A step of its life, with the time at which it came; never back, and never over a cancel. */
async function move(
  { id }: StoredRecord,
  status: BatchStatus,
  more: JsonObject,
  { records, services }: BatchWork,
  from: readonly BatchStatus[],
): Promise<StoredRecord | undefined> {
  const atS = Math.floor(services().clock.now() / 1000);
  const isOver = /^(failed|completed|expired|cancelled)$/.test(status);
  return records.update(batchKind, id, (held) =>
    from.includes(stateOf(held).status)
      ? {
          value: { ...held.value, ...more, status, [`${status}_at`]: atS },
          tag: isOver ? doneTag : openTag,
        }
      : undefined,
  );
}

async function tell({ id }: StoredRecord, progress: JsonObject, { records }: BatchWork) {
  await records.update(batchKind, id, ({ value }) => ({ value: { ...value, ...progress } }));
}

/** So many at once, as long as live traffic leaves room; in the input's order of beginnings. */
async function askAll(
  record: StoredRecord,
  output: BatchOutput,
  work: BatchWork,
  { signal }: BatchStop,
): Promise<void> {
  const state = stateOf(record);
  const endpoint = batchEndpoints[state.endpoint];
  if (!endpoint) return;
  const caller = callerOfBatch(state);
  const { blob } = await work.files.open(state.input_file_id, caller);
  const lines = readLines(blob.content, inputLimits.lineBytes);
  const untilMs = state.expires_at * 1000;
  const { clock } = work.services();
  let own = 0;
  let failure: unknown;

  const hasRoom = () => {
    const { activity, config } = work.services();
    return !activity.draining && activity.count - own < config.routeiq.batches.yieldAbove;
  };
  const isOver = () => failure !== undefined || signal.aborted || clock.now() >= untilMs;

  const worker = async () => {
    while (!isOver()) {
      if (!hasRoom()) {
        await sleep(clock, yieldMs, signal).catch(() => undefined);
        continue;
      }
      const { value: next } = await lines.next();
      if (!next) return;
      const line = parseLine(next.text, next.number, state.endpoint);
      if (output.has(line.customId)) continue;
      own += 1;
      try {
        const { priority } = work.services().config.routeiq.batches;
        const of = { line, endpoint, caller, services: work.services, signal, priority, untilMs };
        const { text, failed, usage } = await runLine(of);
        await output.add(line.customId, text, failed, usage);
      } catch (thrown) {
        if (!signal.aborted) failure ??= thrown;
        return;
      } finally {
        own -= 1;
      }
    }
  };
  const stopTelling = tellOften(record, output, work);
  try {
    const { concurrency } = work.services().config.routeiq.batches;
    await Promise.all(Array.from({ length: concurrency }, worker));
  } finally {
    stopTelling();
    await lines.return(undefined);
  }
  if (failure !== undefined) throw failure;
}

function tellOften(record: StoredRecord, output: BatchOutput, work: BatchWork): () => void {
  const { clock, onInternalFailure } = work.services();
  let stop = clock.after(tellEveryMs, again);
  function again(): void {
    tell(record, progressOf(output.tally), work).catch(onInternalFailure);
    stop = clock.after(tellEveryMs, again);
  }
  return () => stop();
}

/** What there is is laid down, whether all was asked or not: it has been paid for. */
async function finish(
  record: StoredRecord,
  output: BatchOutput,
  work: BatchWork,
  cancelled: boolean,
): Promise<void> {
  const { id } = record;
  const state = stateOf(record);
  const { completed, failed } = output.tally;
  const whole = completed + failed >= state.total && state["expired_at"] === undefined;
  if (!cancelled && whole) await move(record, "finalizing", {}, work, ["in_progress"]);
  if (!cancelled && !whole) await expire(record, output, work);
  const progress = progressOf(output.tally);
  const held = await work.records.get(batchKind, id);
  if (!held) return;
  const outputs = await layDown(held, output, work);
  const end = cancelled ? "cancelled" : whole ? "completed" : "expired";
  const from: readonly BatchStatus[] = ["in_progress", "finalizing", "cancelling"];
  await move(record, end, { ...progress, ...outputs }, work, from);
  await removeBatchOutput(work.folder, id);
}

/** Requests that its time did not suffice for are named among the failures, as OpenAI does. */
async function expire(record: StoredRecord, output: BatchOutput, work: BatchWork): Promise<void> {
  const state = stateOf(record);
  const nowMs = work.services().clock.now();
  if (nowMs < state.expires_at * 1000) {
    throw new GatewayError(
      "internal",
      `Batch ${record.id} ended with requests that were not asked.`,
    );
  }
  // Said first: after a crash in the middle of the lines it has expired all the same.
  await tell(record, { expired_at: Math.floor(nowMs / 1000) }, work);
  const { blob } = await work.files.open(state.input_file_id, callerOfBatch(state));
  for await (const { text, number } of readLines(blob.content, inputLimits.lineBytes)) {
    const { customId } = parseLine(text, number, state.endpoint);
    if (output.has(customId)) continue;
    const { text: line, usage } = toExpired(customId);
    await output.add(customId, line, true, usage);
  }
}

const outputNames = [
  ["answers", "output_file_id", "output"],
  ["failures", "error_file_id", "error"],
] as const;

/** Files that were made before a crash are named in the record already. */
async function layDown(
  record: StoredRecord,
  output: BatchOutput,
  work: BatchWork,
): Promise<JsonObject> {
  const state = stateOf(record);
  const ids: Record<string, string> = {};
  for (const [which, field, name] of outputNames) {
    const known = state[field];
    const content = output.read(which);
    if (typeof known === "string" || !content) continue;
    const file = await work.files.create({
      caller: callerOfBatch(state),
      filename: `${record.id}_${name}.jsonl`,
      content,
      told: () => ({ purpose: "batch_output" }),
    });
    ids[field] = String(file["id"]);
    await tell(record, { [field]: file["id"] ?? null }, work);
  }
  return ids;
}
