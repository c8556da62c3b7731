/** Health by LiteLLM's rules, limits, probes, slow start: what is offered to a balancer, and when. */
import { describe, expect, test } from "bun:test";
import { deployment } from "../../test/support/deployments.ts";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { type ErrorCode, GatewayError } from "../domain/errors.ts";
import type { Deployment } from "../domain/model.ts";
import { createRandom } from "../std/random.ts";
import { leastBusy } from "./balancers/least-busy.ts";
import { lowestUsage } from "./balancers/lowest-usage.ts";
import { simpleShuffle } from "./balancers/simple-shuffle.ts";
import { type HealthRules, healthLimits } from "./health.ts";
import { createPool, type PickRequest } from "./pool.ts";

const rules: HealthRules = { cooldownTimeS: 5, disableCooldowns: false };
const request: PickRequest = {
  balancer: simpleShuffle,
  stream: false,
  inputTokens: 10,
  latencyBuffer: 0,
};

function create(...rows: readonly Deployment[]) {
  const clock = createVirtualClock();
  const ejected: string[] = [];
  const pool = createPool(clock, createRandom(3), { onEject: ({ id }) => ejected.push(id) });
  const fail = (
    id: string,
    code: ErrorCode,
    more: Partial<HealthRules> = {},
    retryAfterS?: number,
  ) => {
    const row = rows.find((one) => one.id === id) as Deployment;
    const error = new GatewayError(code, code, retryAfterS === undefined ? {} : { retryAfterS });
    pool.open(row).failed(error, { ...rules, ...more }, rows);
  };
  const succeed = (id: string) =>
    pool.open(rows.find((one) => one.id === id) as Deployment).succeeded({ seconds: 1 });
  /** Ids that are offered, over many picks. */
  const offered = (more: Partial<PickRequest> = {}) => {
    const ids = new Set<string>();
    for (let i = 0; i < 200; i++) {
      const picked = pool.pick(rows, { ...request, ...more });
      if (picked) ids.add(picked.id);
    }
    return [...ids].sort().join("");
  };
  return { clock, pool, rows, ejected, fail, succeed, offered };
}

const ab = () => create(deployment("a"), deployment("b"));

describe("ejection", () => {
  const cases: readonly [ErrorCode, number, boolean][] = [
    // failure, how often, out?
    ["rate_limited", 1, true],
    ["upstream_auth", 1, true],
    ["upstream_not_found", 1, true],
    ["upstream_failed", 1, false],
    ["upstream_failed", healthLimits.consecutiveFailures, true],
    ["upstream_unreachable", healthLimits.consecutiveFailures, true],
    ["upstream_rejected", 20, false], // the request's fault
    ["context_length_exceeded", 20, false],
    ["caller_gone", 20, false],
  ];
  test.each(cases)("%s × %d: %p", (code, times, out) => {
    const it = ab();
    for (let i = 0; i < times; i++) it.fail("a", code);
    expect(it.offered()).toBe(out ? "b" : "ab");
  });

  test("allowed_fails counts within the cooldown time; its policy goes by class", () => {
    const it = ab();
    it.fail("a", "upstream_failed", { allowedFails: 1 });
    expect(it.offered()).toBe("ab");
    it.fail("a", "upstream_failed", { allowedFails: 1 });
    expect(it.offered()).toBe("b");
    const byClass = ab();
    byClass.fail("a", "upstream_timeout", { allowedFailsPolicy: { TimeoutErrorAllowedFails: 0 } });
    expect(byClass.offered()).toBe("b");
  });

  test("more than half of five in a minute", () => {
    const it = ab();
    for (const code of ["ok", "bad", "ok", "bad", "bad"]) {
      if (code === "ok") it.succeed("a");
      else it.fail("a", "upstream_failed");
    }
    expect(it.offered()).toBe("b");
  });

  test("never the last one", () => {
    const it = ab();
    it.fail("a", "upstream_auth");
    it.fail("b", "upstream_auth");
    expect(it.offered()).toBe("b");
    const single = create(deployment("a"));
    for (let i = 0; i < 50; i++) single.fail("a", "upstream_failed");
    expect(single.offered()).toBe("a");
  });

  test("disable_cooldowns and cooldown_time 0 keep it in", () => {
    const it = ab();
    it.fail("a", "upstream_auth", { disableCooldowns: true });
    expect(it.offered()).toBe("ab");
    const never = create(deployment("a", { cooldownS: 0 }), deployment("b"));
    never.fail("a", "upstream_auth");
    expect(never.offered()).toBe("ab");
  });

  test("a refused key takes out who shares it, not who does not", () => {
    const shared = { apiKey: "k1", apiBase: "http://x/v1" };
    const it = create(
      deployment("a", shared),
      deployment("b", shared),
      deployment("c", { ...shared, apiKey: "k2" }),
    );
    it.fail("a", "upstream_auth");
    expect(it.offered()).toBe("c");
    expect(it.ejected.sort()).toEqual(["a", "b"]);
  });
});

describe("coming back", () => {
  test("after cooldown_time, or Retry-After, or its own: one probe, then slowly", async () => {
    for (const [row, retryAfterS, ms] of [
      [deployment("a"), undefined, 5_000],
      [deployment("a"), 7, 7_000],
      [deployment("a", { cooldownS: 2 }), 7, 2_000],
    ] as const) {
      const it = create(row, deployment("b"));
      it.fail("a", "rate_limited", {}, retryAfterS);
      await it.clock.advance(ms - 1);
      expect(it.offered()).toBe("b");
      await it.clock.advance(1);
      expect(it.offered()).toBe("ab");
      const probe = it.pool.open(row);
      expect(it.offered()).toBe("b"); // one at a time
      probe.succeeded({ seconds: 1 });
      let picks = 0;
      for (let i = 0; i < 1000; i++) if (it.pool.pick(it.rows, request)?.id === "a") picks++;
      expect(picks).toBeLessThan(150); // half of a tenth, about
      await it.clock.advance(healthLimits.slowStartMs);
      picks = 0;
      for (let i = 0; i < 1000; i++) if (it.pool.pick(it.rows, request)?.id === "a") picks++;
      expect(picks).toBeGreaterThan(400);
    }
  });

  test("a failed probe sends it back; a cancelled one tells nothing", async () => {
    const it = ab();
    it.fail("a", "rate_limited");
    await it.clock.advance(5_000);
    it.fail("a", "upstream_failed");
    expect(it.offered()).toBe("b");
    await it.clock.advance(5_000);
    it.pool.open(it.rows[0] as Deployment).released();
    expect(it.offered()).toBe("ab");
  });

  test("a refused key rests longer each time", async () => {
    const it = ab();
    it.fail("a", "upstream_auth");
    await it.clock.advance(5_000);
    it.fail("a", "upstream_auth");
    await it.clock.advance(5_000);
    expect(it.offered()).toBe("b");
    await it.clock.advance(5_000);
    expect(it.offered()).toBe("ab");
  });
});

describe("limits", () => {
  test("rpm and tpm take a row out for the rest of the minute, where the balancer says so", async () => {
    const it = create(deployment("a", { rpm: 2 }), deployment("b", { tpm: 15 }), deployment("c"));
    const usage = { balancer: lowestUsage };
    it.succeed("a");
    it.succeed("a");
    it.pool.open(it.rows[1] as Deployment).succeeded({ seconds: 1, tokens: 10 });
    expect(it.offered(usage)).toBe("c");
    expect(it.offered({ balancer: leastBusy })).toBe("a"); // it has no limits
    await it.clock.advance(60_000);
    expect(it.offered(usage)).toBe("abc");
  });

  test("max_parallel_requests, order, and what the call excludes", () => {
    const it = create(
      deployment("a", { maxParallelRequests: 1, order: 1 }),
      deployment("b", { order: 2 }),
    );
    expect(it.offered()).toBe("a");
    const ticket = it.pool.open(it.rows[0] as Deployment);
    expect(it.offered()).toBe("b");
    ticket.released();
    expect(it.offered({ excluded: new Set(["a"]) })).toBe("b");
    expect(it.offered({ excluded: new Set(["a", "b"]) })).toBe("");
  });

  test("a ticket ends once", () => {
    const it = ab();
    const ticket = it.pool.open(it.rows[0] as Deployment);
    ticket.succeeded({ seconds: 1 });
    ticket.released();
    ticket.failed(new GatewayError("upstream_auth", "x"), rules, it.rows);
    expect(it.pool.stats.inFlight("a")).toBe(0);
    expect(it.offered()).toBe("ab");
  });
});
