/**
 * A mock server made from OpenAI's own OpenAPI document stands behind the gateway, and judges what it
 * is sent: whatever dialect a caller speaks, the requests are valid, every one of them.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync } from "bun";
import type { JsonObject } from "../../src/domain/json.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { freePort } from "../support/binary.ts";
import { clientsFolder, hasClient, titleOf } from "../support/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { readOpenApi } from "../support/openapi.ts";
import { richRequests } from "../torture/nonsense.ts";

const data =
  process.env["ROUTEIQ_TEST_DATA"] ?? join(import.meta.dir, "..", "..", "..", "shared", "data");
const document = Bun.file(join(data, "specs", "openai.openapi.json.gz"));
const here = hasClient("@stdy/cli") && (await document.exists());
const title = titleOf("before a mock of OpenAI's document", "@stdy/cli");

interface Judged {
  readonly path: string;
  readonly valid: boolean;
  readonly errors: readonly string[];
}

const api = await readOpenApi(join(data, "specs", "openai.openapi.json.gz"));

/**
 * The mock cannot tell the variants of a response's input apart: it finds fault with the document's
 * own examples. These are judged by the document itself.
 */
function problemsOf(sent: ArrayBuffer | undefined): readonly string[] {
  const body: unknown = JSON.parse(new TextDecoder().decode(sent));
  return api?.problems("CreateResponse", body) ?? [];
}

function errorsIn(headers: Headers): string[] {
  const count = Number(headers.get("x-steady-error-count") ?? 0);
  const of = (i: number, what: string) => headers.get(`x-steady-error-${i + 1}-${what}`);
  return Array.from({ length: count }, (_, i) => `${of(i, "path")}: ${of(i, "message")}`);
}

/** Hands requests on to the mock, and keeps its verdicts. */
function startJudge(mock: string, judged: Judged[]) {
  return Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const sent = request.body ? await request.arrayBuffer() : undefined;
      const response = await fetch(`${mock}${pathname.replace(/^\/v1/, "")}${search}`, {
        method: request.method,
        headers: request.headers,
        ...(sent ? { body: sent } : {}),
      });
      const { headers } = response;
      const own = pathname.endsWith("/responses") ? problemsOf(sent) : undefined;
      judged.push({
        path: pathname,
        valid: own ? own.length === 0 : headers.get("x-steady-request-valid") === "true",
        errors: own ?? errorsIn(headers),
      });
      const type = headers.get("content-type") ?? "application/json";
      const { status } = response;
      return new Response(await response.arrayBuffer(), {
        status,
        headers: { "content-type": type },
      });
    },
  });
}

async function startMock(folder: string): Promise<{ url: string; stop(): void }> {
  const file = join(folder, "openai.json");
  await Bun.write(file, gunzipSync(await document.bytes()));
  const port = freePort();
  const child = Bun.spawn(
    [
      "node",
      join(clientsFolder, "node_modules/@stdy/cli/steady.js"),
      "-p",
      String(port),
      "--log=false",
      file,
    ],
    { stdout: "ignore", stderr: "ignore" },
  );
  const url = `http://127.0.0.1:${port}`;
  for (let i = 0; i < 600 && child.exitCode === null; i++) {
    const up = await fetch(`${url}/_x-steady/health`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (up) return { url, stop: () => child.kill() };
    await Bun.sleep(50);
  }
  child.kill();
  throw new Error("the mock did not start");
}

describe.skipIf(!here)(title, () => {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-mock-"));
  const judged: Judged[] = [];
  let mock: { url: string; stop(): void };
  let judge: ReturnType<typeof startJudge>;
  let gateway: TestGateway;

  beforeAll(async () => {
    mock = await startMock(folder);
    judge = startJudge(mock.url, judged);
    const at = `api_key: k, api_base: "http://127.0.0.1:${judge.port}/v1"`;
    gateway = await startTestGateway({
      yaml: `
model_list:
  - {model_name: m, litellm_params: {model: openai/gpt-4o, ${at}}}
  - {model_name: claude, litellm_params: {model: openai/responses/gpt-5, ${at}}}
  - {model_name: whisper, litellm_params: {model: openai/whisper-1, ${at}}, model_info: {mode: audio_transcription}}
  - {model_name: embed, litellm_params: {model: openai/text-embedding-3-small, ${at}}}
litellm_settings: {drop_params: true}
router_settings: {num_retries: 0, disable_cooldowns: true}
`,
      outbound: createOutbound(),
    });
  });
  afterAll(async () => {
    await gateway?.gateway.close();
    await judge?.stop(true);
    mock?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function verdictOn(path: string, init: RequestInit): Promise<Judged> {
    const before = judged.length;
    const response = await fetch(`${gateway.gateway.url}${path}`, { method: "POST", ...init });
    const text = await response.text();
    const verdict = judged[before];
    if (!verdict) throw new Error(`nothing reached the provider: ${response.status} ${text}`);
    return verdict;
  }

  const json = (body: JsonObject): RequestInit => ({
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });

  // A mix of texts and tokens is no input of OpenAI's; the gateway leaves that to providers.
  const sendable = richRequests.filter(
    ({ name }) => name !== "rerank" && !name.startsWith("count of") && name !== "embeddings",
  );
  test.each(sendable)("$name", async ({ path, body }) => {
    expect(await verdictOn(path, json(body))).toMatchObject({ valid: true, errors: [] });
  });

  test.each([
    ["a text", { input: "a" }],
    ["texts", { input: ["a", "b"], encoding_format: "base64" }],
    ["tokens", { input: [1, 2, 3], dimensions: 8 }],
    ["lists of tokens", { input: [[1], [2, 3]] }],
  ])("embeddings of %s", async (_name, more) => {
    const body = { model: "embed", ...more };
    expect(await verdictOn("/v1/embeddings", json(body))).toMatchObject({
      valid: true,
      errors: [],
    });
  });

  test("a transcription's form", async () => {
    const form = new FormData();
    form.set("file", new File([new Uint8Array(100)], "a.wav", { type: "audio/wav" }));
    form.set("model", "whisper");
    form.set("language", "en");
    const verdict = await verdictOn("/v1/audio/transcriptions", { body: form });
    expect(verdict).toMatchObject({ valid: true, errors: [] });
  });

  test("the gateway's own fields do not get there", async () => {
    const body = {
      model: "m",
      messages: [{ role: "user", content: "hi" }],
      num_retries: 0,
      timeout: 30,
      fallbacks: [],
      litellm_session_id: "s",
    };
    const verdict = await verdictOn("/v1/chat/completions", json(body));
    expect(verdict).toMatchObject({ valid: true, errors: [] });
  });

  test("what is wrong is found", async () => {
    const body = {
      model: "m",
      messages: [{ role: "user", content: "hi" }],
      top_p: 3,
      modalities: 7,
    };
    expect((await verdictOn("/v1/chat/completions", json(body))).valid).toBe(false);
  });
});
