/**
 * Amazon Bedrock's runtime over real sockets: it checks every signature by its own reading of
 * Signature Version 4, answers Converse and ConverseStream like the reference, and remembers the
 * requests. Its event stream is written here, by the description, not by the library that reads it.
 */
import { createHash, createHmac } from "node:crypto";

export const awsKeys = { id: "AKIDTEST", secret: "wJalr/test+secret", bearer: "bedrock-api-key-1" };

export interface AwsRequest {
  readonly path: string;
  readonly headers: Headers;
  readonly body: Record<string, unknown>;
}

export interface AwsServer {
  readonly url: string;
  readonly seen: readonly AwsRequest[];
  /** The next answer, in place of the usual one. */
  answerNext(response: () => Response): void;
  close(): Promise<void>;
}

export function startAwsServer(): AwsServer {
  const seen: AwsRequest[] = [];
  const next: (() => Response)[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const path = request.url.replace(/^http:\/\/[^/]+/, "");
      const text = await request.text();
      const refusal = refuse(request, path, text);
      if (refusal) return refusal;
      const body = JSON.parse(text) as Record<string, unknown>;
      seen.push({ path, headers: request.headers, body });
      const other = next.shift();
      return other ? other() : answer(path, body);
    },
  });
  return {
    url: `http://127.0.0.1:${server.port}`,
    seen,
    answerNext: (response) => next.push(response),
    close: () => server.stop(true),
  };
}

const hmac = (key: string | Buffer, text: string) =>
  createHmac("sha256", key).update(text).digest();
const sha = (text: string) => createHash("sha256").update(text).digest("hex");
const uri = (text: string) =>
  encodeURIComponent(text).replace(
    /[!'()*]/g,
    (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`,
  );

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function refuse(request: Request, target: string, body: string): Response | undefined {
  const given = request.headers.get("authorization") ?? "";
  if (given === `Bearer ${awsKeys.bearer}`) return undefined;
  const parts =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d+)\/([^/]+)\/(\w+)\/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$/.exec(
      given,
    );
  if (!parts) return awsError(403, "MissingAuthenticationTokenException", "Missing Token");
  const [, id, day = "", region = "", service = "", names = "", signature] = parts;
  const [path = "", query = ""] = target.split("?");
  const headers = names.split(";").map((name) => `${name}:${request.headers.get(name)?.trim()}\n`);
  const canonical = [
    request.method,
    path.split("/").map(uri).join("/"), // once more than it came: AWS encodes twice but for S3
    query,
    headers.join(""),
    names,
    sha(body),
  ].join("\n");
  const date = request.headers.get("x-amz-date") ?? "";
  const scope = `${day}/${region}/${service}/aws4_request`;
  const toSign = ["AWS4-HMAC-SHA256", date, scope, sha(canonical)].join("\n");
  const key = [day, region, service, "aws4_request"].reduce<string | Buffer>(
    hmac,
    `AWS4${awsKeys.secret}`,
  );
  const isGood =
    id === awsKeys.id && service === "bedrock" && hmac(key, toSign).toString("hex") === signature;
  if (isGood) return undefined;
  const why = "The request signature we calculated does not match the signature you provided.";
  return awsError(403, "InvalidSignatureException", why);
}

export function awsError(status: number, word: string, message: string): Response {
  const headers = { "x-amzn-errortype": `${word}:http://internal.amazon.com/coral/` };
  return Response.json({ message }, { status, headers });
}

/** A message of the event stream: prelude, headers of text, body, checksums. */
export function eventMessage(headers: Readonly<Record<string, string>>, body: string): Buffer {
  const named = Object.entries(headers).map(([name, value]) => {
    const head = Buffer.from([name.length, ...Buffer.from(name), 7, 0, 0]);
    head.writeUInt16BE(Buffer.byteLength(value), head.length - 2);
    return Buffer.concat([head, Buffer.from(value)]);
  });
  const inner = Buffer.concat(named);
  const prelude = Buffer.alloc(12);
  prelude.writeUInt32BE(12 + inner.length + Buffer.byteLength(body) + 4, 0);
  prelude.writeUInt32BE(inner.length, 4);
  prelude.writeUInt32BE(Bun.hash.crc32(prelude.subarray(0, 8)), 8);
  const message = Buffer.concat([prelude, inner, Buffer.from(body)]);
  const end = Buffer.alloc(4);
  end.writeUInt32BE(Bun.hash.crc32(message), 0);
  return Buffer.concat([message, end]);
}

/** `[name, body]`; a name that begins with "exception/" is one. */
export function eventStream(events: readonly (readonly [string, object])[]): Buffer {
  return Buffer.concat(
    events.map(([name, body]) => {
      const [, exception] = /^exception\/(.*)$/.exec(name) ?? [];
      const headers: Record<string, string> = exception
        ? { ":exception-type": exception, ":message-type": "exception" }
        : { ":event-type": name, ":message-type": "event" };
      return eventMessage(
        { ...headers, ":content-type": "application/json" },
        JSON.stringify(body),
      );
    }),
  );
}

export function streamOf(events: readonly (readonly [string, object])[]): Response {
  const bytes = eventStream(events);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 100) }, (_, i) =>
    bytes.subarray(i * 100, (i + 1) * 100),
  );
  const body = new ReadableStream<Uint8Array>({
    pull(sink) {
      const piece = pieces.shift();
      if (piece) sink.enqueue(piece);
      else sink.close();
    },
  });
  return new Response(body, { headers: { "content-type": "application/vnd.amazon.eventstream" } });
}

const usage = { inputTokens: 5, outputTokens: 7, totalTokens: 32, cacheReadInputTokens: 20 };
/** A call is made while tools are at hand and no result is. */
const calls = (body: Record<string, unknown>) =>
  body["toolConfig"] !== undefined && !JSON.stringify(body["messages"]).includes("toolResult");
const use = (id: string, name: string) => ({ toolUseId: id, name });
const at = (contentBlockIndex: number, more: object = {}) => ({ contentBlockIndex, ...more });

function answer(path: string, body: Record<string, unknown>): Response {
  if (path.endsWith("/converse-stream")) return streamOf(events(body));
  if (path.endsWith("/invoke")) return invoke(path, body);
  if (path.endsWith("/count-tokens")) return Response.json({ inputTokens: 42 });
  if (!path.endsWith("/converse")) return awsError(404, "UnknownOperationException", "no such");
  const said = { reasoningContent: { reasoningText: { text: "Hm.", signature: "c2ln" } } };
  const content = calls(body)
    ? [
        said,
        { toolUse: { ...use("tooluse_1", "get_weather"), input: { city: "Paris" } } },
        { toolUse: { ...use("tooluse_2", "get_time"), input: {} } },
      ]
    : [{ text: "Bonjour, Paris." }];
  return Response.json({
    output: { message: { role: "assistant", content } },
    stopReason: calls(body) ? "tool_use" : "end_turn",
    usage,
    metrics: { latencyMs: 12 },
  });
}

/** Each maker's form: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html */
function invoke(path: string, body: Record<string, unknown>): Response {
  const headers = { "x-amzn-bedrock-input-token-count": "4" };
  if (path.includes("cohere")) {
    const texts = body["texts"] as string[];
    const float = texts.map((text) => [Number(text), 0.5]);
    const reply = { id: "e", texts, response_type: "embeddings_by_type", embeddings: { float } };
    return Response.json(reply, { headers });
  }
  if (path.includes("nova")) {
    const embeddings = [{ embeddingType: "TEXT", embedding: [1, 0.5] }];
    return Response.json({ embeddings }, { headers });
  }
  const embedding = [Number(body["inputText"]), 0.5];
  return Response.json({
    embedding,
    inputTextTokenCount: 3,
    embeddingsByType: { float: embedding },
  });
}

function events(body: Record<string, unknown>): (readonly [string, object])[] {
  const reason = (delta: object) =>
    ["contentBlockDelta", at(0, { delta: { reasoningContent: delta } })] as const;
  const answered = calls(body)
    ? [
        reason({ text: "Hm." }),
        reason({ signature: "c2ln" }),
        ["contentBlockStop", at(0)] as const,
        [
          "contentBlockStart",
          at(1, { start: { toolUse: use("tooluse_1", "get_weather") } }),
        ] as const,
        ["contentBlockDelta", at(1, { delta: { toolUse: { input: '{"city":' } } })] as const,
        ["contentBlockDelta", at(1, { delta: { toolUse: { input: '"Paris"}' } } })] as const,
        ["contentBlockStop", at(1)] as const,
        ["contentBlockStart", at(2, { start: { toolUse: use("tooluse_2", "get_time") } })] as const,
        ["contentBlockStop", at(2)] as const,
      ]
    : [
        ["contentBlockDelta", at(0, { delta: { text: "Bonjour, " } })] as const,
        ["contentBlockDelta", at(0, { delta: { text: "Paris." } })] as const,
        ["contentBlockStop", at(0)] as const,
      ];
  return [
    ["messageStart", { role: "assistant" }],
    ...answered,
    ["messageStop", { stopReason: calls(body) ? "tool_use" : "end_turn" }],
    ["metadata", { usage, metrics: { latencyMs: 12 } }],
  ];
}
