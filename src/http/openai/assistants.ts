/** `/v1/assistants`, `/v1/threads` and what hangs on them; runs stream in the API's events. */
import type { JsonObject } from "../../domain/json.ts";
import type { Assistants } from "../../resources/assistants/assistants.ts";
import type { Tell } from "../../resources/assistants/run-work.ts";
import type { StartedRun } from "../../resources/assistants/runs.ts";
import type { Route } from "../route.ts";
import { type Asked, storedRoutes } from "../stored-routes.ts";

const source = "https://platform.openai.com/docs/api-reference/assistants";

export function assistantRoutes(assistants: Assistants): readonly Route[] {
  const { threads, messages, runs } = assistants;
  const place = ({ at }: Asked) => ({ thread: at("thread"), run: at("run") });
  return storedRoutes(source, [
    ["POST", "/assistants", "Make an assistant.", (it) => assistants.create(it.body, it.caller)],
    ["GET", "/assistants", "Your assistants.", (it) => assistants.list(it.query, it.caller)],
    ["GET", "/assistants/:id", "An assistant.", (it) => assistants.get(it.at("id"), it.caller)],
    [
      "POST",
      "/assistants/:id",
      "Change an assistant.",
      (it) => assistants.change(it.at("id"), it.body, it.caller),
    ],
    [
      "DELETE",
      "/assistants/:id",
      "Delete an assistant.",
      (it) => assistants.remove(it.at("id"), it.caller),
    ],
    ["POST", "/threads", "Begin a thread.", (it) => threads.create(it.body, it.caller)],
    ["POST", "/threads/runs", "Begin a thread and run it.", createAndRun],
    ["GET", "/threads/:thread", "A thread.", (it) => threads.get(it.at("thread"), it.caller)],
    [
      "POST",
      "/threads/:thread",
      "Change a thread.",
      (it) => threads.change(it.at("thread"), it.body, it.caller),
    ],
    [
      "DELETE",
      "/threads/:thread",
      "Delete a thread with all that hangs on it.",
      (it) => threads.remove(it.at("thread"), it.caller),
    ],
    [
      "POST",
      "/threads/:thread/messages",
      "Add a message.",
      (it) => messages.create(it.at("thread"), it.body, it.caller),
    ],
    [
      "GET",
      "/threads/:thread/messages",
      "A thread's messages, newest first.",
      (it) => messages.list(it.at("thread"), it.query, it.caller),
    ],
    [
      "GET",
      "/threads/:thread/messages/:message",
      "A message.",
      (it) => messages.get(it.at("thread"), it.at("message"), it.caller),
    ],
    [
      "POST",
      "/threads/:thread/messages/:message",
      "Change a message's metadata.",
      (it) => messages.change(it.at("thread"), it.at("message"), it.body, it.caller),
    ],
    [
      "DELETE",
      "/threads/:thread/messages/:message",
      "Delete a message.",
      (it) => messages.remove(it.at("thread"), it.at("message"), it.caller),
    ],
    [
      "POST",
      "/threads/:thread/runs",
      "Run a thread by an assistant, streaming or not.",
      (it) => answer(it, (tell) => runs.create(it.at("thread"), it.body, it.caller, tell)),
    ],
    [
      "GET",
      "/threads/:thread/runs",
      "A thread's runs.",
      (it) => runs.list(it.at("thread"), it.query, it.caller),
    ],
    ["GET", "/threads/:thread/runs/:run", "A run.", (it) => runs.get(place(it), it.caller)],
    [
      "POST",
      "/threads/:thread/runs/:run",
      "Change a run's metadata.",
      (it) => runs.change(place(it), it.body, it.caller),
    ],
    [
      "POST",
      "/threads/:thread/runs/:run/cancel",
      "Cancel a run.",
      (it) => runs.cancel(place(it), it.caller),
    ],
    [
      "POST",
      "/threads/:thread/runs/:run/submit_tool_outputs",
      "Give a run what its functions answered, and go on.",
      (it) => answer(it, (tell) => runs.submit(place(it), it.body, it.caller, tell)),
    ],
    [
      "GET",
      "/threads/:thread/runs/:run/steps",
      "A run's steps.",
      (it) => runs.steps(place(it), it.query, it.caller),
    ],
    [
      "GET",
      "/threads/:thread/runs/:run/steps/:step",
      "A step.",
      (it) => runs.step(place(it), it.at("step"), it.caller),
    ],
  ]);

  async function createAndRun(it: Asked): Promise<JsonObject | Response> {
    const { thread: given = {} } = it.body;
    const thread = await threads.create(given as JsonObject, it.caller);
    const id = String(thread["id"]);
    return answer(it, (tell) => {
      tell("thread.created", thread);
      return runs.create(id, it.body, it.caller, tell);
    });
  }
}

/** The run as it begins; or, with `stream`, all that happens until it ends or waits. */
async function answer(
  { body, context }: Asked,
  begin: (tell: Tell) => Promise<StartedRun>,
): Promise<JsonObject | Response> {
  if (body["stream"] !== true) {
    const { run: started, done } = await begin(() => undefined);
    done.catch(context.services.onInternalFailure);
    return started;
  }
  const events = new EventQueue();
  const { done } = await begin((event, data) => events.tell(event, data));
  void done.then(() => events.end());
  return new Response(events.stream(), {
    headers: { "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

/** A reader that is so far behind has stopped reading; the run goes on without him. */
const queueLimit = 100_000;

class EventQueue {
  readonly #waiting: string[] = [];
  #wake: (() => void) | undefined = undefined;
  #ended = false;

  tell(event: string, data: JsonObject): void {
    if (this.#ended || this.#waiting.length >= queueLimit) return;
    this.#waiting.push(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    this.#wake?.();
  }

  end(): void {
    this.#waiting.push("event: done\ndata: [DONE]\n\n");
    this.#ended = true;
    this.#wake?.();
  }

  stream(): ReadableStream<Uint8Array> {
    const encoder = new TextEncoder();
    return new ReadableStream({
      pull: async (controller) => {
        if (this.#waiting.length === 0 && !this.#ended) {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
        const text = this.#waiting.splice(0).join("");
        if (text !== "") controller.enqueue(encoder.encode(text));
        if (this.#ended) controller.close();
      },
      cancel: () => {
        this.#ended = true;
      },
    });
  }
}
