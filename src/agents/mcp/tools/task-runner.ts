/**
 * Tools of a server of 2026-07-28 for callers who know no extension of it: a task that the server makes
 * of a call is waited for, or, where the caller asked for one as 2025-11-25 has it, told as such.
 */
import { isObject, type Json, type JsonObject } from "../../../domain/json.ts";
import { sleep } from "../../../std/clock.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode, McpError } from "../sdk.ts";
import { type Peer, plain } from "../stateless/peer.ts";
import { hasTasks, statelessCodes, tasksExtension } from "../stateless/words.ts";
import type { ConnectOptions, RequestOptions } from "../upstream/connection-contract.ts";
import { failureOf, isEnded, relatedTo, toSessionTask } from "./task-shapes.ts";

export interface TaskRunner {
  /** `tools/call`, `tasks/get`, `tasks/result`, `tasks/cancel` of 2025-11-25. @throws McpError */
  run(method: string, params: JsonObject, how: RequestOptions): Promise<JsonObject>;
}

const pollMs = { least: 100, usual: 1_000, most: 30_000 } as const;

export function createTaskRunner(
  peer: Peer,
  { capabilities, clock }: Pick<ConnectOptions, "capabilities" | "clock">,
): TaskRunner {
  const withTasks = (how: RequestOptions): RequestOptions => ({
    ...how,
    envelope: {
      capabilities: { ...(capabilities as JsonObject), extensions: { [tasksExtension]: {} } },
      ...(peer.logLevel === undefined ? {} : { logLevel: peer.logLevel }),
    },
  });
  const ofTask = (method: string, taskId: Json | undefined, how: RequestOptions) =>
    peer.once(method, { taskId: taskId ?? null }, withTasks(how));

  async function call(params: JsonObject, how: RequestOptions): Promise<JsonObject> {
    const { task: wanted, ...rest } = params;
    const begun = await begin(rest, isObject(wanted) ? withTasks(how) : how);
    if (begun["resultType"] !== "task") return begun;
    if (isObject(wanted)) return { task: toSessionTask(begun) };
    return await result(begun, how);
  }

  /** A tool that is only run as a task is run as one, whoever asks. */
  async function begin(params: JsonObject, how: RequestOptions): Promise<JsonObject> {
    try {
      return await peer.ask("tools/call", params, how);
    } catch (thrown) {
      if (how.envelope || !wantsTasks(thrown)) throw thrown;
      return await peer.ask("tools/call", params, withTasks(how));
    }
  }

  /** Asks until it has ended; what it needs of the client meanwhile is asked there. */
  async function result(task: JsonObject, how: RequestOptions): Promise<JsonObject> {
    const { taskId } = task;
    const untilMs = clock.now() + how.maxMs;
    const answered = new Set<string>();
    try {
      for (let seen = task; ; seen = await ofTask("tasks/get", taskId, how)) {
        if (seen["status"] === "completed") return plain(finalOf(seen));
        if (isEnded(seen)) throw failureOf(seen);
        if (clock.now() > untilMs) throw rethrown(ErrorCode.RequestTimeout, "Request timed out");
        if (seen["status"] === "input_required") await inform(seen, answered, how);
        await sleep(clock, pauseOf(seen), how.signal);
      }
    } catch (thrown) {
      const isOver =
        how.signal.aborted ||
        (thrown instanceof McpError && thrown.code === ErrorCode.RequestTimeout);
      if (isOver) {
        const last = { ...how, signal: AbortSignal.timeout(how.timeoutMs) };
        void ofTask("tasks/cancel", taskId, last).catch(() => undefined); // it ends by itself
      }
      throw thrown;
    }
  }

  async function inform(
    { taskId, inputRequests }: JsonObject,
    answered: Set<string>,
    how: RequestOptions,
  ): Promise<void> {
    const fresh = Object.entries(isObject(inputRequests) ? inputRequests : {}).filter(
      ([key]) => !answered.has(key),
    );
    if (fresh.length === 0) return;
    for (const [key] of fresh) answered.add(key);
    const inputResponses = await peer.answersTo(Object.fromEntries(fresh), how.signal);
    const params = { taskId: taskId ?? null, inputResponses };
    await peer.once("tasks/update", params, withTasks(how));
  }

  return {
    async run(method, params, how) {
      const { taskId } = params;
      if (method === "tools/call") return await call(params, how);
      if (method === "tasks/get") return toSessionTask(await ofTask(method, taskId, how));
      if (method === "tasks/result") {
        const last = await ofTask("tasks/get", taskId, how);
        return relatedTo(String(taskId), await result(last, how));
      }
      if (method !== "tasks/cancel") throw rethrown(ErrorCode.MethodNotFound, "Method not found");
      await ofTask(method, taskId, how);
      return toSessionTask(await ofTask("tasks/get", taskId, how));
    },
  };
}

const finalOf = ({ result }: JsonObject): JsonObject => (isObject(result) ? result : {});

/** Whether a server says that it answers this with a task or not at all. */
function wantsTasks(thrown: unknown): boolean {
  if (!(thrown instanceof McpError) || thrown.code !== statelessCodes.missingCapability)
    return false;
  const { data } = thrown;
  const required = isObject(data) ? data["requiredCapabilities"] : undefined;
  return isObject(required) && hasTasks(required);
}

function pauseOf({ pollIntervalMs }: JsonObject): number {
  const wanted = typeof pollIntervalMs === "number" ? pollIntervalMs : pollMs.usual;
  return Math.min(pollMs.most, Math.max(pollMs.least, wanted));
}
