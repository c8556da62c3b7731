/** How a gateway ends: no new calls, the last ones within a limit, then the connections. */
import type { HttpServer } from "../http/server.ts";
import type { Activity } from "../pipeline/activity.ts";
import type { Clock } from "../std/clock.ts";

/** How long the last bytes of ended calls may take to leave. */
const flushMs = 1_000;

/** Lets what was written leave before connections are closed: a stream's last event, say. */
export async function stopListening(
  server: Pick<HttpServer<never>, "stop" | "terminate">,
  clock: Clock,
): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(flushMs, resolve);
  await Promise.race([server.stop(), late]);
  cancel();
  await server.terminate();
}

export async function drain(activity: Activity, clock: Clock, limitMs: number): Promise<void> {
  const cancel = clock.after(limitMs, () => activity.abortAll());
  await activity.drain();
  cancel();
}
