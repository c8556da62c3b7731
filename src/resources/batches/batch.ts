/** A batch as it is stored and as the API shows it. Source: OpenAI's `Batch`. */
import type { Caller } from "../../domain/call.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { StoredRecord } from "../../storage/record-store.ts";
import type { BatchTally } from "./batch-output.ts";
import type { BatchProblem } from "./request-line.ts";

export type BatchStatus =
  | "validating"
  | "failed"
  | "in_progress"
  | "finalizing"
  | "completed"
  | "expired"
  | "cancelling"
  | "cancelled";

/** The record's value. Times are seconds since the epoch, as the API has them. */
export interface BatchState extends JsonObject {
  readonly status: BatchStatus;
  readonly endpoint: string;
  readonly input_file_id: string;
  readonly completion_window: string;
  readonly metadata: JsonObject | null;
  readonly caller: JsonObject;
  readonly expires_at: number;
  readonly total: number;
}

export const batchKind = "batch";
/** Tags: those that still want work, and those that do not. */
export const openTag = "open";
export const doneTag = "done";

export const stateOf = ({ value }: StoredRecord) => value as BatchState;

export function callerOfBatch({ caller }: BatchState): Caller {
  return {
    id: String(caller["id"]),
    tenant: String(caller["tenant"]),
    admin: caller["admin"] === true,
  };
}

export function toBatchObject({ id, createdMs, value }: StoredRecord): JsonObject {
  const { status, endpoint, input_file_id, completion_window, metadata, total } = value;
  const optional = [
    ...["model", "errors", "output_file_id", "error_file_id", "in_progress_at", "expires_at"],
    ...["finalizing_at", "completed_at", "failed_at", "expired_at", "cancelling_at"],
    ...["cancelled_at", "usage", "cost_usd"],
  ];
  const counts = isObject(value["counts"]) ? value["counts"] : {};
  return {
    id,
    object: "batch",
    endpoint,
    input_file_id,
    completion_window,
    status,
    created_at: Math.floor(createdMs / 1000),
    request_counts: {
      total,
      completed: Number(counts["completed"] ?? 0),
      failed: Number(counts["failed"] ?? 0),
    },
    metadata: metadata ?? null,
    ...Object.fromEntries(
      optional.map((name) => [name, value[name]]).filter(([, held]) => held !== undefined),
    ),
  };
}

/** What a batch has come to so far, in the API's words. */
export function progressOf(tally: BatchTally): JsonObject {
  const { completed, failed, inputTokens, cachedTokens, outputTokens, reasoningTokens } = tally;
  return {
    counts: { completed, failed },
    usage: {
      input_tokens: inputTokens,
      input_tokens_details: { cached_tokens: cachedTokens },
      output_tokens: outputTokens,
      output_tokens_details: { reasoning_tokens: reasoningTokens },
      total_tokens: inputTokens + outputTokens,
    },
    cost_usd: Number(tally.costUsd.toFixed(6)),
  };
}

export const problemsOf = (problems: readonly BatchProblem[]): JsonObject => ({
  object: "list",
  data: problems,
});
