/**
 * A provider of every OpenAI family over real HTTP. Shapes are those of the providers' references:
 * platform.openai.com, docs.cohere.com, jina.ai, docs.voyageai.com.
 */
export interface SeenCall {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
  /** Of a form: the parts, files as their size. */
  readonly form?: Readonly<Record<string, string>>;
}

export interface FamilyUpstream {
  readonly url: string;
  readonly seen: readonly SeenCall[];
  readonly last: () => SeenCall;
  readonly sound: Uint8Array;
  failNext(times: number): void;
  close(): void;
}

/** The vector of the n-th input; exact in 32 bits. */
export const floats = (n: number) => [n + 0.5, -0.25];

export function createFamilyUpstream(): FamilyUpstream {
  const seen: SeenCall[] = [];
  const sound = new Uint8Array(300_000).map((_, i) => i % 251);
  let failures = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = new URL(request.url).pathname;
      const one = await toSeen(request, path);
      seen.push(one);
      if (failures > 0) {
        failures--;
        return Response.json({ error: { message: "scripted" } }, { status: 500 });
      }
      return answer(one, sound);
    },
  });
  return {
    url: server.url.origin,
    seen,
    sound,
    last: () => seen.at(-1) as SeenCall,
    failNext: (times) => {
      failures = times;
    },
    close: () => void server.stop(true),
  };
}

async function toSeen(request: Request, path: string): Promise<SeenCall> {
  const { headers } = request;
  const type = headers.get("content-type") ?? "";
  if (!type.startsWith("multipart/")) {
    const text = await request.text();
    return { path, headers, body: text === "" ? {} : JSON.parse(text) };
  }
  const form: Record<string, string> = {};
  for (const [name, value] of await request.formData()) {
    form[name] = typeof value === "string" ? value : `file ${value.name} ${value.size}`;
  }
  return { path, headers, body: {}, form };
}

function answer(call: SeenCall, sound: Uint8Array): Response {
  const { path, body, form } = call;
  const find = Object.entries(answers).find(([end]) => path.endsWith(end));
  if (!find) return Response.json({ error: { message: `nothing at ${path}` } }, { status: 404 });
  return find[1](form ?? body, sound);
}

type Fields = Readonly<Record<string, unknown>>;
const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const sse = (...events: unknown[]) =>
  new Response(
    events
      .map((each) => `data: ${typeof each === "string" ? each : JSON.stringify(each)}\n\n`)
      .join(""),
    { headers: { "content-type": "text/event-stream" } },
  );
const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) && typeof value[0] !== "number" ? value : [value];
const imageUsage = {
  input_tokens: 10,
  output_tokens: 1000,
  total_tokens: 1010,
  input_tokens_details: { text_tokens: 10, image_tokens: 0 },
};

const answers: Readonly<Record<string, (body: Fields, sound: Uint8Array) => Response>> = {
  "/chat/completions": (body) => {
    const head = { id: "chatcmpl-1", created: 1, model: "m" };
    if (!body["stream"]) {
      const message = { role: "assistant", content: "one two" };
      const choices = [{ index: 0, message, finish_reason: "stop" }];
      return Response.json({ ...head, object: "chat.completion", choices, usage });
    }
    const chunk = (delta: object, finish: string | null = null) => ({
      ...head,
      object: "chat.completion.chunk",
      choices: [{ index: 0, delta, finish_reason: finish }],
    });
    return sse(
      chunk({ role: "assistant", content: "" }),
      chunk({ content: "one " }),
      chunk({ content: "two" }),
      chunk({}, "stop"),
      { ...head, object: "chat.completion.chunk", choices: [], usage },
      "[DONE]",
    );
  },
  "/completions": (body) => {
    const head = { id: "cmpl-1", object: "text_completion", created: 1, model: "m" };
    const choice = (text: string, finish: string | null) => ({
      ...head,
      choices: [{ text, index: 0, logprobs: null, finish_reason: finish }],
    });
    if (!body["stream"]) {
      return Response.json({ ...choice(`completed ${body["prompt"]}`, "stop"), usage });
    }
    const last = { ...head, choices: [], usage };
    return sse(choice("one ", null), choice("two", null), choice("", "stop"), last, "[DONE]");
  },
  "/messages": (body) => {
    const content = [{ type: "text", text: "one two" }];
    const counted = { input_tokens: 3, output_tokens: 2 };
    const message = { id: "msg_1", type: "message", role: "assistant", model: "claude" };
    if (!body["stream"]) {
      return Response.json({ ...message, content, stop_reason: "end_turn", usage: counted });
    }
    const events = [
      { type: "message_start", message: { ...message, content: [], usage: counted } },
      { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "one two" } },
      { type: "content_block_stop", index: 0 },
      { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 2 } },
      { type: "message_stop" },
    ];
    const text = events.map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`);
    return new Response(text.join(""), { headers: { "content-type": "text/event-stream" } });
  },
  "/embeddings": (body) => {
    const base64 = body["encoding_format"] === "base64" && body["model"] !== "embed-v4.0";
    const data = listOf(body["input"]).map((input, index) => {
      const vector = floats(
        typeof input === "string" && /^\d+$/.test(input) ? Number(input) : index,
      );
      const bytes = Buffer.from(Float32Array.from(vector).buffer).toString("base64");
      const embedding = base64 || body["always64"] ? bytes : vector;
      return { object: "embedding", index, embedding };
    });
    const counted = { prompt_tokens: data.length, total_tokens: data.length };
    return Response.json({ object: "list", data, model: body["model"], usage: counted });
  },
  "/moderations": (body) => {
    const results = listOf(body["input"]).map(() => ({
      flagged: false,
      categories: {},
      category_scores: {},
    }));
    return Response.json({ id: "modr-1", model: body["model"], results });
  },
  "/v2/rerank": () =>
    Response.json({
      id: "r1",
      results: [{ index: 1, relevance_score: 0.9 }],
      meta: { api_version: { version: "2" }, billed_units: { search_units: 1 } },
    }),
  "/rerank": (body) => {
    const one = { index: 1, relevance_score: 0.9 };
    if (body["top_k"] !== undefined) {
      const data = [{ ...one, document: "b" }];
      return Response.json({ object: "list", data, model: "m", usage: { total_tokens: 20 } });
    }
    const results = [{ ...one, document: { text: "b" } }];
    return Response.json({ model: "m", results, usage: { total_tokens: 20 } });
  },
  "/images/generations": (body) => {
    if (body["prompt"] === "REFUSE") {
      const error = { message: "your prompt was rejected", type: "invalid_request_error" };
      return Response.json({ error }, { status: 400 });
    }
    if (body["stream"]) {
      return sse(
        { type: "image_generation.partial_image", partial_image_index: 0, b64_json: "aGk=" },
        { type: "image_generation.completed", b64_json: "aGk=", usage: imageUsage },
      );
    }
    const data = Array.from({ length: Math.min(10, Number(body["n"]) || 1) }, () => ({
      b64_json: "aGk=",
    }));
    return Response.json({ created: 1, data, usage: imageUsage });
  },
  "/images/edits": () =>
    Response.json({ created: 1, data: [{ b64_json: "aGk=" }], usage: imageUsage }),
  "/images/variations": () => Response.json({ created: 1, data: [{ url: "http://x.test/a.png" }] }),
  "/audio/speech": (body, sound) => {
    if (body["stream_format"] === "sse") {
      const counted = { input_tokens: 2, output_tokens: 9, total_tokens: 11 };
      return sse(
        { type: "speech.audio.delta", audio: "aGk=" },
        { type: "speech.audio.done", usage: counted },
      );
    }
    let sent = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull(sink) {
        if (sent >= sound.length) sink.close();
        else sink.enqueue(sound.slice(sent, sent + 65_536));
        sent += 65_536;
      },
    });
    return new Response(stream, { headers: { "content-type": "audio/mpeg" } });
  },
  "/files": () => Response.json({ id: "file-1", object: "file" }),
  "/fine_tuning/jobs": (body) =>
    Response.json({ id: "ftjob-1", object: "fine_tuning.job", status: "queued", ...body }),
  "/models": () => Response.json({ object: "list", data: [] }),
  "/audio/transcriptions": transcribe,
  "/audio/translations": transcribe,
};

function transcribe(form: Fields): Response {
  if (form["stream"] === "true") {
    const counted = { type: "tokens", input_tokens: 14, output_tokens: 2, total_tokens: 16 };
    return sse(
      { type: "transcript.text.delta", delta: "one " },
      { type: "transcript.text.done", text: "one two", usage: counted },
    );
  }
  if (form["response_format"] === "srt") {
    const text = "1\n00:00:00,000 --> 00:00:12,500\none two\n";
    return new Response(text, { headers: { "content-type": "text/plain; charset=utf-8" } });
  }
  return Response.json({ text: "one two", usage: { type: "duration", seconds: 60 } });
}
