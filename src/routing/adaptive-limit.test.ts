/** The adaptive limit against a simulated provider: a queue behind a fixed number of slots. */
import { describe, expect, test } from "bun:test";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { GatewayError } from "../domain/errors.ts";
import { createAdaptiveLimit } from "./adaptive-limit.ts";

const rules = { initial: 20, min: 4, max: 1_000, tolerance: 2 };
const short = { stream: true, tokens: 100 };
const long = { stream: true, tokens: 20_000 };

/** Ten windows a call; `inFlight` calls at once on `slots` begin after 0.2 s × how many share one. */
async function world(slots: () => number) {
  const clock = createVirtualClock();
  const limit = createAdaptiveLimit(rules, clock);
  return {
    limit,
    async run(seconds: number, demand: number, of = short, base = 0.2) {
      for (let s = 0; s < seconds; s++) {
        const inFlight = Math.min(demand, limit.limit);
        const took = base * Math.max(1, inFlight / slots());
        for (let i = 0; i < 20; i++) {
          await clock.advance(50);
          limit.sample(took, of, inFlight);
        }
      }
    },
    async fail(seconds: number, share: number, inFlight: number, error: GatewayError) {
      for (let i = 0; i < seconds * 20; i++) {
        await clock.advance(50);
        if ((i * share) % 1 < share) limit.failed(error, inFlight);
        else limit.sample(0.2, short, inFlight);
      }
    },
  };
}

describe("the limit", () => {
  test("grows while answers begin as fast as ever, and only as far as it is used", async () => {
    const it = await world(() => 10_000);
    await it.run(60, 200);
    expect(it.limit.limit).toBeGreaterThan(200);
    expect(it.limit.limit).toBeLessThan(2 * 200 * 1.15);
    const before = it.limit.limit;
    await it.run(60, 10);
    expect(it.limit.limit).toBe(before);
  });

  test("settles near what the provider can do, and follows when that changes", async () => {
    let slots = 50;
    const it = await world(() => slots);
    await it.run(20, 10); // learns the unbusy time
    await it.run(120, 10_000);
    const settled = it.limit.limit;
    expect(settled).toBeGreaterThan(50);
    expect(settled).toBeLessThan(150); // twice the time at twice the slots, and the headroom
    slots = 10;
    await it.run(120, 10_000);
    expect(it.limit.limit).toBeLessThan(40);
    slots = 50;
    await it.run(200, 10_000);
    expect(it.limit.limit).toBeGreaterThan(60);
  });

  test("long prompts beside short ones are no slowness", async () => {
    const it = await world(() => 10_000);
    await it.run(20, 19);
    await it.run(20, 300, long, 8);
    await it.run(20, 300, short);
    expect(it.limit.limit).toBeGreaterThan(100);
  });

  test.each([
    ["rate_limited", undefined, true],
    ["upstream_timeout", undefined, true],
    ["upstream_failed", 503, true],
    ["upstream_failed", 500, false],
    ["upstream_auth", undefined, false],
  ] as const)("%s %p: shrinks %p", async (code, status, shrinks) => {
    const it = await world(() => 100);
    const error = new GatewayError(code, "no", status === undefined ? {} : { status });
    await it.fail(20, 0.5, 15, error);
    if (shrinks) expect(it.limit.limit).toBe(rules.min);
    else expect(it.limit.limit).toBeGreaterThanOrEqual(rules.initial);
  });

  test("never leaves its bounds", async () => {
    const it = await world(() => 1e9);
    await it.run(400, 1e9);
    expect(it.limit.limit).toBe(rules.max);
    await it.fail(120, 1, 1, new GatewayError("rate_limited", "no"));
    expect(it.limit.limit).toBe(rules.min);
  });
});
