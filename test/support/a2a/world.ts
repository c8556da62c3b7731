/** What checks need around an agent: a receiver of notifications, and tasks that are not over. */
import {
  type Begun,
  type Hook,
  type Notice,
  Skipped,
  says,
  succeed,
  uniqueId,
  type World,
} from "./check.ts";
import { type Body, call, type Surface } from "./wire.ts";

export interface Hooks extends Hook {
  close(): void;
}

const patienceMs = 10_000;

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
    async arrived(path, isEnough = ({ length }) => length > 0) {
      const untilMs = performance.now() + patienceMs;
      while (!isEnough(notices.get(path) ?? []) && performance.now() < untilMs) {
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

/**
 * A model behind OpenAI's API that answers in two pieces: at once, after some tenths of a second if it
 * reads "slow", and when it is let go if it reads "hold" and a name.
 */
export interface TestModel {
  readonly url: string;
  /** What it was asked, the last last. */
  readonly asked: Body[];
  release(name: string): void;
  close(): void;
}

const slowMs = 300;

export function startTestModel(): TestModel {
  const holds = new Map<string, PromiseWithResolvers<void>>();
  const holdOf = (name: string) => {
    const held = holds.get(name) ?? Promise.withResolvers<void>();
    holds.set(name, held);
    return held;
  };
  const asked: Body[] = [];
  const server: Bun.Server<undefined> = Bun.serve({
    ...{ port: 0, hostname: "127.0.0.1", idleTimeout: 60 },
    async fetch(request) {
      const body: Body = await request.json();
      asked.push(body);
      const text = String(body.messages.at(-1)?.content ?? "");
      const [, name] = /^hold (\S+)/.exec(text) ?? [];
      async function* frames() {
        const chunk = { id: "c", object: "chat.completion.chunk", created: 1, model: body.model };
        const frame = (more: Body) =>
          new TextEncoder().encode(`data: ${JSON.stringify({ ...chunk, ...more })}\n\n`);
        const says = (delta: Body, reason: string | null = null) =>
          frame({ choices: [{ index: 0, delta, finish_reason: reason }] });
        yield says({ role: "assistant", content: "Hel" });
        if (name !== undefined) await holdOf(name).promise;
        else if (text.startsWith("slow")) await Bun.sleep(slowMs);
        yield says({ content: "lo" });
        yield says({}, "stop");
        const usage = { prompt_tokens: 7, completion_tokens: 3, total_tokens: 10 };
        yield frame({ choices: [], usage });
        yield new TextEncoder().encode("data: [DONE]\n\n");
      }
      const headers = { "content-type": "text/event-stream" };
      return new Response(frames() as unknown as BodyInit, { headers });
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    asked,
    release: (name) => holdOf(name).resolve(),
    close: () => void server.stop(true),
  };
}

/** The gateway's own agent: a model, which asks for nothing more and is at work or done. */
export function createModelWorld(hook: Hook, model: TestModel): World {
  return {
    ...{ hook, obeys: false },
    slow: () => says("slow", { parts: [{ text: "slow" }] }),
    async begin(surface: Surface): Promise<Begun> {
      const name = uniqueId("hold");
      const message = says("hold", { parts: [{ text: `hold ${name}` }] });
      const configuration = { returnImmediately: true };
      const { task } = await succeed(call(surface, "send", { message, configuration }));
      // Its first piece is there: nothing more happens until it is let go.
      for (;;) {
        const { artifacts } = await succeed(call(surface, "get", { id: task.id }));
        if (artifacts?.length > 0) break;
        await Bun.sleep(10);
      }
      return {
        ...{ taskId: task.id, contextId: task.contextId },
        finish: async () => model.release(name),
      };
    },
  };
}
