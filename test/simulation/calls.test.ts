/**
 * The pipeline under upstreams that die, hang, stall and lie, and callers who hang up: hundreds of
 * seeded worlds on a virtual clock. To replay a failure: SEED=17 bun test simulation
 */
import { expect, test } from "bun:test";
import { CallFailed, handle } from "../../src/pipeline/handle.ts";
import { findReceipt } from "../../src/pipeline/receipts.ts";
import { isWhole } from "../../src/pipeline/reply.ts";
import { retryBudgetLimits } from "../../src/pipeline/retry-budget.ts";
import type { Services } from "../../src/pipeline/services.ts";
import { createRandom, nextInt, type Random } from "../../src/std/random.ts";
import { arrivalOf, configOf, createTestServices, hello } from "../support/services.ts";
import { type Behaviour, createUpstreams, type SeenUpstream } from "../support/upstreams.ts";
import { createVirtualClock, type VirtualClock } from "../support/virtual-clock.ts";

const seeds = process.env["SEED"]
  ? [Number(process.env["SEED"])]
  : Array.from({ length: 300 }, (_, i) => i + 1);

const configWith = (limit: string, more: string) =>
  configOf(`
model_list:
  - {model_name: main, litellm_params: {model: openai/a, api_base: "http://a.test/v1", api_key: k1${limit}}}
  - {model_name: main, litellm_params: {model: openai/b, api_base: "http://b.test/v1", api_key: k2${limit}}}
  - {model_name: main, litellm_params: {model: anthropic/c, api_base: "http://c.test", api_key: k3${limit}}}
  - {model_name: backup, litellm_params: {model: openai/d, api_base: "http://d.test/v1", api_key: k4}}
router_settings:
  num_retries: 2
  fallbacks: [{main: [backup]}]
routeiq_settings:
  timeouts: {first_token_ms: 20000, idle_ms: 5000, total_ms: 60000, write_stall_ms: 30000}
${more}
`);
const plain = await configWith("", "");
/** All that is off by default: hedges, streams that go on elsewhere, learnt limits and a queue. */
const everything = await configWith(
  ", max_parallel_requests: 2",
  `  hedging: {enabled: true, after_ms: 700, budget_share: 1}
  continuation: {enabled: true, max_times: 2}
  concurrency: {adaptive: true, min_limit: 1, initial_limit: 2, max_calls: 6, max_queued: 4, max_wait_ms: 4000}`,
);

interface Outcome {
  readonly number: number;
  readonly startedAtMs: number;
  readonly callId: string;
  end: "whole" | "complete" | "in-band-error" | "error" | "cancelled" | "lost";
  status?: number;
  firstByteAtMs?: number;
  hungUpAtMs?: number;
}

const worlds = [
  ...seeds.map((seed) => ["plain", seed, plain] as const),
  ...seeds.slice(0, 150).map((seed) => ["with everything on", seed, everything] as const),
];
test.each(worlds)("no call is lost, none answered twice (%s, seed %d)", async (_, seed, config) => {
  const random = createRandom(seed);
  const clock = createVirtualClock();
  const failureRate = random.next() * 0.7;
  const { outbound, seen } = createUpstreams(clock, () => randomBehaviour(random, failureRate));
  const created = createTestServices(config, { clock, outbound, random });
  const { log, services } = watchBudget(created);

  const outcomes = Array.from({ length: 30 }, (_, number) =>
    runCall(number, random, clock, services),
  );
  await clock.advance(600_000);
  const ended = await Promise.all(outcomes.map((each) => each.outcome));

  expect(services.failures).toEqual([]);
  for (const outcome of ended) {
    const upstream = seen.filter((one) => callNumber(one) === outcome.number);
    await checkCall(outcome, upstream, services);
  }
  expect(services.activity.count).toBe(0);
  for (const { id } of services.table.deployments) expect(services.pool.stats.inFlight(id)).toBe(0);
  expect(seen.filter((one) => !one.ended)).toEqual([]);
  expect(services.expiry.size).toBe(0);
  expect(clock.pending).toBeLessThanOrEqual(1); // the one that all attempts share
  expect(created.rows.length).toBe(ended.length);
  checkBudget(log);
  const extra = seen.length - new Set(seen.map(callNumber)).size;
  expect(log.retries.length).toBeGreaterThanOrEqual(extra);
});

async function checkCall(
  outcome: Outcome,
  upstream: readonly SeenUpstream[],
  services: Services,
): Promise<void> {
  expect(outcome.end).not.toBe("lost");
  const receipt = await findReceipt(outcome.callId, services);
  expect(receipt?.attempts.length).toBe(upstream.length);
  expect(upstream.length).toBeLessThanOrEqual(services.config.routeiq.maxAttempts);
  if (outcome.firstByteAtMs !== undefined) {
    const { firstByteAtMs } = outcome;
    const later = receipt?.attempts.filter(({ because }) => because === "continuation").length;
    expect(upstream.filter((one) => one.atMs > firstByteAtMs).length).toBeLessThanOrEqual(
      later ?? 0,
    );
    expect(upstream.filter((one) => one.abortedAtMs === undefined && !one.ended)).toEqual([]);
  }
  if (outcome.hungUpAtMs !== undefined && outcome.end === "cancelled") {
    for (const one of upstream) {
      expect(one.atMs).toBeLessThanOrEqual(outcome.hungUpAtMs);
      if (one.abortedAtMs !== undefined) {
        expect(one.abortedAtMs - outcome.hungUpAtMs).toBeLessThanOrEqual(100);
      }
    }
    expect(receipt?.outcome).toBe("cancelled");
  }
  const succeeded = outcome.end === "whole" || outcome.end === "complete";
  if (receipt?.outcome === "success") expect(succeeded).toBe(true);
  if (succeeded) {
    expect(receipt?.outcome).toBe("success");
    expect(receipt?.usage?.inputTokens).toBe(10);
    expect(receipt?.attempts.filter(({ outcome }) => outcome === "ok").length).toBe(1);
  }
}

/** In no ten seconds does the budget give out more than it should (a second of slack: its buckets). */
function checkBudget({ calls, retries }: BudgetLog): void {
  const { share, floor, windowS } = retryBudgetLimits;
  for (const atMs of retries) {
    const within = (ms: number, windowMs: number) => ms <= atMs && ms > atMs - windowMs;
    const taken = retries.filter((ms) => within(ms, windowS * 1000 - 1000)).length;
    const counted = calls.filter((ms) => within(ms, windowS * 1000)).length;
    expect(taken).toBeLessThanOrEqual(share * counted + floor);
  }
}

interface BudgetLog {
  readonly calls: number[];
  readonly retries: number[];
}

/** The services with a retry budget whose every movement is written down. */
function watchBudget<S extends Services>(services: S) {
  const log: BudgetLog = { calls: [], retries: [] };
  const { retryBudget, clock } = services;
  const watched: Services["retryBudget"] = {
    countCall() {
      log.calls.push(clock.now());
      retryBudget.countCall();
    },
    take() {
      const taken = retryBudget.take();
      if (taken) log.retries.push(clock.now());
      return taken;
    },
    get left() {
      return retryBudget.left;
    },
  };
  return { log, services: { ...services, retryBudget: watched } };
}

function runCall(number: number, random: Random, clock: VirtualClock, services: Services) {
  const controller = new AbortController();
  const stream = random.next() < 0.6;
  const anthropic = random.next() < 0.4;
  const hangsUpAfterMs = random.next() < 0.2 ? random.next() * 15_000 : undefined;
  const readDelayMs = random.next() < 0.2 ? 200 : 0;
  const startsAfterMs = random.next() * 20_000;
  const body = hello("main", {
    stream,
    max_tokens: 100,
    messages: [{ role: "user", content: `#${number}#` }],
  });

  async function run(): Promise<Outcome> {
    const arrival = arrivalOf(body, clock, {
      dialect: anthropic ? "anthropic" : "openai-chat",
      signal: controller.signal,
    });
    const outcome: Outcome = {
      number,
      startedAtMs: clock.now(),
      callId: arrival.id,
      end: "lost",
    };
    let cancel: (() => void) | undefined;
    const cancelHangUp =
      hangsUpAfterMs === undefined
        ? undefined
        : clock.after(hangsUpAfterMs, () => {
            outcome.hungUpAtMs = clock.now();
            controller.abort();
            cancel?.();
          });
    try {
      const reply = await handle(arrival, services);
      const { body } = reply;
      if (isWhole(body)) {
        outcome.end = "whole";
        return outcome;
      }
      cancel = () => body.cancel("gone");
      if (controller.signal.aborted) cancel();
      outcome.firstByteAtMs = clock.now();
      let text = "";
      for (;;) {
        const bytes = await body.next();
        if (!bytes) break;
        text += new TextDecoder().decode(bytes);
        if (readDelayMs) await new Promise<void>((done) => clock.after(readDelayMs, done));
      }
      if (outcome.hungUpAtMs !== undefined) outcome.end = "cancelled";
      else {
        outcome.end = readEnd(text, anthropic);
      }
    } catch (thrown) {
      if (!(thrown instanceof CallFailed)) throw thrown;
      outcome.status = thrown.error.status;
      outcome.end = thrown.error.code === "caller_gone" ? "cancelled" : "error";
    } finally {
      cancelHangUp?.();
    }
    return outcome;
  }

  const outcome = new Promise<Outcome>((resolve, reject) => {
    clock.after(startsAfterMs, () => run().then(resolve, reject));
  });
  return { outcome };
}

/** A stream ends with its dialect's terminator or with one error event, never with both. */
function readEnd(text: string, anthropic: boolean): Outcome["end"] {
  const complete = anthropic ? text.includes("event: message_stop") : text.includes("data: [DONE]");
  const error = anthropic ? text.includes("event: error") : text.includes('data: {"error"');
  expect(complete !== error).toBe(true);
  return complete ? "complete" : "in-band-error";
}

function callNumber({ text }: SeenUpstream): number {
  return Number(/#(\d+)#/.exec(text)?.[1]);
}

function randomBehaviour(random: Random, failureRate: number): Behaviour {
  const answer = {
    kind: "answer",
    afterMs: nextInt(random, 3_000),
    gapMs: nextInt(random, 300),
  } as const;
  if (random.next() >= failureRate) return answer;
  const tokens = nextInt(random, 4);
  const failures: readonly Behaviour[] = [
    { kind: "status", status: 500 },
    { kind: "status", status: 503 },
    { kind: "status", status: 429, retryAfterS: 1 + nextInt(random, 5) },
    { kind: "status", status: 429 },
    { kind: "status", status: 401 },
    { kind: "status", status: 400 },
    { kind: "status", status: 404 },
    { kind: "refuse" },
    { kind: "hang" },
    { kind: "silent" },
    { kind: "cut", tokens, how: "reset" },
    { kind: "cut", tokens, how: "end" },
    { kind: "error-event", tokens },
    { kind: "stall", tokens },
    { kind: "garbage" },
  ];
  return failures[nextInt(random, failures.length)] ?? answer;
}
