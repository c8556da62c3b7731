/**
 * Tasks of servers of 2025-11-25 for callers of 2026-07-28: a tool that is only run as a task is run as
 * one, and waited for where its caller knows no tasks.
 */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import { McpError } from "../sdk.ts";
import { failureOf, isEnded, toStatelessTask, unrelated } from "../tools/task-shapes.ts";
import type { Link, LinkRequest } from "../upstream/link.ts";

/** How long such a server is asked to keep what came of it. */
const keptMs = 3_600_000;

/** Whether a definition says that the tool is run as a task or not at all. */
export function isTaskOnly({ execution }: JsonObject): boolean {
  return isObject(execution) && execution["taskSupport"] === "required";
}

/** `tools/call`: a handle, as the extension has it, or, with `waits`, what comes of it. @throws McpError */
export async function callAsTask(
  link: Link,
  params: JsonObject,
  how: LinkRequest & { readonly waits: boolean },
): Promise<JsonObject> {
  const begun = await link.request("tools/call", { ...params, task: { ttl: keptMs } }, how);
  const { task } = begun;
  if (!isObject(task)) return begun;
  if (!how.waits) return { resultType: "task", ...toStatelessTask(task) };
  const taskId = String(task["taskId"]);
  const cancel = () =>
    void link
      .request("tasks/cancel", { taskId }, { signal: AbortSignal.timeout(cancelMs) })
      .catch(() => undefined); // it ends by itself
  how.signal.addEventListener("abort", cancel, { once: true });
  try {
    return unrelated(await link.request("tasks/result", { taskId }, how));
  } finally {
    how.signal.removeEventListener("abort", cancel);
  }
}

const cancelMs = 10_000;

/** `tasks/get`, `tasks/update` and `tasks/cancel` as the extension has them. @throws McpError */
export async function onSessionTask(
  method: string,
  link: Link,
  taskId: string,
  how: LinkRequest,
): Promise<JsonObject> {
  if (method === "tasks/update") return {}; // nobody could be asked anything
  const task = await link.request("tasks/get", { taskId }, how);
  if (method === "tasks/cancel") {
    if (!isEnded(task)) await link.request(method, { taskId }, how);
    return {};
  }
  const shown = toStatelessTask(task);
  if (task["status"] === "completed") {
    const result = await link.request("tasks/result", { taskId }, how);
    return { ...shown, result: unrelated(result) };
  }
  if (task["status"] !== "failed") return shown;
  const error = await link
    .request("tasks/result", { taskId }, how)
    .then(() => failureOf(task))
    .catch((thrown: unknown) => thrown);
  if (!(error instanceof McpError)) throw error;
  return { ...shown, error: { code: error.code, message: error.message } };
}
