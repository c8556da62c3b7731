/** Bad input to the compiled binary: a clear error each, in the caller's dialect, no stack, no 500. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createSimulatedProviders } from "../../src/cli/demo/simulated-providers.ts";
import { createFolder, type RunningGateway, startGateway } from "../support/binary.ts";

const simulated = createSimulatedProviders({ speed: Number.POSITIVE_INFINITY });
const folder = createFolder();
let gateway: RunningGateway;

const bodyLimit = 200_000;

beforeAll(async () => {
  gateway = await startGateway({
    cwd: folder.path,
    config: {
      model_list: simulated.entries,
      general_settings: { master_key: "sk-master" },
      routeiq_settings: { body_limit_bytes: bodyLimit },
    },
  });
});
afterAll(async () => {
  await gateway?.stop();
  await simulated.close();
  folder.remove();
});

const good = { model: "sim-swift", messages: [{ role: "user", content: "Hi!" }] };
const json = { "content-type": "application/json", authorization: "Bearer sk-master" };

function post(
  body: string | Uint8Array,
  headers: Record<string, string> = json,
  path = "chat/completions",
) {
  return fetch(`${gateway.url}/v1/${path}`, { method: "POST", headers, body: body as BodyInit });
}

test("the body reaches the handler (identifier mangling would lose it in Elysia)", async () => {
  const response = await post(JSON.stringify(good));
  expect(response.status).toBe(200);
  expect(JSON.stringify(await response.json())).toContain("Simulated answer by sim-swift");
});

const text = JSON.stringify(good);
const cases: readonly (readonly [string, number, () => Promise<Response>])[] = [
  ["broken JSON", 400, () => post('{"model": "sim-swift", "messages": [')],
  ["JSON that is no object", 400, () => post("[1, 2]")],
  ["an empty body", 400, () => post("")],
  ["bad UTF-8", 400, () => post(new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]))],
  ["no model", 400, () => post(JSON.stringify({ messages: good.messages }))],
  ["messages of a wrong type", 400, () => post(JSON.stringify({ ...good, messages: "Hi!" }))],
  ["an unknown model", 400, () => post(JSON.stringify({ ...good, model: "nope" }))],
  ["an unknown path", 404, () => post(text, json, "chat/complete")],
  [
    "a body over the limit",
    413,
    () => post(JSON.stringify({ ...good, pad: "x".repeat(bodyLimit) })),
  ],
  ["a body encoding", 415, () => post(text, { ...json, "content-encoding": "gzip" })],
  ["a wrong content type", 415, () => post(text, { ...json, "content-type": "text/xml" })],
  ["no key", 401, () => post(text, { "content-type": "application/json" })],
  ["a wrong key", 401, () => post(text, { ...json, authorization: "Bearer sk-wrong" })],
  ["a bad dial", 400, () => post(text, { ...json, "x-routeiq-tradeoff": "2" })],
  ["a wrong method", 405, () => fetch(`${gateway.url}/v1/chat/completions`, { headers: json })],
];

describe("OpenAI's form of error", () => {
  test.each(cases)("%s: %d", async (_name, status, send) => {
    const response = await send();
    const body = await response.text();
    expect({ status: response.status, body }).toMatchObject({ status });
    const { error } = JSON.parse(body);
    expect(Object.keys(error).sort()).toEqual(["code", "message", "param", "type"]);
    expect(error.message.length).toBeGreaterThan(10);
    expect(body).not.toMatch(/at .*\.ts:\d+|node_modules|\$bunfs/);
    expect(response.headers.get("x-request-id")).toBeTruthy();
  });
});

test("Anthropic's form of error on Anthropic's route", async () => {
  const response = await post('{"model": 1', json, "messages");
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    type: "error",
    error: { type: "invalid_request_error" },
  });
});

test("a Host that is no host does not break it", async () => {
  const port = Number(new URL(gateway.url).port);
  const { promise, resolve } = Promise.withResolvers<string>();
  let answer = "";
  const socket = await Bun.connect({
    hostname: "127.0.0.1",
    port,
    socket: {
      data(_socket, bytes) {
        answer += bytes.toString();
        if (answer.includes("\r\n\r\n")) resolve(answer);
      },
      close: () => resolve(answer),
    },
  });
  socket.write("GET /_health/live HTTP/1.1\r\nHost: a b\\c:99999999\r\nConnection: close\r\n\r\n");
  const head = await promise;
  socket.end();
  expect(head).toMatch(/^HTTP\/1\.1 (200|400)/);
  expect((await post(text)).status).toBe(200); // and it goes on
});
