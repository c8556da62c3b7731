/** Models behind one local server that say what a test has them say: OpenAI's chat and text APIs. */
export interface Question {
  readonly model: string;
  /** The prompt, or the last message's text. */
  readonly text: string;
  readonly body: Record<string, unknown>;
  /** How many this model was asked before. */
  readonly nth: number;
}

/** A text, a whole message, a failing status, or silence until the gateway lets go. */
export type Reaction =
  | string
  | { readonly message: Record<string, unknown>; readonly finish?: string }
  | { readonly status: number }
  | { readonly hang: true };

export interface TalkingModels {
  readonly url: string;
  readonly asked: Question[];
  /** Requests that the gateway let go of before they were answered. */
  readonly left: Question[];
  /** Resolves when so many have been let go. */
  whenLeft(count: number): Promise<void>;
  /** Resolves when a model has been asked so often in all. */
  whenAsked(count: number): Promise<void>;
  stop(): void;
}

/** Each answer costs 100 tokens in and 10 out. */
export function startTalkingModels(react: (question: Question) => Reaction): TalkingModels {
  const asked: Question[] = [];
  const left: Question[] = [];
  const times = new Map<string, number>();
  const watchers: (() => void)[] = [];
  const tell = () => {
    for (const watch of watchers) watch();
  };
  const when = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      const look = () => holds() && resolve();
      watchers.push(look);
      look();
    });
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    idleTimeout: 0,
    async fetch(request) {
      // Such servers have no Responses API.
      if (!/completions$/.test(request.url)) return new Response("no such path", { status: 404 });
      const body = (await request.json()) as Record<string, unknown>;
      const model = String(body["model"]);
      const nth = times.get(model) ?? 0;
      times.set(model, nth + 1);
      const question = { model, text: textOf(body), body, nth };
      asked.push(question);
      tell();
      const reaction = react(question);
      if (typeof reaction === "object" && "status" in reaction) {
        return Response.json({ error: { message: "scripted" } }, { status: reaction.status });
      }
      if (typeof reaction === "object" && "hang" in reaction) {
        await new Promise((resolve) => request.signal.addEventListener("abort", resolve));
        left.push(question);
        tell();
        return new Response(null, { status: 499 });
      }
      return answer(reaction, body);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}/v1`,
    asked,
    left,
    whenLeft: (count) => when(() => left.length >= count),
    whenAsked: (count) => when(() => asked.length >= count),
    stop: () => void server.stop(true),
  };
}

function textOf({ prompt, messages }: Record<string, unknown>): string {
  if (typeof prompt === "string") return prompt;
  const list = Array.isArray(messages) ? messages : [];
  return String(list.at(-1)?.content ?? "");
}

const usage = { prompt_tokens: 100, completion_tokens: 10, total_tokens: 110 };

function answer(
  reaction: Exclude<Reaction, { status: number } | { hang: true }>,
  body: Record<string, unknown>,
): Response {
  const said =
    typeof reaction === "string"
      ? { message: { role: "assistant", content: reaction } }
      : (reaction as { message: Record<string, unknown>; finish?: string });
  const finish = "finish" in said ? (said.finish ?? "stop") : "stop";
  const base = { id: "chatcmpl-1", created: 1, model: body["model"] };
  if (typeof body["prompt"] === "string") {
    const text = said.message["content"];
    return Response.json({
      ...base,
      object: "text_completion",
      choices: [{ index: 0, text, finish_reason: finish }],
      usage,
    });
  }
  if (body["stream"] !== true) {
    const choices = [{ index: 0, message: said.message, finish_reason: finish }];
    return Response.json({ ...base, object: "chat.completion", choices, usage });
  }
  const chunk = (choices: unknown[], more: object = {}) =>
    `data: ${JSON.stringify({ ...base, object: "chat.completion.chunk", choices, ...more })}\n\n`;
  const frames = [
    chunk([{ index: 0, delta: said.message, finish_reason: null }]),
    chunk([{ index: 0, delta: {}, finish_reason: finish }]),
    chunk([], { usage }),
    "data: [DONE]\n\n",
  ];
  return new Response(frames.join(""), { headers: { "content-type": "text/event-stream" } });
}
