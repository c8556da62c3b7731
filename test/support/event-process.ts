/** The body of a child process that appends events until it is killed: see storage-worker.test.ts. */
import { createBackground } from "../../src/std/background.ts";
import { systemClock } from "../../src/std/clock.ts";
import { defaultRetention } from "../../src/storage/event-log.ts";
import { createSqliteEventLog } from "../../src/storage/sqlite/event-log.ts";
import type { BackgroundApi } from "../../src/worker.ts";
import { callEvent } from "./events.ts";

/**
 * Some 3,000 rows a second, printing how many were appended so far; at SIGTERM it closes and prints
 * the last count.
 */
export async function start(dataDir: string): Promise<void> {
  const background = createBackground<BackgroundApi>({
    spawn: () => new Worker(new URL("../../src/worker.ts", import.meta.url).href),
    clock: systemClock,
    onCrash: (message) => console.error(message),
  });
  const log = createSqliteEventLog({
    remote: background.service("events"),
    dataDir,
    retention: defaultRetention,
    clock: systemClock,
    onDropped: (rows, because) => console.error(`dropped ${rows}: ${because}`),
    onHealth: (error) => console.error(error ?? "healthy"),
  });
  let appended = 0;
  log.append(callEvent(appended++));
  await log.flush(); // the thread has started
  const timer = setInterval(() => {
    for (let i = 0; i < 6; i++) log.append(callEvent(appended++));
    console.log(appended);
  }, 2);
  process.on("SIGTERM", async () => {
    clearInterval(timer);
    await log.close();
    background.close();
    console.log(appended);
    process.exit(0);
  });
}
