/** What LiteLLM's settings change of every call: terms over prices, environments, headers, silence, health. */
import { describe, expect, test } from "bun:test";
import { handle } from "../src/pipeline/handle.ts";
import { createHealthWatch } from "../src/pipeline/health-watch.ts";
import { timeoutsFor } from "../src/pipeline/timeouts.ts";
import { toDeployments } from "../src/providers/deployments.ts";
import { arrivalOf, configOf, createTestServices, hello } from "./support/services.ts";
import { type Behaviour, createUpstreams } from "./support/upstreams.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const row = (params = "", info = "") =>
  `model_list:\n  - {model_name: m, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k${params}}, model_info: {id: a${info}}}\n`;

const source = { env: {}, factsOf: () => ({}) };
const priced = ", input_cost_per_token: 0.000002, output_cost_per_token: 0.000008";

test("a discount and a margin are part of the price", async () => {
  const terms =
    "litellm_settings: {cost_discount_config: {openai: 0.5}, cost_margin_config: {global: 0.1}}\n";
  const { deployments } = toDeployments(await configOf(row(priced) + terms), source);
  expect(deployments[0]?.facts.price?.inputUsdPerToken).toBeCloseTo(0.0000011, 12);
});

describe("environments", () => {
  const of = async (info: string, environment?: string) => {
    const config = await configOf(row("", info));
    const general = environment === undefined ? config.general : { ...config.general, environment };
    return toDeployments({ ...config, general }, source);
  };
  const staging = ", supported_environments: [staging, production]";

  test.each([
    ["", undefined, 1, 0],
    [staging, "production", 1, 0],
    [staging, "development", 0, 0],
    [staging, undefined, 0, 1],
  ] as const)("%s in %s", async (info, environment, served, findings) => {
    const it = await of(info, environment);
    expect([it.deployments.length, it.findings.length]).toEqual([served, findings]);
    if (findings > 0) expect(it.findings[0]?.remedy).toContain("LITELLM_ENVIRONMENT");
  });
});

test("each silence of a stream has its own limit, the row's above the router's", async () => {
  const settings =
    "router_settings: {stream_timeout: 9, ttft_timeout: 5, stream_idle_timeout: 7}\n";
  const config = await configOf(row(", ttft_timeout: 2") + settings);
  const [deployment] = toDeployments(config, source).deployments;
  if (!deployment) throw new Error("no deployment");
  const call = { stream: true, options: {} } as Parameters<typeof timeoutsFor>[0];
  const { firstTokenMs, idleMs } = timeoutsFor(call, deployment, config);
  expect([firstTokenMs, idleMs]).toEqual([2_000, 7_000]);
});

describe("callers' headers", () => {
  const headers = new Headers({
    "x-team": "blue",
    "x-stainless-lang": "js",
    "x-litellm-tags": "a",
    "x-api-key": "secret",
    "x-operator": "caller's",
    cookie: "c=1",
  });
  const sent = async (settings: string) => {
    const clock = createVirtualClock();
    const { outbound, seen } = createUpstreams(clock, () => ({ kind: "answer" }));
    const config = await configOf(row(", extra_headers: {x-operator: ours}") + settings);
    const services = createTestServices(config, { clock, outbound });
    const done = handle(arrivalOf(hello("m"), clock, { headers }), services);
    for (let i = 0; i < 20; i++) await clock.advance(50);
    await done;
    return seen[0]?.headers ?? {};
  };

  test("stay here by default", async () => {
    expect(await sent("")).not.toHaveProperty("x-team");
  });

  test("go along where the operator says so; keys and other gateways' never do", async () => {
    const all = await sent("general_settings: {forward_client_headers_to_llm_api: true}\n");
    expect(all["x-team"]).toBe("blue");
    expect(all["x-operator"]).toBe("ours");
    for (const name of ["x-stainless-lang", "x-litellm-tags", "x-api-key", "cookie"]) {
      expect(all).not.toHaveProperty(name);
    }
  });
});

describe("health in rounds", () => {
  const world = async (settings: string, info = "") => {
    const clock = createVirtualClock();
    const script: Behaviour[] = [{ kind: "answer" }, { kind: "status", status: 500 }];
    const { outbound, seen } = createUpstreams(clock, () => script.shift() ?? { kind: "answer" });
    const services = createTestServices(await configOf(row("", info) + settings), {
      clock,
      outbound,
    });
    const watch = createHealthWatch(services);
    watch.follow(services);
    const pass = async (seconds: number) => {
      for (let i = 0; i < seconds; i++) await clock.advance(1000);
    };
    return { watch, seen, pass, services };
  };
  const on = "general_settings: {background_health_checks: true, health_check_interval: 60}\n";

  test("off unless asked for", async () => {
    const { seen, pass } = await world("");
    await pass(200);
    expect(seen).toHaveLength(0);
  });

  test("one round after the other, and what each heard", async () => {
    const { watch, seen, pass } = await world(on);
    await pass(70);
    expect(seen).toHaveLength(2);
    expect(watch.latest().map(({ error }) => error?.code)).toEqual(["upstream_failed"]);
    expect(watch.history().map(({ error }) => error === undefined)).toEqual([false, true]);
    watch.close();
    await pass(200);
    expect(seen).toHaveLength(2);
  });

  test("a row may stay out of it", async () => {
    const { seen, pass } = await world(on, ", disable_background_health_check: true");
    await pass(200);
    expect(seen).toHaveLength(0);
  });
});
