/** A running gateway takes new routers, from a folder and from S3, while calls go on. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { createRoleKey, createRoot } from "../src/learning/artifacts/keys.ts";
import { toS3Settings } from "../src/learning/artifacts/open-repository.ts";
import { publishRelease } from "../src/learning/artifacts/publish.ts";
import { signRelease } from "../src/learning/artifacts/sign.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { createFileObjectStore } from "../src/storage/file/object-store.ts";
import type { ObjectStore } from "../src/storage/object-store.ts";
import { createS3ObjectStore } from "../src/storage/s3/object-store.ts";
import { startTestGateway } from "./support/gateway.ts";
import { missingS3Server, startS3Server } from "./support/s3-server.ts";
import { trainFolder } from "./support/trained.ts";
import { openaiReply } from "./support/upstreams.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-swap-"));
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: () => Response.json(openaiReply),
});
afterAll(async () => {
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

const day = 86_400_000;
const models = ["openai/alpha", "openai/beta"];
const folder = await trainFolder(models);
const keys = (["root", "timestamp", "release"] as const).map((role) => createRoleKey(role));
const [rootKey, timestampKey, releaseKey] = keys as [
  (typeof keys)[number],
  (typeof keys)[number],
  (typeof keys)[number],
];
const root = createRoot({
  keys: { root: [rootKey], timestamp: [timestampKey], release: [releaseKey] },
  thresholds: { root: 1, timestamp: 1, release: 1 },
  expiresMs: systemClock.now() + 365 * day,
});
const rootFile = join(temp, "1.root.json");
writeFileSync(rootFile, root);

async function publish(store: ObjectStore, version: number): Promise<void> {
  const nowMs = systemClock.now();
  const when = { nowMs, expiresMs: nowMs + 90 * day };
  await publishRelease({
    store,
    keys,
    roots: new Map([[1, root]]),
    nowMs,
    timestampExpiresMs: nowMs + 7 * day,
    release: signRelease({ folder, keys: [releaseKey], version, ...when }),
    files: folder.files,
    force: true,
  });
}

const toYaml = (modelPath: string, more: object = {}) =>
  stringify({
    model_list: models.map((model) => ({
      model_name: "best",
      litellm_params: { model, api_base: `${upstream.url.origin}/v1`, api_key: "sk-test" },
    })),
    router_settings: {
      routing_strategy: "llmrouter-linear",
      routing_strategy_args: { model_path: modelPath, model_root: rootFile, ...more },
    },
  });

async function call(url: string): Promise<{ status: number; artifact: string | null }> {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "best",
      messages: [{ role: "user", content: "write a poem, please: item 3 of 21" }],
    }),
  });
  await response.arrayBuffer();
  return { status: response.status, artifact: response.headers.get("x-routeiq-artifact") };
}

test("100 hot swaps under load: 0 failed calls", async () => {
  const store = createFileObjectStore(join(temp, "repository"));
  const { gateway } = await startTestGateway({
    yaml: toYaml(`file://${join(temp, "repository")}`),
    outbound: createOutbound(),
  });
  expect(await call(gateway.url)).toEqual({ status: 200, artifact: "none" });
  expect(gateway.slot.status()).toMatchObject({ status: "missing" });
  await publish(store, 1);
  expect(await gateway.reloadRouter()).toMatchObject({ status: "active", version: 1 });
  let running = true;
  const seen = new Map<string, number>();
  const failed: unknown[] = [];
  const callers = Array.from({ length: 8 }, async () => {
    while (running) {
      const { status, artifact } = await call(gateway.url);
      if (status !== 200 || artifact === "none") failed.push({ status, artifact });
      seen.set(String(artifact), (seen.get(String(artifact)) ?? 0) + 1);
    }
  });
  for (let version = 2; version <= 101; version++) {
    await publish(store, version);
    expect(await gateway.reloadRouter()).toEqual({ status: "active", name: "router", version });
  }
  running = false;
  await Promise.all(callers);
  expect(failed).toEqual([]);
  expect([...seen.keys()].length).toBeGreaterThan(20);
  expect((await call(gateway.url)).artifact).toBe("router@101");
  await gateway.close();
}, 240_000);

test("an unsigned folder is served where that is allowed, and refused with a remedy elsewhere", async () => {
  const path = join(temp, "unsigned");
  for (const [name, bytes] of folder.files) await Bun.write(join(path, name), bytes);
  await Bun.write(join(path, "release.json"), JSON.stringify(sorted(folder.release)));
  const refused = await startTestGateway({ yaml: toYaml(path) });
  expect(refused.gateway.slot.status()).toMatchObject({ status: "refused", code: "threshold" });
  expect(refused.gateway.slot.status().remedy).toContain("allow_unsigned_local: true");
  await refused.gateway.close();
  const allowed = await startTestGateway({
    yaml: toYaml(path, { allow_unsigned_local: true }),
    outbound: createOutbound(),
  });
  await allowed.gateway.reloadRouter();
  expect(await call(allowed.gateway.url)).toEqual({ status: 200, artifact: "router@0" });
  await allowed.gateway.close();
});

/** Keys in order, as canonical JSON has them. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, field]) => [key, sorted(field)]),
  );
}

test("a predecessor's pickle is refused, and readiness says what to do", async () => {
  const { gateway } = await startTestGateway({
    yaml: toYaml("/app/models/router_model.pkl"),
    outbound: createOutbound(),
  });
  expect(await call(gateway.url)).toEqual({ status: 200, artifact: "none" });
  const status = gateway.slot.status();
  expect(status).toMatchObject({ status: "refused", code: "format" });
  expect(status.remedy).toContain("routeiq train");
  await gateway.close();
});

describe.skipIf(missingS3Server !== undefined)("from S3, by polling in the background", () => {
  test("a release is taken within an interval, and a copy serves the next start", async () => {
    const s3 = await startS3Server();
    const store = createS3ObjectStore({
      url: "s3://models/router",
      ...toS3Settings(s3.env),
      outbound: createOutbound(),
      clock: systemClock,
    });
    await publish(store, 1);
    const { gateway, log } = await startTestGateway({
      yaml: toYaml("s3://models/router", { reload_interval: 1 }),
      env: s3.env,
      outbound: createOutbound(),
    });
    await until(() => gateway.slot.status().version === 1);
    await publish(store, 2);
    await until(() => gateway.slot.status().version === 2);
    expect((await call(gateway.url)).artifact).toBe("router@2");
    // The service goes away: the router stays, and it is told.
    await s3.stop();
    expect(await gateway.reloadRouter()).toMatchObject({ status: "active", code: "fetch" });
    expect((await call(gateway.url)).artifact).toBe("router@2");
    expect(log.some((line) => line.includes("artifact.active"))).toBe(true);
    await gateway.close();
    store.close();
  }, 60_000);
});

async function until(condition: () => boolean): Promise<void> {
  const endUs = systemClock.monotonicUs() + 30_000_000;
  while (!condition()) {
    if (systemClock.monotonicUs() > endUs) throw new Error("it did not come to that");
    await new Promise<void>((resolve) => systemClock.after(20, resolve) && undefined);
  }
}
