/** What every balancer must do, and what each one does. */
import { describe, expect, test } from "bun:test";
import { deployment, priced } from "../../../test/support/deployments.ts";
import type { Deployment } from "../../domain/model.ts";
import { createRandom } from "../../std/random.ts";
import type { DeploymentStats, PickContext } from "./balancer.ts";
import { balancers, findBalancer } from "./registry.ts";

type Figures = Partial<Record<keyof DeploymentStats, Record<string, number>>>;

function context(figures: Figures = {}, more: Partial<PickContext> = {}): PickContext {
  const of = (key: keyof DeploymentStats) => (id: string) => figures[key]?.[id] ?? 0;
  return {
    stats: {
      inFlight: of("inFlight"),
      latency: of("latency"),
      firstTokenLatency: of("firstTokenLatency"),
      tokensThisMinute: of("tokensThisMinute"),
      requestsThisMinute: of("requestsThisMinute"),
    },
    random: createRandom(7),
    stream: false,
    inputTokens: 0,
    latencyBuffer: 0,
    ...more,
  };
}

/** Share of picks by id, over many draws. */
function shares(name: string, rows: readonly Deployment[], using: PickContext) {
  const counts = new Map<string, number>();
  const draws = 4000;
  for (let i = 0; i < draws; i++) {
    const id = findBalancer(name)?.pick(rows, using).id ?? "none";
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].map(([id, count]) => [id, count / draws]));
}

describe.each(balancers)("$name", (balancer) => {
  test("is found by its name and its aliases", () => {
    for (const name of [balancer.name, ...(balancer.aliases ?? [])]) {
      expect(findBalancer(name)).toBe(balancer);
    }
  });

  test("picks one of what it is offered, and only row where there is one", () => {
    const rows = [deployment("a"), deployment("b"), deployment("c")];
    for (let i = 0; i < 50; i++) expect(rows).toContain(balancer.pick(rows, context()));
    const [only] = rows.slice(1, 2);
    expect(balancer.pick(rows.slice(1, 2), context())).toBe(only as Deployment);
  });

  test("its probabilities add up, where it has any", () => {
    const rows = [deployment("a", { weight: 3 }), deployment("b"), deployment("c", { rpm: 9 })];
    const given = balancer.probabilities?.(rows);
    if (given) expect(given.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 12);
  });
});

describe("simple-shuffle", () => {
  const cases: readonly [string, Deployment[], Record<string, number>][] = [
    ["without weights: alike", [deployment("a"), deployment("b")], { a: 0.5, b: 0.5 }],
    [
      "by weight",
      [deployment("a", { weight: 3 }), deployment("b", { weight: 1 })],
      { a: 0.75, b: 0.25 },
    ],
    [
      "weight 0 beside a sibling: never",
      [deployment("a", { weight: 0 }), deployment("b", { weight: 1 })],
      { b: 1 },
    ],
    [
      "all 0: alike",
      [deployment("a", { weight: 0 }), deployment("b", { weight: 0 })],
      { a: 0.5, b: 0.5 },
    ],
    ["by rpm, whichever row has it", [deployment("a"), deployment("b", { rpm: 5 })], { b: 1 }],
    ["weight before rpm", [deployment("a", { rpm: 99 }), deployment("b", { weight: 1 })], { b: 1 }],
    [
      "by tpm last",
      [deployment("a", { tpm: 300 }), deployment("b", { tpm: 100 })],
      { a: 0.75, b: 0.25 },
    ],
  ];
  test.each(cases)("%s", (_name, rows, expected) => {
    const using = context();
    const measured = shares("simple-shuffle", rows, using);
    expect(Object.keys(measured).sort()).toEqual(Object.keys(expected).sort());
    for (const [id, share] of Object.entries(expected)) expect(measured[id]).toBeCloseTo(share, 1);
    const told = findBalancer("simple-shuffle")?.probabilities?.(rows) ?? [];
    rows.forEach(({ id }, i) => {
      expect(told[i]).toBeCloseTo(expected[id] ?? 0, 12);
    });
  });
});

test("least-busy takes the fewest in flight; ties keep the first", () => {
  const rows = [deployment("a"), deployment("b"), deployment("c")];
  const using = context({ inFlight: { a: 2, b: 1, c: 1 } });
  expect(findBalancer("least-busy")?.pick(rows, using).id).toBe("b");
});

describe("latency-based-routing", () => {
  const rows = [deployment("a"), deployment("b"), deployment("c")];
  const latency = { a: 1, b: 1.1, c: 2 };
  test("the fastest, and with a buffer those near it", () => {
    expect(shares("latency-based-routing", rows, context({ latency }))).toEqual({ a: 1 });
    const near = shares(
      "latency-based-routing",
      rows,
      context({ latency }, { latencyBuffer: 0.2 }),
    );
    expect(Object.keys(near).sort()).toEqual(["a", "b"]);
  });
  test("one never used comes first; a stream goes by first tokens", () => {
    expect(shares("latency-based-routing", rows, context({ latency: { a: 1, b: 1 } }))).toEqual({
      c: 1,
    });
    const figures = { latency, firstTokenLatency: { a: 9, b: 8, c: 1 } };
    expect(shares("latency-based-routing", rows, context(figures, { stream: true }))).toEqual({
      c: 1,
    });
  });
});

test("cost-based-routing takes the cheapest; without a price comes last; ties keep the first", () => {
  const rows = [deployment("a"), deployment("b", priced(2, 1)), deployment("c", priced(1, 2))];
  expect(findBalancer("cost-based-routing")?.pick(rows, context()).id).toBe("b");
  expect(findBalancer("cost-based-routing")?.pick(rows.slice(0, 1), context()).id).toBe("a");
});

test("usage-based-routing, both versions, takes the fewest tokens of this minute", () => {
  const rows = [deployment("a"), deployment("b"), deployment("c")];
  const using = context({ tokensThisMinute: { a: 10, b: 5, c: 5 } });
  for (const name of ["usage-based-routing", "usage-based-routing-v2"]) {
    expect(Object.keys(shares(name, rows, using)).sort()).toEqual(["b", "c"]);
  }
});
