/** A pipeline's services with fakes at the edges: virtual clock, scripted upstreams, no sockets. */
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { callerDialects } from "../../src/dialects/registry.ts";
import type { CallEvent } from "../../src/domain/event.ts";
import { isObject, type JsonObject } from "../../src/domain/json.ts";
import { toPolicyRunner, toRouterOptions } from "../../src/gateway/router-options.ts";
import { createActivity } from "../../src/pipeline/activity.ts";
import { createAuthenticator } from "../../src/pipeline/authenticate.ts";
import { createCallMetrics } from "../../src/pipeline/metrics.ts";
import type { Arrival } from "../../src/pipeline/read-call.ts";
import { createReceiptRing } from "../../src/pipeline/receipts.ts";
import { createRetryBudget } from "../../src/pipeline/retry-budget.ts";
import { createCallRules } from "../../src/pipeline/rules.ts";
import type { Services } from "../../src/pipeline/services.ts";
import { createSpend } from "../../src/pipeline/spend.ts";
import { createSurvival } from "../../src/pipeline/survival.ts";
import { createProviderClient } from "../../src/providers/client.ts";
import { toDeployments } from "../../src/providers/deployments.ts";
import { withMocks } from "../../src/providers/mock.ts";
import { createPassThroughTable } from "../../src/providers/pass-through.ts";
import { findProvider } from "../../src/providers/registry.ts";
import { createTokenSource } from "../../src/providers/signers/tokens.ts";
import { createPool } from "../../src/routing/pool.ts";
import { createResolveTable } from "../../src/routing/resolve.ts";
import { createRouter } from "../../src/routing/router.ts";
import { createSessions } from "../../src/routing/sessions.ts";
import { createSlot, type SwappableSlot } from "../../src/routing/slot.ts";
import type { Outbound } from "../../src/security/outbound.ts";
import type { Clock } from "../../src/std/clock.ts";
import { ExpiryQueue } from "../../src/std/expiry.ts";
import { createRandom, type Random } from "../../src/std/random.ts";
import type { EventLog } from "../../src/storage/event-log.ts";
import { createTelemetry } from "../../src/telemetry/create.ts";

export interface TestServices extends Services {
  readonly slot: SwappableSlot;
  /** What was appended to the event log. */
  readonly rows: readonly CallEvent[];
  /** Failures of ours; a test expects none. */
  readonly failures: unknown[];
}

export interface TestOptions {
  readonly clock: Clock;
  readonly outbound: Outbound;
  readonly random?: Random;
  readonly slot?: SwappableSlot;
}

/** As `serve` reads it. @throws Error where the YAML is refused */
export async function configOf(yaml: string): Promise<Config> {
  const { config, findings } = await loadConfig({
    path: "config.yaml",
    cwd: "/",
    env: {},
    readText: async (path) => (path.endsWith("config.yaml") ? yaml : undefined),
  });
  if (!config) throw new Error(JSON.stringify(findings));
  return config;
}

export function createTestServices(config: Config, options: TestOptions): TestServices {
  const { clock, outbound } = options;
  const random = options.random ?? createRandom(1);
  const slot = options.slot ?? createSlot({ status: "none" });
  const pool = createPool(clock, random);
  const { deployments, off } = toDeployments(config, { env: {}, factsOf: () => ({}) });
  const telemetry = createTelemetry({ clock, log: { format: "json", write: () => undefined } });
  const metrics = createCallMetrics(telemetry, () => 0);
  const survival = createSurvival(config, { pool, clock, telemetry });
  survival.follow(config, deployments);
  const failures: unknown[] = [];
  const rows: CallEvent[] = [];
  return {
    config,
    clock,
    expiry: new ExpiryQueue(clock),
    random,
    slot,
    failures,
    pool,
    metrics,
    authenticator: createAuthenticator(
      config.general.masterKey,
      config.general.keyHeader,
      config.routeiq.keys,
    ),
    table: createResolveTable({
      deployments,
      off,
      defaultFallbacks: config.router.defaultFallbacks,
      aliases: config.router.modelGroupAlias,
      autoModels: config.routeiq.autoModels,
      factsOf: ({ facts }) => facts,
    }),
    router: createRouter({
      options: toRouterOptions(config),
      slot,
      pool,
      sessions: createSessions(),
      clock,
      onRouterFailure: (error) => failures.push(error),
    }),
    policy: toPolicyRunner(config, slot, toRouterOptions(config)),
    rules: createCallRules(config),
    client: withMocks(
      createProviderClient({
        outbound,
        findProvider,
        replyLimitBytes: config.general.replyLimitBytes,
        tokens: createTokenSource({ outbound, clock, readText: (path) => Bun.file(path).text() }),
      }),
      clock,
    ),
    passThrough: createPassThroughTable({ config, deployments, env: {} }),
    factsOf: () => ({}),
    getDialect: (name) => callerDialects[name],
    retryBudget: createRetryBudget(clock),
    activity: createActivity(survival.onLeave),
    ...survival.servicesOf(config),
    telemetry,
    events: createListLog(rows),
    rows,
    receipts: createReceiptRing(),
    spend: createSpend(),
    onInternalFailure: (cause) => failures.push(cause),
  };
}

function createListLog(rows: CallEvent[]): EventLog {
  return {
    append: (event) => void rows.push(event),
    addFeedback: async (feedback) => rows.some(({ receipt }) => receipt.callId === feedback.callId),
    findReceipt: async (callId) => rows.find(({ receipt }) => receipt.callId === callId)?.receipt,
    flush: async () => undefined,
    dropped: () => 0,
    status: () => ({ backend: "memory" }),
    close: async () => undefined,
  };
}

let arrivals = 0;

export function arrivalOf(
  body: JsonObject | string,
  clock: Clock,
  more: Partial<Arrival> & { readonly headers?: Headers } = {},
): Arrival {
  const id = `call-${++arrivals}`;
  const text = isObject(body) ? JSON.stringify(body) : body;
  return {
    id,
    requestId: id,
    operation: "chat",
    dialect: "openai-chat",
    headers: new Headers(),
    signal: new AbortController().signal,
    atMs: clock.now(),
    atUs: clock.monotonicUs(),
    bytes: async () => new TextEncoder().encode(text as string),
    ...more,
  };
}

export const hello = (model: string, more: JsonObject = {}): JsonObject => ({
  model,
  messages: [{ role: "user", content: "hello" }],
  ...more,
});
