/** A reload takes a configuration whole or not at all. */
import { expect, test } from "bun:test";
import { GatewayError } from "../domain/errors.ts";
import { systemClock } from "../std/clock.ts";
import type { Config } from "./config.ts";
import type { Finding } from "./finding.ts";
import { loadConfig } from "./load.ts";
import { createConfigReloader } from "./reload.ts";

const wrong: Finding = {
  level: "error",
  file: "c.yaml",
  line: 1,
  path: "",
  message: "not valid YAML",
  remedy: "Mend it.",
};
const clock = { ...systemClock, now: () => 1_000 };

async function configNamed(name: string): Promise<Config> {
  const text = `model_list: [{model_name: ${name}, litellm_params: {model: openai/${name}, api_key: k}}]`;
  const { config } = await loadConfig({ cwd: "/", env: {}, readText: () => Promise.resolve(text) });
  if (!config) throw new Error("the test's configuration is good");
  return config;
}

async function setUp(load: () => Promise<{ config: Config | undefined; findings: Finding[] }>) {
  const initial = await configNamed("first");
  const applied: string[] = [];
  const reloader = createConfigReloader({
    initial: { config: initial, findings: [] },
    load,
    apply: (config) => {
      const name = config.models[0]?.modelName ?? "";
      if (name === "unbuildable") throw new GatewayError("strategy_refused", "no such strategy");
      applied.push(name);
    },
    clock,
  });
  return { reloader, applied, name: () => reloader.current().models[0]?.modelName };
}

test("a good one is applied", async () => {
  const next = await configNamed("second");
  const { reloader, applied, name } = await setUp(async () => ({ config: next, findings: [] }));
  expect(reloader.status()).toEqual({ count: 0, findings: [] });
  const status = await reloader.reload("api");
  expect(status).toEqual({
    count: 1,
    lastAtMs: 1_000,
    lastOutcome: "applied",
    lastCause: "api",
    findings: [],
  });
  expect([applied, name()]).toEqual([["second"], "second"]);
});

test("what is read at the start alone is told when it changes", async () => {
  const next = await configNamed("second");
  const changed = { ...next, routeiq: { ...next.routeiq, upstreamProtocol: "http2" as const } };
  const { reloader } = await setUp(async () => ({ config: changed, findings: [] }));
  const { lastOutcome, findings } = await reloader.reload("api");
  expect(lastOutcome).toBe("applied");
  expect(findings).toMatchObject([
    {
      level: "warning",
      path: "routeiq_settings.upstream_protocol",
      remedy: "Start the gateway again.",
    },
  ]);
});

test("a refused one leaves the last good one", async () => {
  const { reloader, applied, name } = await setUp(async () => ({
    config: undefined,
    findings: [wrong],
  }));
  const status = await reloader.reload("api");
  expect(status).toMatchObject({ count: 0, lastOutcome: "refused", findings: [wrong] });
  expect([applied, name()]).toEqual([[], "first"]);
});

test("a file that is gone is no reason to serve something else", async () => {
  const next = { ...(await configNamed("second")), origin: "simulated" as const, files: [] };
  const { reloader, name } = await setUp(async () => ({ config: next, findings: [] }));
  expect(await reloader.reload("file")).toMatchObject({
    lastOutcome: "refused",
    lastCause: "file",
    error: "/config.yaml is gone",
  });
  expect(name()).toBe("first");
});

test("so does one that cannot be taken into service, or read", async () => {
  const next = await configNamed("unbuildable");
  const unbuildable = await setUp(async () => ({ config: next, findings: [] }));
  expect(await unbuildable.reloader.reload("api")).toMatchObject({
    lastOutcome: "refused",
    error: "no such strategy",
  });
  expect(unbuildable.name()).toBe("first");
  const unreadable = await setUp(() => Promise.reject(new Error("disk")));
  expect(await unreadable.reloader.reload("api")).toMatchObject({ lastOutcome: "refused" });
});

test("calls during a reload share one more, that begins after it", async () => {
  let loads = 0;
  const config = await configNamed("next");
  const gates: (() => void)[] = [];
  const { reloader } = await setUp(async () => {
    loads++;
    await new Promise<void>((resolve) => gates.push(resolve));
    return { config, findings: [] };
  });
  const first = reloader.reload("api");
  const others = [reloader.reload("api"), reloader.reload("api"), reloader.reload("api")];
  gates.shift()?.();
  await first;
  await Promise.resolve();
  while (gates.length === 0)
    await new Promise((resolve) => queueMicrotask(() => resolve(undefined)));
  gates.shift()?.();
  await Promise.all(others);
  expect(loads).toBe(2);
});
