/**
 * Upstreams of four makers on one port, over real sockets: Google's AI Studio, Vertex AI with its
 * token endpoint, Anthropic and OpenAI. They answer like their references, and remember the requests.
 */
import { generateKeyPairSync, verify } from "node:crypto";

export interface SeenRequest {
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface GoogleServer {
  readonly url: string;
  readonly seen: readonly SeenRequest[];
  /** A service account whose token endpoint is this server. */
  readonly account: Readonly<Record<string, string>>;
  /** Tokens given out so far. */
  readonly tokens: () => number;
  /** The next answer, in place of the usual one. */
  answerNext(response: () => Response): void;
  close(): Promise<void>;
}

export function startGoogleServer(): GoogleServer {
  const seen: SeenRequest[] = [];
  const next: (() => Response)[] = [];
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  let tokens = 0;
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const text = await request.text();
      if (pathname === "/token") return giveToken(text);
      const body = JSON.parse(text) as Record<string, unknown>;
      seen.push({ path: pathname, query: search, headers: request.headers, body });
      const other = next.shift();
      return other ? other() : answer(pathname, body);
    },
  });
  const url = `http://127.0.0.1:${server.port}`;

  function giveToken(text: string): Response {
    const form = new URLSearchParams(text);
    const [head = "", claims = "", signature = ""] = (form.get("assertion") ?? "").split(".");
    const signed = Buffer.from(`${head}.${claims}`);
    const isGood = verify("RSA-SHA256", signed, publicKey, Buffer.from(signature, "base64url"));
    const { iss, aud } = JSON.parse(Buffer.from(claims, "base64url").toString() || "{}");
    if (!isGood || iss !== "robot@p1" || aud !== `${url}/token`) {
      const error = { error: "invalid_grant", error_description: "Invalid JWT Signature." };
      return Response.json(error, { status: 400 });
    }
    tokens++;
    return Response.json({
      access_token: `token-${tokens}`,
      expires_in: 3599,
      token_type: "Bearer",
    });
  }

  return {
    url,
    seen,
    account: {
      type: "service_account",
      project_id: "p1",
      private_key_id: "k1",
      private_key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
      client_email: "robot@p1",
      token_uri: `${url}/token`,
    },
    tokens: () => tokens,
    answerNext: (response) => next.push(response),
    close: () => server.stop(true),
  };
}

function answer(path: string, body: Record<string, unknown>): Response {
  if (path.endsWith(":generateContent")) return Response.json(whole(body));
  if (path.endsWith(":streamGenerateContent")) return events(pieces(body));
  if (path.endsWith(":countTokens")) return Response.json({ totalTokens: 31 });
  if (/count[-_]tokens(:rawPredict)?$/.test(path)) return Response.json({ input_tokens: 14 });
  if (path.endsWith(":rawPredict") || path.endsWith("/v1/messages")) {
    return Response.json({
      id: "msg_1",
      type: "message",
      role: "assistant",
      model: "claude",
      content: [{ type: "text", text: "Bonjour." }],
      stop_reason: "end_turn",
      stop_sequence: null,
      usage: { input_tokens: 5, output_tokens: 3 },
    });
  }
  if (path.endsWith(":streamRawPredict")) return claudeStream();
  const embedded = embed(path, body);
  if (embedded) return Response.json(embedded);
  return openai(body);
}

/** The vector of a text says how long it is. */
const vectorOf = (text: unknown) => [String(text).length, 0.5];
type Listed = readonly Record<string, unknown>[];

function embed(path: string, body: Record<string, unknown>): object | undefined {
  const textIn = (content: unknown) => (content as { parts: { text: string }[] }).parts[0]?.text;
  if (path.endsWith(":embedContent")) {
    const values = vectorOf(textIn(body["content"]));
    return { embedding: { values }, usageMetadata: { promptTokenCount: 3 } };
  }
  if (path.endsWith(":batchEmbedContents")) {
    const requests = body["requests"] as Listed;
    return { embeddings: requests.map(({ content }) => ({ values: vectorOf(textIn(content)) })) };
  }
  if (path.endsWith(":predict")) {
    const instances = body["instances"] as Listed;
    return {
      predictions: instances.map(({ content }) => ({
        embeddings: {
          values: vectorOf(content),
          statistics: { token_count: 4, truncated: false },
        },
      })),
    };
  }
  if (!path.endsWith("/embeddings")) return undefined;
  const data = (body["input"] as readonly string[]).map((text, index) => ({
    object: "embedding",
    index,
    embedding: vectorOf(text),
  }));
  return { object: "list", data, model: "e", usage: { prompt_tokens: 9, total_tokens: 9 } };
}

const facts = { modelVersion: "gemini-x", responseId: "resp1" };
const usageMetadata = {
  promptTokenCount: 8,
  candidatesTokenCount: 5,
  thoughtsTokenCount: 7,
  totalTokenCount: 20,
};
/** A call is made while a tool is at hand and its answer is not. */
const calls = (body: Record<string, unknown>) =>
  body["tools"] !== undefined && !JSON.stringify(body["contents"]).includes("functionResponse");
const callParts = [
  {
    functionCall: { name: "get_weather", args: { city: "Paris" } },
    thoughtSignature: "CqEBQ2FsbA==",
  },
  { functionCall: { name: "get_time", args: {} } },
];
const thought = { text: "Thinking.", thought: true };

function whole(body: Record<string, unknown>) {
  const parts = calls(body) ? [thought, ...callParts] : [thought, { text: "Bonjour, Paris." }];
  return {
    candidates: [{ content: { parts, role: "model" }, finishReason: "STOP", index: 0 }],
    usageMetadata,
    ...facts,
  };
}

function pieces(body: Record<string, unknown>) {
  const frame = (parts: readonly object[], more: object = {}) => ({
    candidates: [{ content: { parts, role: "model" }, index: 0, ...more }],
    ...facts,
  });
  const end = { ...frame([{ text: "" }], { finishReason: "STOP" }), usageMetadata };
  return calls(body)
    ? [frame([thought]), ...callParts.map((part) => frame([part])), end]
    : [frame([thought]), frame([{ text: "Bonjour, " }]), frame([{ text: "Paris." }]), end];
}

function events(frames: readonly object[]): Response {
  // Google ends its lines with CR LF.
  const text = frames.map((frame) => `data: ${JSON.stringify(frame)}\r\n\r\n`).join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

function claudeStream(): Response {
  const usage = { input_tokens: 5, output_tokens: 1 };
  const message = {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude",
    content: [],
    usage,
  };
  const list = [
    { type: "message_start", message },
    { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Bonjour." } },
    { type: "content_block_stop", index: 0 },
    { type: "message_delta", delta: { stop_reason: "end_turn" }, usage: { output_tokens: 3 } },
    { type: "message_stop" },
  ];
  const text = list
    .map((each) => `event: ${each.type}\ndata: ${JSON.stringify(each)}\n\n`)
    .join("");
  return new Response(text, { headers: { "content-type": "text/event-stream" } });
}

function openai(body: Record<string, unknown>): Response {
  const history = JSON.stringify(body["messages"]);
  const wantsCall = body["tools"] !== undefined && !history.includes('"tool"');
  const tool_calls = [
    {
      id: "call_1",
      type: "function",
      function: { name: "get_weather", arguments: '{"city":"Paris"}' },
    },
  ];
  const message = wantsCall ? { content: null, tool_calls } : { content: "Bonjour, Paris." };
  const head = { id: "chatcmpl-1", created: 1, model: "gpt-x" };
  const usage = { prompt_tokens: 8, completion_tokens: 5, total_tokens: 13 };
  const finish_reason = wantsCall ? "tool_calls" : "stop";
  if (body["stream"] !== true) {
    const choices = [{ index: 0, message: { role: "assistant", ...message }, finish_reason }];
    return Response.json({ ...head, object: "chat.completion", choices, usage });
  }
  const object = "chat.completion.chunk";
  const delta = wantsCall
    ? { role: "assistant", tool_calls: tool_calls.map((call, index) => ({ index, ...call })) }
    : { role: "assistant", content: "Bonjour, Paris." };
  const chunks = [
    { ...head, object, choices: [{ index: 0, delta, finish_reason: null }] },
    { ...head, object, choices: [{ index: 0, delta: {}, finish_reason }] },
    { ...head, object, choices: [], usage },
  ];
  const text = chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join("");
  return new Response(`${text}data: [DONE]\n\n`, {
    headers: { "content-type": "text/event-stream" },
  });
}
