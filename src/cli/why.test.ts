/** `why`: what it prints, and where it looks. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { anyEvent, callEvent, callIdOf } from "../../test/support/events.ts";
import type { Receipt } from "../domain/decision.ts";
import { systemClock } from "../std/clock.ts";
import { createRandom } from "../std/random.ts";
import { createBatchBuilder } from "../storage/event-batch.ts";
import { defaultRetention } from "../storage/event-log.ts";
import { createSqliteEventSink } from "../storage/sqlite/event-sink.ts";
import { showReceipt } from "./receipt-text.ts";
import { runCommandLine } from "./run.ts";
import { whyCommand } from "./why.ts";

const receipt: Receipt = {
  callId: callIdOf(1),
  requestId: "r",
  atMs: Date.UTC(2026, 10, 25, 22, 57, 52),
  caller: "master",
  requestedModel: "auto",
  operation: "chat",
  stream: true,
  decision: {
    strategy: "llmrouter-knn",
    artifact: "router@12",
    reason: "utility",
    candidates: [
      {
        model: "openai/small",
        group: "auto",
        quality: 0.812,
        uncertainty: 0.12,
        costUsd: 0.00012,
        outputTokens: 211.4,
        utility: 0.79,
        probability: 1,
      },
      {
        model: "anthropic/large",
        group: "auto",
        quality: 0.9,
        costUsd: 0.0123,
        utility: 0.41,
        prior: true,
        probability: 0,
      },
      { model: "groq/short", group: "auto", filtered: "context_window", probability: 0 },
    ],
    chosen: "openai/small",
    dial: { tradeoff: 0.5 },
    novelty: 0.1,
    neighbours: [{ row: 17, similarity: 0.91 }],
    decisionUs: 21.5,
  },
  attempts: [
    {
      deployment: "d1",
      model: "openai/small",
      provider: "openai",
      startedAtMs: 0,
      durationMs: 31,
      status: 500,
      outcome: "failed",
      error: "upstream_failed",
      because: "first",
    },
  ],
  deployment: "d1",
  outcome: "success",
  finishReason: "stop",
  usage: { inputTokens: 100, outputTokens: 200, cachedInputTokens: 40 },
  costMicroUsd: 135,
  timings: { decisionUs: 21.5, overheadUs: 110, firstTokenMs: 223, totalMs: 12_345 },
  feedback: [{ callId: "c", score: 1, source: "user", comment: "go\u001b[2J od", atMs: 0 }],
};

describe("a receipt as text", () => {
  test("says what was considered, chosen, why, and what came of it", () => {
    expect(showReceipt(receipt).join("\n")).toBe(
      `
Call 0199a1b2-0000-7000-8000-000000000001  2026-11-25 22:57:52 UTC
  asked for auto (chat, streaming) by master
  outcome   success (stop), deployment d1
  chosen    openai/small, because it has the best utility: quality less what it costs, at this trade-off
  strategy  llmrouter-knn, artifact router@12, trade-off 0.5, novelty 0.10, 22 µs

Candidates
     model                          quality       cost  tokens out  utility     p
  →  openai/small             0.812 ± 0.120  $0.000120         211    0.790  1.00
     anthropic/large (prior)          0.900    $0.0123           –    0.410  0.00
    groq/short  left out: its context window is too small

Nearest training rows (similarity): 17 (0.91)

Attempts
     model         because  status  outcome                   took  deployment
  1  openai/small  first       500  failed: upstream_failed  31 ms  d1

  timings   0.11 ms in the gateway before the upstream, first token 223 ms, 12.3 s in all
  tokens    100 in (40 cached), 200 out
  cost      $0.000135
  feedback  1 by user: "go [2J od"
`.trim(),
    );
  });

  test.each(Array.from({ length: 30 }, (_, seed) => [seed]))(
    "any receipt can be shown (%d)",
    (seed) => {
      const lines = showReceipt(anyEvent(createRandom(seed)).receipt);
      expect(lines.join("")).not.toMatch(/\p{Cc}|undefined|NaN/u);
    },
  );
});

describe("routeiq why", () => {
  const dataDir = mkdtempSync(join(tmpdir(), "routeiq-why-"));
  const asked: (string | null)[] = [];
  let server: ReturnType<typeof Bun.serve>;

  beforeAll(() => {
    const builder = createBatchBuilder();
    builder.add(callEvent(1));
    const options = { dataDir, retention: defaultRetention, clock: systemClock };
    const sink = createSqliteEventSink({ ...options, log: () => undefined });
    sink.write(builder.take().bytes);
    sink.close();
    server = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch(request) {
        asked.push(request.headers.get("authorization"));
        const error = { message: "No such key.", type: "x", param: null, code: "x" };
        if (request.url.endsWith("refused")) return Response.json({ error }, { status: 401 });
        if (request.url.endsWith("broken")) return new Response("<html>", { status: 502 });
        return Response.json(receipt);
      },
    });
  });
  afterAll(async () => {
    await server.stop(true);
    rmSync(dataDir, { recursive: true });
  });

  async function why(words: string[], env: Record<string, string> = {}) {
    const written = { out: "", error: "" };
    const code = await runCommandLine({
      words: ["why", ...words],
      commands: { why: () => Promise.resolve(whyCommand) },
      defaultCommand: "why",
      stdout: { write: (text) => (written.out += text) },
      stderr: { write: (text) => (written.error += text) },
      env,
      signal: new AbortController().signal,
    });
    return { code, ...written };
  }

  test("asks the gateway, with its key", async () => {
    const url = server.url.origin;
    const { code, out } = await why([callIdOf(1), "--url", url], { ROUTEIQ_API_KEY: "k" });
    expect([code, asked.at(-1)]).toEqual([0, "Bearer k"]);
    expect(out).toContain("→  openai/small");
    const json = await why([callIdOf(1), "--json"], { ROUTEIQ_URL: url });
    expect(JSON.parse(json.out)).toEqual(receipt);
  });

  test("reads the folder where no gateway runs, and says so", async () => {
    const { port } = server;
    const free = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response() });
    const unused = String(free.port);
    await free.stop(true);
    expect(unused).not.toBe(String(port));
    const { code, out, error } = await why([callIdOf(1)], {
      PORT: unused,
      ROUTEIQ_DATA_DIR: dataDir,
    });
    expect([code, error]).toEqual([0, expect.stringContaining("No gateway runs")]);
    expect(out).toContain(callIdOf(1));
    expect((await why([callIdOf(1), "--data-dir", dataDir])).code).toBe(0);
    const gone = await why([callIdOf(1), "--url", `http://127.0.0.1:${unused}`]);
    expect(gone.code).toBe(1); // asked for by name: no silent second place
  });

  test.each([
    [[], 2, "needs call_id"],
    [["x", "--url", "no url"], 2, "takes a URL"],
    [["refused"], 1, "No such key. Set ROUTEIQ_API_KEY"],
    [["broken"], 1, "status 502"],
    [["x", "--data-dir", "/nowhere"], 1, "no event log at /nowhere"],
  ] as [string[], number, string][])("%p ends with %d: %s", async (words, status, says) => {
    const here = words.length === 1 ? ["--url", server.url.origin] : [];
    const { code, error } = await why([...words, ...here]);
    expect(error).toContain(says);
    expect(code).toBe(status);
  });
});
