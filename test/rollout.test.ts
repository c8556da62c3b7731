/** A real gateway leads releases into force: a folder repository, a canary by user, the admin API, the CLI. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { commands } from "../src/cli/registry.ts";
import type { ArtifactFolder } from "../src/learning/artifacts/folder.ts";
import { createRoleKey, createRoot } from "../src/learning/artifacts/keys.ts";
import { publishRelease } from "../src/learning/artifacts/publish.ts";
import { signRelease } from "../src/learning/artifacts/sign.ts";
import type { ShadowReport } from "../src/learning/rollout/shadow-report.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { createFileObjectStore } from "../src/storage/file/object-store.ts";
import { startTestGateway } from "./support/gateway.ts";
import { trainFolder } from "./support/trained.ts";
import { openaiReply } from "./support/upstreams.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-rollout-"));
let upstreamCalls = 0;
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    upstreamCalls++;
    const { model } = (await request.json()) as { model: string };
    // Alpha is broken: a release that prefers it is a bad one.
    if (model === "alpha") return Response.json({ error: { message: "broken" } }, { status: 500 });
    return Response.json(openaiReply);
  },
});
afterAll(async () => {
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

const day = 86_400_000;
const models = ["openai/alpha", "openai/beta"];
// The query below is of the second topic, which the second model is trained to answer best.
const good = await trainFolder(models);
const bad = await trainFolder([...models].reverse());
const [rootKey, timestampKey, releaseKey] = [
  createRoleKey("root"),
  createRoleKey("timestamp"),
  createRoleKey("release"),
];
const keys = [rootKey, timestampKey, releaseKey];
const root = createRoot({
  keys: { root: [rootKey], timestamp: [timestampKey], release: [releaseKey] },
  thresholds: { root: 1, timestamp: 1, release: 1 },
  expiresMs: systemClock.now() + 365 * day,
});
const rootFile = join(temp, "1.root.json");
writeFileSync(rootFile, root);
const repository = join(temp, "repository");

async function publish(version: number, folder: ArtifactFolder): Promise<void> {
  const nowMs = systemClock.now();
  await publishRelease({
    store: createFileObjectStore(repository),
    keys,
    roots: new Map([[1, root]]),
    nowMs,
    timestampExpiresMs: nowMs + 7 * day,
    release: signRelease({
      folder,
      keys: [releaseKey],
      version,
      nowMs,
      expiresMs: nowMs + 90 * day,
    }),
    files: folder.files,
    force: true,
  });
}

const toYaml = (rollout: object) =>
  stringify({
    model_list: models.map((model) => ({
      model_name: "best",
      litellm_params: { model, api_base: `${upstream.url.origin}/v1`, api_key: "sk-test" },
    })),
    router_settings: {
      num_retries: 0,
      disable_cooldowns: true,
      routing_strategy: "llmrouter-linear",
      routing_strategy_args: {
        model_path: `file://${repository}`,
        model_root: rootFile,
        hot_reload: false,
        rollout,
      },
    },
  });

async function call(url: string, user: string) {
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "best",
      user,
      messages: [{ role: "user", content: `write a poem, please: item 3 of ${user}` }],
    }),
  });
  await response.arrayBuffer();
  return {
    status: response.status,
    artifact: response.headers.get("x-routeiq-artifact"),
    id: response.headers.get("x-routeiq-call-id"),
  };
}

const users = Array.from({ length: 40 }, (_, i) => `user-${i}`);

async function run(name: string, url: string, flags: Record<string, string | boolean> = {}) {
  const command = await commands[name]?.();
  const lines: string[] = [];
  const code = await command?.run({
    args: [],
    flags: { url, ...flags },
    env: {},
    signal: new AbortController().signal,
    out: {
      line: (text) => void lines.push(text),
      json: () => undefined,
      note: () => undefined,
      progress: () => undefined,
      terminal: false,
    },
  });
  expect(code).toBe(0);
  return lines.join("\n");
}

test("a good release comes in by way of a canary, a bad one is taken back; no user changes sides", async () => {
  const { gateway, log } = await startTestGateway({
    // The upstream answers at once, so that latency is a matter of who else is served at the moment.
    yaml: toYaml({
      canary: { share: 0.5, min_calls: 60 },
      thresholds: { latency_factor: 100 },
    }),
    outbound: createOutbound(),
  });
  const { url } = gateway;
  const status = async () =>
    (await (await fetch(`${url}/admin/model/status`)).json()) as {
      active: { version: number } | null;
      staged: { version: number; stage: string; share?: number } | null;
      verdicts: { arm: string; healthy: boolean; regression?: string; calls: number }[];
    };
  await publish(1, good);
  await gateway.reloadRouter();
  expect((await call(url, "user-1")).artifact).toBe("router@1");
  await publish(2, good);
  await gateway.reloadRouter();
  await until(async () => (await status()).staged?.stage === "canary");
  expect(await run("models status", url)).toContain("router@2: canary, 50 % of the calls");

  const sides = new Map<string, string | null>();
  const first = await Promise.all(users.map((user) => call(url, user)));
  for (const [i, { status: code, artifact }] of first.entries()) {
    expect(code).toBe(200);
    sides.set(users[i] as string, artifact);
  }
  expect(new Set(sides.values())).toEqual(new Set(["router@1", "router@2"]));
  const again = await Promise.all(users.map((user) => call(url, user)));
  expect(again.map(({ artifact }) => artifact)).toEqual(
    users.map((user) => sides.get(user) ?? null),
  );
  // The receipt says which side, and how it was drawn; from the database as from memory.
  await gateway.events.flush();
  for (const { id, artifact } of first.slice(0, 6)) {
    const receipt = await gateway.events.findReceipt(String(id));
    const isCanary = artifact === "router@2";
    expect(receipt?.decision?.arm).toMatchObject({
      variant: isCanary ? "canary" : "active",
      probability: 0.5,
      keyType: "user",
      buckets: 10_000,
    });
    expect((receipt?.decision?.arm?.bucket ?? 0) < 5_000).toBe(isCanary);
  }
  for (let i = 0; i < 4; i++) await Promise.all(users.map((user) => call(url, user)));
  await until(async () => (await status()).active?.version === 2);
  expect((await call(url, "user-1")).artifact).toBe("router@2");
  expect((await status()).verdicts).toMatchObject([{ arm: "router@2", healthy: true }]);

  await publish(3, bad);
  await gateway.reloadRouter();
  await until(async () => (await status()).staged?.version === 3);
  await until(async () => (await status()).staged?.stage === "canary");
  let failed = 0;
  for (let i = 0; i < 5 && (await status()).staged !== null; i++) {
    for (const user of users) {
      const { status: code, artifact } = await call(url, user);
      if (code !== 200) failed++;
      expect(code === 200).toBe(artifact === "router@2"); // the old one never failed
      if ((await status()).staged === null) break;
    }
  }
  await until(async () => (await status()).staged === null);
  const { active, verdicts } = await status();
  expect(active?.version).toBe(2);
  expect(verdicts[0]).toMatchObject({ arm: "router@3", healthy: false, regression: "errors" });
  expect(failed).toBeLessThanOrEqual(30);
  expect(log.some((line) => line.includes("rollout.dropped"))).toBe(true);
  await gateway.reloadRouter();
  expect((await status()).staged).toBeNull(); // it stays away

  // By hand, with the command line: a canary for nobody to see but those who look, then back.
  await publish(4, good);
  expect(await run("models stage", url)).toContain("router@4: staged");
  expect(await run("models canary", url, { share: "0.25" })).toContain("canary, 25 % of the calls");
  expect(await run("models promote", url)).toContain("in force  router@4");
  expect(await run("models rollback", url, { reason: "try" })).toContain("in force  router@2");
  expect(await run("models status", url)).toContain("router@4 taken back");
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('routeiq_rollout_transitions_total{to="canary"}');
  const info = (await (await fetch(`${url}/router/info`)).json()) as { registry: object };
  expect(info.registry).toMatchObject({ staged_strategies: [] });
  await gateway.close();
}, 60_000);

test("in the shadow a release scores what the other decides, asks no provider, and says how they differ", async () => {
  const { gateway } = await startTestGateway({
    yaml: toYaml({ shadow: { min_calls: 60 }, promote: "manual" }),
    outbound: createOutbound(),
  });
  const { url } = gateway;
  const staged = async () => {
    const status = await (await fetch(`${url}/admin/model/status`)).json();
    return (status as { staged: Record<string, unknown> & { shadow?: ShadowReport } }).staged;
  };
  await gateway.reloadRouter();
  const before = (await call(url, "user-1")).artifact;
  await publish(10, bad);
  await gateway.reloadRouter();
  await until(async () => (await staged())?.["stage"] === "shadow");
  const asked = upstreamCalls;
  let calls = 0;
  await until(async () => {
    for (const user of users.slice(0, 10)) {
      expect((await call(url, user)).artifact).toBe(before);
      calls++;
    }
    await gateway.events.flush();
    return (await staged())["ready"] === true;
  });
  expect(upstreamCalls - asked).toBe(calls);
  const { shadow } = await staged();
  expect(shadow).toMatchObject({ version: 10, failed: 0, agreement: 0, skipped: 0 });
  expect(shadow?.calls).toBeGreaterThanOrEqual(60);
  expect(shadow?.predicted.quality_gain).toBeGreaterThan(0.1); // in its own eyes
  expect(shadow?.predicted.quality_gain_by_active).toBeLessThan(-0.1);
  expect(shadow?.score_us.p99).toBeGreaterThan(0);
  expect(shadow?.choices).toMatchObject({
    "openai/alpha": { active: 0 },
    "openai/beta": { shadow: 0 },
  });
  expect(await run("models status", url)).toContain("decisions scored, 0 failed");
  expect((await fetch(`${url}/admin/model/rollback`, { method: "POST" })).status).toBe(200);
  await gateway.close();
}, 60_000);

test("orders that cannot be followed are refused with what to do", async () => {
  const { gateway } = await startTestGateway({
    yaml: toYaml({}),
    outbound: createOutbound(),
  });
  await gateway.reloadRouter();
  const post = async (order: string, body?: object) => {
    const response = await fetch(`${gateway.url}/admin/model/${order}`, {
      method: "POST",
      ...(body && { body: JSON.stringify(body) }),
    });
    const { detail } = (await response.json()) as { detail: { error: string; message: string } };
    return [response.status, detail.error] as const;
  };
  expect(await post("promote")).toEqual([409, "nothing_staged"]);
  expect(await post("canary", { share: 1.5 })).toEqual([400, "invalid_request"]);
  expect(await post("canary", { share: "a" })).toEqual([400, "invalid_request"]);
  expect(await post("stage", { again: "yes" })).toEqual([400, "invalid_request"]);
  expect(await post("stage")).toEqual([409, "nothing_staged"]);
  await gateway.close();
});

async function until(condition: () => Promise<boolean>): Promise<void> {
  const endUs = systemClock.monotonicUs() + 30_000_000;
  while (!(await condition())) {
    if (systemClock.monotonicUs() > endUs) throw new Error("it did not come to that");
    await new Promise<void>((resolve) => systemClock.after(20, resolve) && undefined);
  }
}
