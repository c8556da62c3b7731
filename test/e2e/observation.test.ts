/**
 * The compiled binary remembers its calls: receipts, feedback, `why` with and without a gateway,
 * spans to a collector; SIGTERM costs nothing, a kill -9 at most one batch.
 */
import { Database } from "bun:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Receipt } from "../../src/domain/decision.ts";
import { batchRowLimit } from "../../src/storage/event-batch.ts";
import { createFolder, type RunningGateway, runBinary, startGateway } from "../support/binary.ts";
import { readTraces } from "../support/otlp.ts";

const folder = createFolder();
const data = join(folder.path, ".routeiq");
const spanNames: string[] = [];
const collector = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    if (!request.url.endsWith("/v1/traces")) return Response.json({});
    const { spans } = readTraces(await request.bytes());
    spanNames.push(...spans.map(({ name }) => name));
    return Response.json({});
  },
});
let gateway: RunningGateway;
let callId = "";

const start = (env: Record<string, string> = {}) => startGateway({ cwd: folder.path, env });

beforeAll(async () => {
  gateway = await start({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url.origin });
});
afterAll(async () => {
  await gateway?.stop();
  await collector.stop(true);
  folder.remove();
});

async function ask(): Promise<string> {
  const response = await fetch(`${gateway.url}/v1/embeddings`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model: "sim-embed", input: "a text" }),
  });
  await response.arrayBuffer();
  expect(response.status).toBe(200);
  return response.headers.get("x-routeiq-call-id") ?? "";
}

function count(): number {
  const db = new Database(join(data, "events.db"), { readonly: true });
  const { n } = db.query("SELECT count(*) AS n FROM events").get() as { n: number };
  db.close();
  return n;
}

describe("the binary's memory", () => {
  test("a receipt with feedback, from the gateway and from why", async () => {
    callId = await ask();
    const feedback = await fetch(`${gateway.url}/v1/feedback`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ call_id: callId, thumbs: "up", comment: "good" }),
    });
    expect(feedback.status).toBe(202);
    const asked = await runBinary(["why", callId, "--url", gateway.url, "--json"], {
      cwd: folder.path,
    });
    expect([asked.exitCode, asked.stderr]).toEqual([0, ""]);
    const receipt = JSON.parse(asked.stdout) as Receipt;
    expect(receipt).toMatchObject({
      callId,
      outcome: "success",
      feedback: [{ score: 1, comment: "good" }],
    });
  });

  test("SIGTERM loses nothing: calls are in the log, spans at the collector", async () => {
    await Promise.all(Array.from({ length: 200 }, ask));
    expect(await gateway.stop()).toBe(0);
    expect(count()).toBe(201);
    expect(spanNames.filter((name) => name === "embeddings sim-embed").length).toBeGreaterThan(200);
    const { exitCode, stdout } = await runBinary(["why", callId, "--data-dir", data], {
      cwd: folder.path,
    });
    expect(exitCode).toBe(0);
    expect(stdout).toContain('feedback  1 by user: "good"');
  });

  test("kill -9 costs at most one batch, and the log goes on", async () => {
    gateway = await start();
    await Promise.all(Array.from({ length: 100 }, ask));
    gateway.kill("SIGKILL");
    await gateway.exited;
    const kept = count();
    expect(kept).toBeWithin(Math.max(201, 301 - batchRowLimit), 302);
    gateway = await start();
    await ask();
    await gateway.stop();
    expect(count()).toBe(kept + 1);
  });
});
