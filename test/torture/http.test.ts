/**
 * HTTP as no client would send it, over raw sockets: smuggling, floods, bad hosts, bodies that never
 * come. Each is refused or answered once; none reaches a provider twice, hangs, or stops the server.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { receiveLimits } from "../../src/http/read-body.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { createFamilyUpstream } from "../support/family-upstream.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { sendRaw, splitAnswers } from "../support/raw-http.ts";
import { isErrorOf } from "./routes.ts";

const upstream = createFamilyUpstream();
let gateway: TestGateway;

beforeAll(async () => {
  gateway = await startTestGateway({
    yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_key: k, api_base: "${upstream.url}/v1"}}
general_settings: {master_key: sk-master}
routeiq_settings: {body_limit_bytes: 200000}
`,
    outbound: createOutbound(),
  });
});
afterAll(async () => {
  await gateway.gateway.close();
  upstream.close();
});

const send = (
  pieces: string | readonly (string | Uint8Array)[],
  options?: Parameters<typeof sendRaw>[2],
) => sendRaw(gateway.gateway.port, typeof pieces === "string" ? [pieces] : pieces, options);

const body = '{"model":"m","messages":[{"role":"user","content":"hi"}]}';
const line = "POST /v1/chat/completions HTTP/1.1\r\n";
const key = "Authorization: Bearer sk-master\r\n";
const plain = `Host: x\r\nContent-Type: application/json\r\n${key}`;
const length = `Content-Length: ${body.length}\r\n`;
const chunked = "Transfer-Encoding: chunked\r\n";
const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
const smuggled = "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n";

/** What comes, and the statuses that may answer it; 0: it is closed without an answer. */
const refused: readonly (readonly [string, string, readonly number[]])[] = [
  [
    "both lengths, the shorter one first",
    `${line}${plain}Content-Length: 5\r\n${chunked}\r\n${chunks}${smuggled}`,
    [400],
  ],
  [
    "both lengths, chunked first",
    `${line}${plain}${chunked}${length}\r\n${chunks}${smuggled}`,
    [400],
  ],
  [
    "two different lengths",
    `${line}${plain}${length}Content-Length: 5\r\n\r\n${body}${smuggled}`,
    [400],
  ],
  ["a list of lengths", `${line}${plain}Content-Length: ${body.length}, 5\r\n\r\n${body}`, [400]],
  ["a length with a sign", `${line}${plain}Content-Length: +57\r\n\r\n${body}`, [400]],
  ["a negative length", `${line}${plain}Content-Length: -1\r\n\r\n${body}`, [400]],
  ["a hexadecimal length", `${line}${plain}Content-Length: 0x39\r\n\r\n${body}`, [400]],
  ["an empty length", `${line}${plain}Content-Length: \r\n\r\n${body}`, [400]],
  ["a length beyond all", `${line}${plain}Content-Length: 9${"9".repeat(40)}\r\n\r\n`, [400]],
  ["a length beyond ours", `${line}${plain}Content-Length: 9999999999\r\n\r\n{`, [413]],
  ["a space before the colon", `${line}${plain}Content-Length : 57\r\n\r\n${body}`, [400]],
  [
    "an encoding that is nearly chunked",
    `${line}${plain}Transfer-Encoding: xchunked\r\n\r\n${chunks}`,
    [400],
  ],
  [
    "chunked and then another",
    `${line}${plain}Transfer-Encoding: chunked, identity\r\n\r\n${chunks}`,
    [400],
  ],
  ["two encodings", `${line}${plain}${chunked}Transfer-Encoding: identity\r\n\r\n${chunks}`, [400]],
  [
    "compressed in transfer",
    `${line}${plain}Transfer-Encoding: gzip, chunked\r\n\r\n${chunks}`,
    [400],
  ],
  [
    "a chunk's length that is none",
    `${line}${plain}${chunked}\r\nzz\r\n${body}\r\n0\r\n\r\n`,
    [400],
  ],
  [
    "a chunk's length beyond all",
    `${line}${plain}${chunked}\r\n${"f".repeat(18)}\r\n${body}`,
    [400],
  ],
  ["a chunk longer than it says", `${line}${plain}${chunked}\r\n3\r\n${body}\r\n0\r\n\r\n`, [400]],
  ["a folded header", `${line}${plain}X-Fold: a\r\n b\r\n${length}\r\n${body}`, [400]],
  ["a folded encoding", `${line}${plain}Transfer-Encoding:\r\n chunked\r\n\r\n${chunks}`, [400]],
  ["no Host", `${line}Content-Type: application/json\r\n${key}${length}\r\n${body}`, [400]],
  ["a Host with a path and a user", `${line}Host: a@b/c?d#e\r\n${key}${length}\r\n${body}`, [400]],
  ["a Host with a port beyond all", `${line}Host: x:99999\r\n${key}${length}\r\n${body}`, [400]],
  ["a NUL in a header", `${line}${plain}X-A: a\0b\r\n${length}\r\n${body}`, [400]],
  [
    "a control character in a header",
    `${line}${plain}X-A: a\u0001b\r\n${length}\r\n${body}`,
    [400],
  ],
  ["a bare CR in a header", `${line}${plain}X-A: a\rX-B: b\r\n${length}\r\n${body}`, [400]],
  ["a header's name with a space", `${line}${plain}X A: a\r\n${length}\r\n${body}`, [400]],
  ["a header without a name", `${line}${plain}: a\r\n${length}\r\n${body}`, [400]],
  ["a header without a colon", `${line}${plain}nothing\r\n${length}\r\n${body}`, [400]],
  ["bare line feeds", `${line}${plain}${length}\r\n`.replaceAll("\r\n", "\n") + body, [400, 505]],
  ["a giant header", `${line}${plain}X-Big: ${"a".repeat(100_000)}\r\n${length}\r\n${body}`, [431]],
  ["a header of two megabytes", `${line}${plain}X-Big: ${"a".repeat(2_000_000)}\r\n\r\n`, [431]],
  ["3 000 headers", `${line}${plain}${flood(3_000)}${length}\r\n${body}`, [431]],
  ["30 000 headers", `${line}${plain}${flood(30_000)}${length}\r\n${body}`, [431]],
  [
    "a path of a hundred thousand",
    `POST /v1/${"a".repeat(100_000)} HTTP/1.1\r\n${plain}\r\n`,
    [414, 431],
  ],
  [
    "a method that is none",
    `FOO /v1/chat/completions HTTP/1.1\r\n${plain}${length}\r\n${body}`,
    [0, 400, 405, 501],
  ],
  ["TRACE", "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n", [400, 405, 501]],
  [
    "CONNECT",
    "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    [400, 404, 405],
  ],
  ["OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", [400, 404, 405]],
  [
    "a path that is another host's",
    `POST //evil.example/v1/chat/completions HTTP/1.1\r\n${plain}${length}\r\n${body}`,
    [400, 404],
  ],
  ["a path out of the root", "GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", [400, 404]],
  [
    "a path with a NUL",
    `POST /v1/chat/completions%00 HTTP/1.1\r\n${plain}${length}\r\n${body}`,
    [400, 404],
  ],
  ["HTTP/9.9", `POST /v1/chat/completions HTTP/9.9\r\n${plain}${length}\r\n${body}`, [400, 505]],
  ["HTTP/0.9", "GET /\r\n", [0, 400, 505]],
  ["HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [0, 400, 505]],
  ["the start of TLS", `\u0016\u0003\u0001\u0002\0\u0001${"a".repeat(200)}`, [0, 400]],
  ["NULs", "\0\0\0\0\r\n\r\n", [0, 400]],
  [
    "a wrong key before the right one",
    `${line}Authorization: Bearer sk-x\r\n${plain}${length}\r\n${body}`,
    [401],
  ],
  [
    "a wrong key after the right one",
    `${line}${plain}Authorization: Bearer sk-x\r\n${length}\r\n${body}`,
    [401],
  ],
];

function flood(count: number): string {
  return Array.from({ length: count }, (_, i) => `X-${i}: a\r\n`).join("");
}

describe("refused, and no provider asked", () => {
  test.each(refused)("%s", async (_name, request, statuses) => {
    const before = upstream.seen.length;
    const { status, text } = await send(request, { answers: 1 });
    expect(statuses).toContain(status);
    expect(text).not.toMatch(/\.ts:\d+|node_modules/);
    const [first] = splitAnswers(text);
    if (first && first.body !== "") expect(isErrorOf("openai", JSON.parse(first.body))).toBe(true);
    expect(upstream.seen.length).toBe(before);
  });
});

const taken: readonly (readonly [string, readonly string[]])[] = [
  ["a plain request", [`${line}${plain}${length}\r\n${body}`]],
  ["the same length twice", [`${line}${plain}${length}${length}\r\n${body}`]],
  ["chunks", [`${line}${plain}${chunked}\r\n${chunks}`]],
  [
    "chunks with extensions",
    [`${line}${plain}${chunked}\r\n${chunks.replace("\r\n", ";a=b\r\n")}`],
  ],
  [
    "a chunk per byte",
    [`${line}${plain}${chunked}\r\n${[...body].map((c) => `1\r\n${c}\r\n`).join("")}0\r\n\r\n`],
  ],
  ["a byte per write", [...`${line}${plain}${length}\r\n${body}`]],
  [
    "an absolute URL",
    [`POST http://x/v1/chat/completions HTTP/1.1\r\n${plain}${length}\r\n${body}`],
  ],
  [
    "a query that nobody reads",
    [`POST /v1/chat/completions?a=%zz&b HTTP/1.1\r\n${plain}${length}\r\n${body}`],
  ],
  ["Expect: 100-continue", [`${line}${plain}${length}Expect: 100-continue\r\n\r\n`, body]],
  ["a hundred headers", [`${line}${plain}${flood(100)}${length}\r\n${body}`]],
];

describe("answered, once", () => {
  test.each(taken)("%s", async (_name, pieces) => {
    const before = upstream.seen.length;
    const { text } = await send(pieces, { answers: 1 });
    expect(splitAnswers(text).map(({ status }) => status)).toEqual([200]);
    expect(upstream.seen.length).toBe(before + 1);
    expect(upstream.last().body).toEqual({ ...JSON.parse(body) });
  });

  test("HTTP/1.0 gets its answer whole and the end of the connection, without chunks", async () => {
    const whole = await send(`POST /v1/chat/completions HTTP/1.0\r\n${plain}${length}\r\n${body}`);
    expect(whole).toMatchObject({ status: 200, closed: true });
    const streamed = body.replace("{", '{"stream":true,');
    const stream = await send(
      `POST /v1/chat/completions HTTP/1.0\r\n${plain}Content-Length: ${streamed.length}\r\n\r\n${streamed}`,
    );
    expect(stream).toMatchObject({ status: 200, closed: true });
    expect(stream.text).toContain("data: [DONE]\n\n");
    expect(stream.text).not.toMatch(/transfer-encoding: chunked/i);
    expect(stream.text).not.toMatch(/\r\n[0-9a-f]+\r\ndata:/);
  });

  test("one connection, many requests in turn", async () => {
    const before = upstream.seen.length;
    const { promise, resolve } = Promise.withResolvers<void>();
    const request = `${line}${plain}${length}\r\n${body}`;
    let text = "";
    let asked = 1;
    const socket = await Bun.connect({
      hostname: "127.0.0.1",
      port: gateway.gateway.port,
      socket: {
        data(open, bytes) {
          text += bytes.toString("latin1");
          if (splitAnswers(text).length < asked) return;
          if (asked === 20) resolve();
          else open.write(request);
          asked++;
        },
        close: () => resolve(),
      },
    });
    socket.write(request);
    await promise;
    socket.end();
    expect(splitAnswers(text).map(({ status }) => status)).toEqual(Array(20).fill(200));
    expect(upstream.seen.length).toBe(before + 20);
  });

  test("pipelined requests are answered in order, or the connection is closed", async () => {
    const request = `${line}${plain}${length}\r\n${body}`;
    const { text, closed } = await send(request.repeat(3), { answers: 3 });
    const statuses = splitAnswers(text).map(({ status }) => status);
    expect(closed || statuses.length === 3).toBe(true);
    expect(statuses.every((status) => status === 200)).toBe(true);
  });
});

describe("a caller who leaves while sending", () => {
  test("is no failure of ours, and no provider hears of it", async () => {
    const before = upstream.seen.length;
    const { port } = gateway.gateway;
    const leave = (head: string) =>
      new Promise<void>((resolve) => {
        void Bun.connect({
          hostname: "127.0.0.1",
          port,
          socket: {
            open(socket) {
              socket.write(head);
              socket.end();
            },
            data: () => undefined,
            close: () => resolve(),
          },
        });
      });
    const half = body.slice(0, 20);
    await leave(`${line}${plain}${length}\r\n${half}`);
    await leave(`${line}${plain}${chunked}\r\n14\r\n${half}\r\n`);
    await leave(`${line}${plain}`);
    const { text } = await send(`${line}${plain}${length}\r\n${body}`, { answers: 1 });
    expect(splitAnswers(text)[0]?.status).toBe(200);
    expect(upstream.seen.length).toBe(before + 1);
    expect(gateway.log.filter((entry) => entry.includes("failed inside"))).toEqual([]);
  });
});

describe("what never comes whole is not waited for", () => {
  // The runtime's own limit counts in seconds, and rings in steps of four.
  const limit = 1;
  let quick: TestGateway;
  beforeAll(async () => {
    quick = await startTestGateway({
      yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/m, api_key: k, api_base: "${upstream.url}/v1"}}
general_settings: {master_key: sk-master}
routeiq_settings: {timeouts: {receive_ms: ${limit * 1000}}}
`,
      outbound: createOutbound(),
    });
  });
  afterAll(() => quick.gateway.close());

  const big = `Content-Length: ${receiveLimits.smallBytes + 1}\r\n`;
  const cases: readonly (readonly [string, string, readonly number[]])[] = [
    ["nothing at all", "", [0]],
    ["half a head", `${line}Host: x\r\nX-Slow:`, [0, 408]],
    ["half a body", `${line}${plain}${length}\r\n${body.slice(0, 9)}`, [0, 408]],
    ["a big body's beginning", `${line}${plain}${big}\r\n${body}`, [408]],
    ["a chunk and no other", `${line}${plain}${chunked}\r\n4\r\n{"mo\r\n`, [408]],
    [
      "a form's beginning",
      `POST /v1/audio/transcriptions HTTP/1.1\r\nHost: x\r\n${key}Content-Type: multipart/form-data; boundary=b\r\n${big}\r\n--b\r\n`,
      [408],
    ],
    [
      "a count's beginning",
      `POST /v1/messages/count_tokens HTTP/1.1\r\n${plain}${chunked}\r\n`,
      [408],
    ],
  ];
  test.concurrent.each(cases)("%s", async (_name, sent, statuses) => {
    const before = upstream.seen.length;
    const { status, closed, text } = await sendRaw(quick.gateway.port, sent === "" ? [] : [sent], {
      answers: 1,
      limitMs: 20_000,
    });
    expect(statuses).toContain(status);
    expect(closed || status === 408).toBe(true);
    if (status === 408) expect(text).toContain("receive_ms");
    expect(upstream.seen.length).toBe(before);
  });
});

test("after all of it the gateway has failed on nothing", () => {
  expect(gateway.log.filter((entry) => entry.includes("failed inside"))).toEqual([]);
});
