/** What scoring in the shadow counts, what it passes over, and that it never holds up the event log. */
import { describe, expect, test } from "bun:test";
import { learnedEvent } from "../../../test/support/events.ts";
import { buildStubRouter } from "../../../test/support/stub-router.ts";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import type { Decision } from "../../domain/decision.ts";
import type { CallEvent } from "../../domain/event.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import { createShadowScorer } from "./shadow.ts";
import type { ShadowReport } from "./shadow-report.ts";
import { createShadowThread, queueLimit } from "./shadow-thread.ts";

const embedder = { id: "stub@0", sha256: "", dimensions: 0 };

async function routerOf(over: Partial<TrainedRouter> = {}): Promise<TrainedRouter> {
  const identity = { name: "router", version: 2, sha256: "" };
  const base = { identity, files: [], selfTest: undefined, freshUntilMs: 0 };
  const stub = await buildStubRouter(base);
  const scores = await stub.score({ text: "", tools: [] });
  const labels = ["large", "fast"];
  const scoreFeatures = () => ({
    ...scores,
    quality: Float32Array.of(0.4, 0.9),
    uncertainty: Float32Array.of(0.1, 0.1),
    outputTokens: Float32Array.of(100, 100),
    costUsd: Float32Array.of(0.01, 0.001),
    latencyMs: Float32Array.of(100, 100),
  });
  const labelQuality = Float32Array.of(0.5, 0.5);
  const labelCostUsd = Float32Array.of(0.01, 0.001);
  return { ...stub, labels, labelQuality, labelCostUsd, scoreFeatures, ...over };
}

function eventOf(n: number, over: Partial<Decision> = {}): CallEvent {
  const event = learnedEvent(n);
  const decision: Decision = {
    strategy: "llmrouter-knn",
    artifact: "router@1",
    reason: "utility",
    chosen: "openai/large",
    candidates: [
      { model: "openai/large", group: "g", quality: 0.8, probability: 1 },
      { model: "groq/fast", group: "g", quality: 0.5, probability: 0 },
    ],
    dial: { tradeoff: 0.5 },
    decisionUs: 10,
    ...over,
  };
  return { ...event, receipt: { ...event.receipt, decision } };
}

async function scored(events: readonly CallEvent[], over: Partial<TrainedRouter> = {}, share = 1) {
  const scorer = createShadowScorer({
    router: await routerOf(over),
    share,
    labelMapping: {},
    prices: {},
    clock: createVirtualClock(),
  });
  for (const event of events) if (scorer.wants(event)) await scorer.score(event);
  return scorer.report();
}

describe("a report", () => {
  test("says how often both agree, and what each thinks of the other's choice", async () => {
    const report = await scored([eventOf(1), eventOf(2), eventOf(3, { chosen: "groq/fast" })]);
    expect(report).toMatchObject({ version: 2, calls: 3, failed: 0, skipped: 0, abstained: 0 });
    expect(report.agreement).toBeCloseTo(1 / 3, 6);
    expect(report.predicted.quality_gain).toBeCloseTo((2 * (0.9 - 0.4)) / 3, 5);
    expect(report.predicted.quality_gain_by_active).toBeCloseTo((2 * (0.5 - 0.8)) / 3, 5);
    expect(report.predicted.cost_change_usd).toBeLessThan(0);
    expect(report.choices).toEqual({
      "groq/fast": { shadow: 3, active: 1 },
      "openai/large": { shadow: 0, active: 2 },
    });
  });

  test("compares a draw with what would have been chosen without it", async () => {
    const exploration = {
      mode: "epsilon",
      greedy: "groq/fast",
      draw: 0,
      rate: 1,
      width: 1,
      arms: 2,
    };
    const drawn = { reason: "explored", exploration } as const;
    expect((await scored([eventOf(1, drawn as Partial<Decision>)])).agreement).toBe(1);
  });

  test.each(["sticky", "static", "fallback", "single_candidate"] as const)(
    "leaves out what no router decided: %s",
    async (reason) => {
      expect(await scored([eventOf(1, { reason })])).toMatchObject({ calls: 0, agreement: null });
    },
  );

  test("leaves out filtered candidates, as the decision did", async () => {
    const candidates = [
      { model: "openai/large", group: "g", quality: 0.8, probability: 1 },
      { model: "groq/fast", group: "g", filtered: "context_window" as const, probability: 0 },
    ];
    expect((await scored([eventOf(1, { candidates })])).agreement).toBe(1);
  });

  test("counts failures, and keeps the last one's words", async () => {
    const scoreFeatures = () => {
      throw new Error("no such tensor");
    };
    const report = await scored([eventOf(1), eventOf(2)], { scoreFeatures });
    expect(report).toMatchObject({ calls: 0, failed: 2, failure: "no such tensor" });
  });

  test("of a share: the same decisions every time", async () => {
    const events = Array.from({ length: 400 }, (_, n) => eventOf(n));
    const one = await scored(events, {}, 0.25);
    expect(Math.abs(one.calls - 100)).toBeLessThan(40);
    expect(one.calls + one.skipped).toBe(400);
    expect((await scored(events, {}, 0.25)).calls).toBe(one.calls);
  });
});

describe("in the thread", () => {
  async function thread(over: Partial<TrainedRouter> = {}) {
    const reports: ShadowReport[] = [];
    const closed: number[] = [];
    const clock = createVirtualClock();
    const shadow = createShadowThread({
      emit: (_, payload) => void reports.push(payload as ShadowReport),
      clock,
      readStaged: async () => ({
        identity: { name: "router", version: 2, sha256: "" },
        files: [],
        selfTest: undefined,
        freshUntilMs: 0,
      }),
      load: async ({ identity }) =>
        routerOf({ identity, close: () => void closed.push(identity.version), ...over }),
    });
    const begin = (version = 2) =>
      shadow.begin({
        config: { kind: "folder", path: "", name: "" },
        version,
        nowMs: 0,
        share: 1,
        embedder,
        labelMapping: {},
        prices: {},
      });
    return { shadow, begin, reports, closed, clock };
  }

  test("events are scored behind the back of whoever brings them; more than it can hold are counted", async () => {
    const { shadow, begin, reports, clock } = await thread();
    shadow.addEvents([eventOf(1)]); // nobody asked yet
    await begin();
    shadow.addEvents(Array.from({ length: queueLimit + 50 }, (_, n) => eventOf(n)));
    await clock.advance(10_000);
    const last = reports.at(-1);
    expect((last?.calls ?? 0) + (last?.skipped ?? 0)).toBe(queueLimit + 50);
    expect(last?.skipped).toBeGreaterThan(0);
  });

  test("its router is closed at the end, and when another takes its place", async () => {
    const { shadow, begin, closed } = await thread();
    await begin();
    await begin();
    expect(closed).toEqual([2]);
    shadow.end();
    expect(closed).toEqual([2, 2]);
    shadow.addEvents([eventOf(1)]);
  });

  test("a release that is not kept is refused", async () => {
    const { begin } = await thread();
    await expect(begin(3)).rejects.toThrow("release 3 is not kept here");
  });
});
