/** A learned call, from the gateway through the event log to `why --artifact`: the same scores again. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { commands } from "../src/cli/registry.ts";
import { openCopy } from "../src/cli/replay-artifact.ts";
import { runCommandLine } from "../src/cli/run.ts";
import { sha256Hex } from "../src/learning/artifacts/canonical.ts";
import { writeArtifactFolder } from "../src/learning/artifacts/folder.ts";
import { routerPaths } from "../src/routing/router-format.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { openEvents } from "../src/storage/sqlite/read-events.ts";
import { craft } from "./support/artifact-repository.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { trainFolder } from "./support/trained.ts";
import { openaiReply } from "./support/upstreams.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-replay-"));
const models = ["openai/alpha", "openai/beta"];
const artifact = join(temp, "artifact");
const other = join(temp, "other");
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => Response.json(openaiReply),
});
let running: TestGateway;
let callId = "";

beforeAll(async () => {
  for (const [path, names] of [
    [artifact, models],
    [other, [...models].reverse()],
  ] as const) {
    const { files } = await trainFolder(names);
    const selfTest = { input: routerPaths.queries, output: routerPaths.scores };
    const provenance = { strategy: "llmrouter-linear" };
    await writeArtifactFolder(path, { name: "router", files, selfTest, provenance });
  }
  running = await startTestGateway({
    yaml: stringify({
      model_list: models.map((model) => ({
        model_name: "best",
        litellm_params: { model, api_base: `${upstream.url.origin}/v1`, api_key: "sk-test" },
      })),
      router_settings: {
        routing_strategy: "llmrouter-linear",
        routing_strategy_args: { model_path: artifact, allow_unsigned_local: true },
      },
    }),
    outbound: createOutbound(),
  });
  await running.gateway.reloadRouter();
  const response = await fetch(`${running.gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "best",
      messages: [{ role: "user", content: "write a poem, please: item 3 of 21" }],
    }),
  });
  await response.arrayBuffer();
  callId = response.headers.get("x-routeiq-call-id") ?? "";
  await until(async () => (await running.gateway.events.findReceipt(callId)) !== undefined);
  await running.gateway.events.flush();
});
afterAll(async () => {
  await running.gateway.close();
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

/** The event is appended just after the reply: a turn or two of the loop later. */
async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise(setImmediate);
}

async function why(...words: string[]) {
  let out = "";
  let error = "";
  const code = await runCommandLine({
    words: ["why", callId, "--data-dir", running.dataDir, ...words],
    commands,
    defaultCommand: "why",
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (error += text) },
    env: {},
    signal: new AbortController().signal,
  });
  return { code, out, error };
}

describe("the gateway's own copy of the router that decided", () => {
  /** As the poller keeps it. */
  async function keepCopy(dataDir: string, version: number): Promise<string> {
    const { files } = await trainFolder(models);
    const folder = join(dataDir, "artifacts", "router-0123456789ab");
    const plain = Object.fromEntries(files);
    for (const [key, bytes] of craft({ version, files: plain, release: selfTestOf(plain) })) {
      await Bun.write(join(folder, key), bytes);
    }
    return folder;
  }
  const selfTestOf = (files: Readonly<Record<string, Uint8Array>>) => ({
    self_test: {
      input_sha256: sha256Hex(files[routerPaths.queries] ?? new Uint8Array()),
      output_sha256: sha256Hex(files[routerPaths.scores] ?? new Uint8Array()),
    },
  });

  test("is found by name and version, and is no use once it is damaged", async () => {
    const dataDir = mkdtempSync(join(temp, "copy-"));
    const folder = await keepCopy(dataDir, 7);
    const router = await openCopy(dataDir, "router@7");
    expect([router.labels, router.identity.version]).toEqual([models, 7]);
    router.close();
    expect(openCopy(dataDir, "router@8")).rejects.toThrow(/holds no copy of router@8.*--artifact/s);
    expect(openCopy(dataDir, "other@7")).rejects.toThrow(/holds no copy/);
    const blobs = join(folder, "blobs", "sha256");
    for (const name of readdirSync(blobs)) await Bun.write(join(blobs, name), "damaged");
    expect(openCopy(dataDir, "router@7")).rejects.toThrow(/is damaged/);
  });

  test("is asked for by --replay alone; where none is kept, why says what to name", async () => {
    const { code, error } = await why("--replay");
    expect([code, error]).toEqual([1, expect.stringContaining("--artifact FOLDER")]);
  });
});

describe("a learned decision", () => {
  test("is logged with its features and scores", async () => {
    const reader = openEvents(running.dataDir);
    const event = reader.find(callId);
    reader.close();
    expect(event?.features?.embedding.length).toBeGreaterThan(0);
    expect(event?.receipt.decision).toMatchObject({ strategy: "llmrouter-linear" });
    expect(event?.receipt.decision?.candidates).toHaveLength(2);
    expect(event?.receipt.decision?.candidates[0]?.quality).toBeNumber();
  });

  test("has the same scores when executed again, bit for bit", async () => {
    const { code, out } = await why("--artifact", artifact, "--json");
    expect(code).toBe(0);
    expect(JSON.parse(out).replay).toEqual({
      compared: 2,
      largestDifference: 0,
      same: true,
      exact: true,
      chosen: expect.stringContaining("openai/"),
    });
    expect((await why("--artifact", artifact)).out).toContain(
      "the same scores for 2 candidates, bit for bit",
    );
  });

  test("has other scores under another artifact, and why says so", async () => {
    const { code, out } = await why("--artifact", other);
    expect(out).toContain("the scores differ");
    expect(code).toBe(1);
    const nowhere = await why("--artifact", "/nowhere");
    expect([nowhere.code, nowhere.error]).toEqual([1, expect.stringContaining("/nowhere")]);
  });
});
