/** A/B experiments in a real gateway: who gets which variant, what the receipt says, results, stops. */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { commands } from "../src/cli/registry.ts";
import type { ExperimentReport } from "../src/learning/rollout/experiments.ts";
import { toBucket } from "../src/routing/assignment.ts";
import { createOutbound } from "../src/security/outbound.ts";
import { systemClock } from "../src/std/clock.ts";
import { startTestGateway, type TestGateway } from "./support/gateway.ts";
import { trainFolder } from "./support/trained.ts";
import { openaiReply } from "./support/upstreams.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-experiments-"));
// Only where a test is about errors: one that is not may be stopped for them, by chance.
let alphaFails = false;
const upstream = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  async fetch(request) {
    const { model } = (await request.json()) as { model: string };
    if (model === "alpha" && alphaFails)
      return Response.json({ error: { message: "broken" } }, { status: 500 });
    return Response.json(openaiReply);
  },
});
afterAll(async () => {
  await upstream.stop(true);
  rmSync(temp, { recursive: true, force: true });
});

const models = ["openai/alpha", "openai/beta"];
const folders = { good: join(temp, "good"), bad: join(temp, "bad") };
for (const [name, order] of [
  ["good", models],
  ["bad", [...models].reverse()],
] as const) {
  const folder = await trainFolder(order);
  for (const [path, bytes] of folder.files) await Bun.write(join(folders[name], path), bytes);
  await Bun.write(join(folders[name], "release.json"), JSON.stringify(sorted(folder.release)));
}

const toYaml = (experiments: object, settings: object) =>
  stringify({
    model_list: models.map((model) => ({
      model_name: "gpt-4",
      litellm_params: { model, api_base: `${upstream.url.origin}/v1`, api_key: "sk-test" },
    })),
    router_settings: { num_retries: 0, disable_cooldowns: true, ...settings },
    routeiq_settings: { experiments },
  });

async function call(gateway: TestGateway["gateway"], user: string) {
  const response = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({
      model: "gpt-4",
      user,
      messages: [{ role: "user", content: `write a poem, please: item 3 of ${user}` }],
    }),
  });
  await response.arrayBuffer();
  const id = String(response.headers.get("x-routeiq-call-id"));
  const decision = (await gateway.events.findReceipt(id))?.decision;
  return { status: response.status, decision, id };
}

async function reportOf(gateway: TestGateway["gateway"], id: string): Promise<ExperimentReport> {
  const response = await fetch(`${gateway.url}/admin/experiments/${id}`);
  expect(response.status).toBe(200);
  return (await response.json()) as ExperimentReport;
}

const users = Array.from({ length: 30 }, (_, i) => `u${i}`);

test("balancers against each other: the predecessor's buckets, keys and walk, on every call", async () => {
  const experiments = {
    balance: {
      variants: { control: "simple-shuffle", busy: "least-busy" },
      // By strategy, as the predecessor's files have it.
      weights: { "simple-shuffle": 34, "least-busy": 66 },
    },
  };
  const { gateway } = await startTestGateway({
    yaml: toYaml(experiments, { routing_strategy: "simple-shuffle" }),
    outbound: createOutbound(),
  });
  // `user:u1:model:gpt-4` falls on 34 of 100: the first number that is not the control's.
  const { decision } = await call(gateway, "u1");
  expect(decision).toMatchObject({ strategy: "least-busy" });
  expect(decision?.arm).toMatchObject({
    experiment: "balance",
    variant: "busy",
    probability: 0.66,
    bucket: 34,
    buckets: 100,
    keyType: "user",
  });
  for (const user of users) {
    const expected = toBucket(`user:${user}:model:gpt-4`, 100).bucket < 34 ? "control" : "busy";
    for (let i = 0; i < 2; i++) {
      expect((await call(gateway, user)).decision?.arm?.variant).toBe(expected);
    }
  }
  const report = await reportOf(gateway, "balance");
  expect(report.variants.map(({ name, share }) => [name, share])).toEqual([
    ["control", 0.34],
    ["busy", 0.66],
  ]);
  expect(report.variants.reduce((sum, { calls }) => sum + calls, 0)).toBe(61);
  const info = (await (await fetch(`${gateway.url}/router/info`)).json()) as { registry: object };
  expect(info.registry).toMatchObject({
    ab_enabled: true,
    ab_weights: { control: 34, busy: 66 },
    experiment: { id: "balance", variants: { control: "simple-shuffle", busy: "least-busy" } },
  });
  await gateway.close();
});

test("dial settings; a model filter; feedback counts for the variant; a caller's own dial wins", async () => {
  const experiments = {
    elsewhere: { variants: { a: {}, b: {} }, models: ["another"] },
    dial: { variants: { control: {}, cheap: { tradeoff: 0 } } },
  };
  const { gateway } = await startTestGateway({
    yaml: toYaml(experiments, {
      routing_strategy: "llmrouter-linear",
      routing_strategy_args: {
        model_path: folders.good,
        allow_unsigned_local: true,
        tradeoff: 1,
      },
    }),
    outbound: createOutbound(),
  });
  await gateway.reloadRouter();
  const seen = new Map<string | undefined, Set<number | undefined>>();
  for (const user of users) {
    const { decision, id } = await call(gateway, user);
    expect(decision?.arm?.experiment).toBe("dial");
    const variant = decision?.arm?.variant;
    seen.set(variant, (seen.get(variant) ?? new Set()).add(decision?.dial?.tradeoff));
    const score = variant === "cheap" ? 0 : 1;
    await gateway.events.addFeedback({ callId: id, score, source: "user", atMs: 0 });
  }
  expect(seen.get("control")).toEqual(new Set([1]));
  expect(seen.get("cheap")).toEqual(new Set([0]));
  const report = await reportOf(gateway, "dial");
  const [, cheap] = report.variants;
  expect(cheap?.differences.find(({ metric }) => metric === "quality")).toMatchObject({
    control: 1,
    arm: 0,
  });
  expect((await fetch(`${gateway.url}/admin/experiments/no`)).status).toBe(404);
  await gateway.close();
});

test("trained routers against each other: a variant that fails is stopped, its users are the control's", async () => {
  alphaFails = true;
  const experiments = {
    routers: {
      variants: {
        control: {},
        other: { model_path: folders.bad, allow_unsigned_local: true },
      },
    },
  };
  const yaml = toYaml(experiments, {
    routing_strategy: "llmrouter-linear",
    routing_strategy_args: { model_path: folders.good, allow_unsigned_local: true },
  });
  const { gateway, log } = await startTestGateway({ yaml, outbound: createOutbound() });
  await gateway.reloadRouter();
  const { url } = gateway;
  await until(async () => (await call(gateway, "u0")).decision?.arm !== undefined);
  const stopped = async () => (await reportOf(gateway, "routers")).variants[1]?.stopped;
  const sides = new Map<string, string | undefined>();
  let failed = 0;
  for (let round = 0; round < 5 && !(await stopped()); round++) {
    for (const user of users) {
      const { status, decision } = await call(gateway, user);
      const variant = decision?.arm?.variant;
      if (status !== 200) failed++;
      expect(sides.get(user) ?? variant).toBe(variant);
      if (variant === "other") expect(decision?.chosen).toBe("openai/alpha");
      sides.set(user, variant);
      if (await stopped()) break;
    }
  }
  expect((await stopped())?.reason).toContain("errors: 100.0 %");
  expect(failed).toBeLessThan(40);
  expect(log.some((line) => line.includes("experiment.stopped"))).toBe(true);
  for (const user of users) {
    const { status, decision } = await call(gateway, user);
    expect([status, decision?.arm?.variant]).toEqual([200, "control"]);
  }
  expect(await run("experiments status", url, [])).toContain("other  50 %");
  expect(await run("experiments start", url, ["routers", "other"])).not.toContain("stopped");
  expect(await run("experiments stop", url, ["routers", "other"])).toContain("the operator asked");
  const refused = await fetch(`${url}/admin/experiments/routers/stop`, {
    method: "POST",
    body: JSON.stringify({ variant: "control" }),
  });
  expect(refused.status).toBe(409);
  await gateway.close();
});

async function run(name: string, url: string, args: readonly string[]): Promise<string> {
  const command = await commands[name]?.();
  const lines: string[] = [];
  await command?.run({
    args,
    flags: { url },
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
  return lines.join("\n");
}

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

async function until(condition: () => Promise<boolean>): Promise<void> {
  const endUs = systemClock.monotonicUs() + 30_000_000;
  while (!(await condition())) {
    if (systemClock.monotonicUs() > endUs) throw new Error("it did not come to that");
    await new Promise<void>((resolve) => systemClock.after(20, resolve) && undefined);
  }
}
