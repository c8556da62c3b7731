/** Ollama over a real socket: chat by line, embeddings, text completions; and a picture beside it. */
export interface OllamaServer {
  readonly url: string;
  readonly seen: readonly { readonly path: string; readonly body: Record<string, unknown> }[];
  /** Requests for what is no API: pictures, redirects. */
  readonly fetched: readonly string[];
  answerNext(response: () => Response): void;
  close(): Promise<void>;
}

export const picture = Buffer.from("89504e470d0a1a0a", "hex");

export function startOllamaServer(): OllamaServer {
  const seen: { path: string; body: Record<string, unknown> }[] = [];
  const fetched: string[] = [];
  const next: (() => Response)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname } = new URL(request.url);
      if (request.method === "GET") {
        fetched.push(pathname);
        return media(pathname);
      }
      const body = (await request.json()) as Record<string, unknown>;
      seen.push({ path: pathname, body });
      const other = next.shift();
      return other ? other() : answer(pathname, body);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    seen,
    fetched,
    answerNext: (response) => next.push(response),
    close: () => server.stop(true),
  };
}

function media(path: string): Response {
  if (path === "/moved")
    return new Response(null, { status: 302, headers: { location: "/a.png" } });
  if (path === "/round")
    return new Response(null, { status: 302, headers: { location: "/round" } });
  if (path === "/inward") {
    return new Response(null, { status: 302, headers: { location: "http://169.254.169.254/x" } });
  }
  if (path !== "/a.png") return new Response("no such picture", { status: 404 });
  return new Response(picture, { headers: { "content-type": "application/octet-stream" } });
}

const facts = { model: "llama3.2", created_at: "2025-08-04T08:52:19.385406455-07:00" };
const end = { done: true, done_reason: "stop", prompt_eval_count: 25, eval_count: 7 };

function answer(path: string, body: Record<string, unknown>): Response {
  if (path === "/api/embed") {
    const inputs = [body["input"]].flat();
    const embeddings = inputs.map((_, i) => [i, 0.5]);
    return Response.json({ model: "m", embeddings, prompt_eval_count: 3 * inputs.length });
  }
  if (path === "/v1/completions") {
    const choices = [{ index: 0, text: " there", finish_reason: "stop", logprobs: null }];
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
    return Response.json({
      id: "c",
      object: "text_completion",
      created: 1,
      model: "m",
      choices,
      usage,
    });
  }
  if (path !== "/api/chat") return Response.json({ error: "no such path" }, { status: 404 });
  const asksTools = body["tools"] !== undefined;
  const call = (name: string, args: object) => ({ function: { name, arguments: args } });
  const calls = [call("get_weather", { city: "Paris" }), call("get_time", {})];
  const said = asksTools ? { content: "", tool_calls: calls } : { content: "Bonjour, Paris." };
  if (body["stream"] !== true) {
    return Response.json({ ...facts, message: { role: "assistant", ...said }, ...end });
  }
  const pieces = asksTools
    ? calls.map((each) => ({ content: "", tool_calls: [each] }))
    : [{ content: "", thinking: "Hm." }, { content: "Bonjour, " }, { content: "Paris." }];
  return lines([
    ...pieces.map((piece) => ({ ...facts, message: { role: "assistant", ...piece }, done: false })),
    { ...facts, message: { role: "assistant", content: "" }, ...end },
  ]);
}

export function lines(all: readonly object[]): Response {
  const text = all.map((each) => `${JSON.stringify(each)}\n`).join("");
  return new Response(text, { headers: { "content-type": "application/x-ndjson" } });
}
