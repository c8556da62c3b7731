/**
 * Tasks in two revisions: of 2025-11-25 (a caller asks for one, its result has a method of its own) and
 * of the extension that 2026-07-28 has (the server decides, `tasks/get` brings the result).
 * Sources: https://modelcontextprotocol.io/specification/2025-11-25/basic/utilities/tasks and
 * https://github.com/modelcontextprotocol/ext-tasks
 */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode, type McpError } from "../sdk.ts";
import { metaOf, relatedTaskKey } from "../stateless/words.ts";

const ended: ReadonlySet<string> = new Set(["completed", "failed", "cancelled"]);
export const isEnded = ({ status }: JsonObject) => ended.has(String(status));

/** As 2025-11-25 has it. */
export function toSessionTask(task: JsonObject): JsonObject {
  const { taskId, status, statusMessage, createdAt, lastUpdatedAt, ttlMs, pollIntervalMs } = task;
  return {
    taskId,
    status,
    ...(statusMessage === undefined ? {} : { statusMessage }),
    createdAt,
    lastUpdatedAt,
    ttl: ttlMs ?? null,
    ...(pollIntervalMs === undefined ? {} : { pollInterval: pollIntervalMs }),
  };
}

/** As the extension has it; result and questions come beside. */
export function toStatelessTask(task: JsonObject): JsonObject {
  const { taskId, status, statusMessage, createdAt, lastUpdatedAt, ttl, pollInterval } = task;
  return {
    taskId,
    status,
    ...(statusMessage === undefined ? {} : { statusMessage }),
    createdAt,
    lastUpdatedAt,
    ttlMs: typeof ttl === "number" ? Math.round(ttl) : null,
    ...(typeof pollInterval === "number" ? { pollIntervalMs: Math.round(pollInterval) } : {}),
  };
}

/** A result that says in its `_meta` which task's it is. */
export function relatedTo(taskId: string, result: JsonObject): JsonObject {
  return { ...result, _meta: { ...metaOf(result), [relatedTaskKey]: { taskId } } };
}

/** The same without that. */
export function unrelated(result: JsonObject): JsonObject {
  const { [relatedTaskKey]: _, ...meta } = metaOf(result);
  return { ...result, _meta: meta };
}

/** What a task that came to no result throws where its result is asked for. */
export function failureOf({ status, error, statusMessage }: JsonObject): McpError {
  if (status === "failed" && isObject(error)) {
    const code = Number(error["code"]) || ErrorCode.InternalError;
    return rethrown(code, String(error["message"]), error["data"]);
  }
  const why = typeof statusMessage === "string" ? `: ${statusMessage.slice(0, 300)}` : "";
  return rethrown(ErrorCode.InternalError, `The task was ${String(status)}${why}.`);
}
