/** What checks need around an agent: a receiver of notifications, and tasks that are not over. */
import { type Begun, type Hook, type Notice, Skipped, says, succeed, type World } from "./check.ts";
import { call, type Surface } from "./wire.ts";

export interface Hooks extends Hook {
  close(): void;
}

const patienceMs = 5_000;

export function startHooks(): Hooks {
  const notices = new Map<string, Notice[]>();
  let wake = Promise.withResolvers<void>();
  const server: Bun.Server<undefined> = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1" },
    async fetch(request) {
      const path = new URL(request.url).pathname.slice(1);
      const held = notices.get(path) ?? [];
      held.push({ headers: Object.fromEntries(request.headers), body: await request.json() });
      notices.set(path, held);
      wake.resolve();
      wake = Promise.withResolvers();
      return new Response("");
    },
  });
  return {
    url: (path) => `http://127.0.0.1:${server.port}/${path}`,
    async arrived(path, count) {
      const untilMs = performance.now() + patienceMs;
      while ((notices.get(path)?.length ?? 0) < count && performance.now() < untilMs) {
        await Promise.race([wake.promise, Bun.sleep(50)]);
      }
      return notices.get(path) ?? [];
    },
    close: () => void server.stop(true),
  };
}

export function createReferenceWorld(hook: Hook): World {
  return {
    ...{ hook, obeys: true },
    slow: () => says("delayed-complete"),
    async begin(surface: Surface): Promise<Begun> {
      const { task } = await succeed(call(surface, "send", { message: says("input-required") }));
      if (task?.status.state !== "TASK_STATE_INPUT_REQUIRED")
        throw new Skipped("no task that waits");
      const message = () => says("complete-task", { taskId: task.id });
      return {
        ...{ taskId: task.id, contextId: task.contextId },
        finish: () => succeed(call(surface, "send", { message: message() })),
      };
    },
  };
}
