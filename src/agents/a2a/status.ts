/** How a task stands, at this moment, and in whose words. */
import type { Clock } from "../../std/clock.ts";
import type { TaskState, TaskStatus } from "./wire.ts";

export function statusOf(
  state: TaskState,
  clock: Clock,
  text?: string,
  ids: { readonly taskId?: string; readonly contextId?: string } = {},
): TaskStatus {
  const timestamp = new Date(clock.now()).toISOString();
  if (text === undefined) return { state, timestamp };
  const message = {
    ...{ messageId: Bun.randomUUIDv7(), role: "ROLE_AGENT", parts: [{ text }] },
    ...ids,
  };
  return { state, message, timestamp };
}
