/** Drift as a gateway meets it: calls and feedback in its event log, alarms in log, metrics, readiness. */
import { describe, expect, test } from "bun:test";
import type { CandidateScore, Receipt } from "../src/domain/decision.ts";
import type { CallEvent } from "../src/domain/event.ts";
import { healthRoutes } from "../src/http/ops/health.ts";
import { createDriftWatch, driftKinds } from "../src/learning/drift.ts";
import { createDriftReport, watchDrift } from "../src/learning/watch-drift.ts";
import { createRandom, nextNormal } from "../src/std/random.ts";
import { createMemoryEventLog } from "../src/storage/memory/event-log.ts";
import { createTelemetry } from "../src/telemetry/create.ts";
import { configOf, createTestServices } from "./support/services.ts";
import { createVirtualClock } from "./support/virtual-clock.ts";

const random = createRandom(4);
let made = 0;

interface Told {
  readonly novelty?: number;
  readonly quality?: number;
  readonly latencyMs?: number;
  readonly outcome?: Receipt["outcome"];
  readonly error?: string;
  readonly isStatic?: boolean;
}

function eventOf(told: Told = {}): CallEvent {
  const chosen: CandidateScore = {
    model: "openai/a",
    group: "g",
    quality: told.quality ?? 0.7 + 0.05 * nextNormal(random),
    probability: 1,
  };
  const receipt: Receipt = {
    callId: `call-${++made}`,
    requestId: "r",
    atMs: 0,
    caller: "anonymous",
    requestedModel: "g",
    operation: "chat",
    stream: false,
    decision: {
      strategy: "llmrouter-knn",
      artifact: "router@1",
      reason: "utility",
      candidates: [chosen],
      chosen: chosen.model,
      decisionUs: 1,
      ...(told.isStatic ? {} : { novelty: told.novelty ?? 0.2 * random.next() }),
    },
    attempts: [],
    outcome: told.outcome ?? "success",
    timings: {
      decisionUs: 1,
      overheadUs: 1,
      totalMs: told.latencyMs ?? 500 * Math.exp(0.3 * nextNormal(random)),
    },
    feedback: [],
    ...(told.error === undefined ? {} : { error: told.error }),
  };
  return { receipt, tenant: "t" };
}

function start(enabled = true) {
  const clock = createVirtualClock();
  const lines: string[] = [];
  const telemetry = createTelemetry({
    clock,
    log: { format: "json", write: (line) => lines.push(line) },
  });
  const report = createDriftReport(telemetry);
  const drift = createDriftWatch({ clock, onAlarm: report.raised });
  telemetry.onCollect(() => report.standing(driftKinds, drift.alarms()));
  const log = watchDrift(createMemoryEventLog({ clock }), () => (enabled ? drift : undefined));
  const run = (count: number, told: Told = {}) => {
    for (let i = 0; i < count; i++) log.append(eventOf(told));
  };
  return { clock, lines, telemetry, drift, log, run };
}

describe("the event log, watched", () => {
  test("raises an alarm: a log line for audit, metrics, readiness", async () => {
    const { clock, lines, telemetry, drift, run } = start();
    run(600);
    expect(drift.alarms()).toEqual([]);
    run(60, { novelty: 0.9 });
    const [line] = lines.filter((each) => each.includes("drift"));
    expect(JSON.parse(line ?? "{}")).toMatchObject({
      level: "warn",
      audit: "drift.queries",
      artifact: "router@1",
    });
    const metrics = telemetry.prometheus();
    expect(metrics).toContain('routeiq_drift_alarms_total{kind="queries"} 1');
    expect(metrics).toContain('routeiq_drift_active{kind="queries"} 1');
    expect(metrics).toContain('routeiq_drift_active{kind="latency"} 0');

    const config = await configOf("model_list: []");
    const outbound = { fetch: () => Promise.reject(new Error("nobody is called")) };
    const services = createTestServices(config, { clock, outbound });
    const routes = healthRoutes({
      artifact: () => ({ status: "active" }),
      reload: () => ({ count: 0, findings: [] }) as never,
      drift: drift.alarms,
    });
    const ready = routes.find(({ path }) => path === "/_health/ready");
    const request = new Request("http://localhost/_health/ready");
    const context = { services, requestId: "r", params: {} };
    const answer = await ready?.handle(request, context as never);
    expect(answer?.status).toBe(200);
    expect(await answer?.json()).toMatchObject({
      status: "degraded",
      checks: { drift: { alarms: [{ kind: "queries", artifact: "router@1" }] } },
    });
  });

  test("tells of a model that does worse than predicted, by the scores that come later", async () => {
    const { drift, log } = start();
    for (let i = 0; i < 900; i++) {
      const event = eventOf();
      log.append(event);
      const { callId } = event.receipt;
      const score = random.next() < (i < 500 ? 0.7 : 0.3) ? 1 : 0;
      expect(await log.addFeedback({ callId, score, source: "user", atMs: 0 })).toBe(true);
    }
    expect(drift.alarms()).toMatchObject([{ kind: "quality", model: "openai/a" }]);
    expect(await log.addFeedback({ callId: "nobody", score: 0, source: "user", atMs: 0 })).toBe(
      false,
    );
  });

  test.each<[string, Told]>([
    ["static decisions", { isStatic: true, latencyMs: 9e6 }],
    ["a caller's own mistakes", { outcome: "failure", error: "invalid_request", novelty: 1 }],
    ["calls that the caller gave up", { outcome: "cancelled", novelty: 1 }],
  ])("%s are no drift", (_name, told) => {
    const { drift, run } = start();
    run(600);
    run(600, told);
    expect(drift.alarms()).toEqual([]);
  });

  test("watches nothing where it is turned off", () => {
    const { drift, run } = start(false);
    run(600);
    run(600, { novelty: 1 });
    expect(drift.alarms()).toEqual([]);
  });
});
