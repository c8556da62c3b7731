/** Configuration in, running gateway out: the only file that wires parts together. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "./config/config.ts";
import type { Finding } from "./config/finding.ts";
import type { Loaded } from "./config/load.ts";
import { isLoopback } from "./config/open-bind.ts";
import {
  type ConfigReloader,
  createConfigReloader,
  type ReloadCause,
  type ReloadStatus,
  type SyncStatus,
} from "./config/reload.ts";
import { callerDialects, dialects } from "./dialects/registry.ts";
import { GatewayError } from "./domain/errors.ts";
import type { Deployment } from "./domain/model.ts";
import { createApp } from "./http/app.ts";
import { callRoutes } from "./http/call-routes.ts";
import { createCors } from "./http/cors.ts";
import { internalFailure } from "./http/errors.ts";
import { createHeadWriter } from "./http/headers.ts";
import { createRealtime, type SocketData } from "./http/openai/realtime.ts";
import type { SlowRoutes } from "./http/route.ts";
import { createPlainRoutes } from "./http/routes.ts";
import { type HttpServer, startServer } from "./http/server.ts";
import { toS3Settings } from "./learning/artifacts/open-repository.ts";
import type { DriftAlarm } from "./learning/drift.ts";
import type { RolloutControl } from "./learning/rollout/control.ts";
import type { Experiments } from "./learning/rollout/experiments.ts";
import { createLearntRouting, type LearntRouting, toExplorer } from "./learnt-routing.ts";
import type { MemoryApis, RunningMemoryApis } from "./memory-apis.ts";
import { type Observation, startObservation } from "./observation.ts";
import { type Activity, createActivity } from "./pipeline/activity.ts";
import { createAuthenticator } from "./pipeline/authenticate.ts";
import { embedText } from "./pipeline/embed-text.ts";
import { createHealthWatch } from "./pipeline/health-watch.ts";
import { createHostedTurns } from "./pipeline/hosted/hosted.ts";
import { createCallMetrics } from "./pipeline/metrics.ts";
import { createPolicyRunner } from "./pipeline/policies/answer.ts";
import { createReceiptRing } from "./pipeline/receipts.ts";
import { createRetryBudget } from "./pipeline/retry-budget.ts";
import { createCallRules } from "./pipeline/rules.ts";
import type { Connections, HostedTurns, PolicyRunner, Services } from "./pipeline/services.ts";
import { createSpend } from "./pipeline/spend.ts";
import { createSurvival } from "./pipeline/survival.ts";
import { loadCatalog } from "./providers/catalog.ts";
import { createProviderClient } from "./providers/client.ts";
import { toDeployments } from "./providers/deployments.ts";
import { withMocks } from "./providers/mock.ts";
import { createPassThroughTable } from "./providers/pass-through.ts";
import { withPriceFile } from "./providers/price-file.ts";
import { findProvider } from "./providers/registry.ts";
import { createTokenSource } from "./providers/signers/tokens.ts";
import { createResponses, type Responses } from "./resources/responses/responses.ts";
import { customName, moduleTimeoutMs } from "./routing/custom/plan.ts";
import { defaultTradeoff, parseFloorSetting } from "./routing/dial.ts";
import { toExperiments } from "./routing/experiments.ts";
import { toInForce } from "./routing/in-force.ts";
import { findPolicy } from "./routing/policies/registry.ts";
import { createPool } from "./routing/pool.ts";
import type { RouterOptions } from "./routing/ranking.ts";
import { createResolveTable } from "./routing/resolve.ts";
import { createRouter } from "./routing/router.ts";
import { createSessions } from "./routing/sessions.ts";
import {
  type ArtifactStatus,
  createSlot,
  type RouterSlot,
  type SwappableSlot,
} from "./routing/slot.ts";
import { createSplit } from "./routing/split.ts";
import type { Outbound } from "./security/outbound.ts";
import type { WebSocketOutbound } from "./security/web-socket/open.ts";
import { type Clock, systemClock } from "./std/clock.ts";
import { ExpiryQueue } from "./std/expiry.ts";
import { type Random, systemRandom } from "./std/random.ts";
import type { EventLog } from "./storage/event-log.ts";
import { type RecordStore, recordFileName } from "./storage/record-store.ts";
import type { GatewayTelemetry } from "./telemetry/create.ts";
import type { LogOptions } from "./telemetry/log.ts";
import type { Telemetry } from "./telemetry/telemetry.ts";
import { tellReload } from "./telemetry/tell-reload.ts";

export interface GatewayOptions {
  readonly config: Config;
  readonly findings: Loaded["findings"];
  /** Loads and checks the configuration anew, for a reload. */
  readonly load: () => Promise<Pick<Loaded, "config" | "findings">>;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dataDir: string;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** Several processes share the port. */
  readonly reusePort?: boolean;
  /** How many there are: each has its part of what exploration may cost. Default 1. */
  readonly processes?: number;
  /** Writes a line of the log, its end included. */
  readonly log: Omit<LogOptions, "clock">;
  readonly outbound: Outbound;
  /** How changes of the configuration are noticed; for those who ask. */
  readonly sync?: () => SyncStatus;
  /** Told after every reload, with who asked for it. */
  readonly onReload?: (status: ReloadStatus, cause: ReloadCause) => void;
  /** For realtime sessions; without it there are none. */
  readonly webSockets?: WebSocketOutbound;
  readonly slowRoutes: (gateway: Omit<Gateway, "url" | "port">) => Promise<SlowRoutes>;
  readonly clock?: Clock;
  readonly random?: Random;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly services: () => Services;
  readonly responses: Responses;
  /** The APIs that keep things, and agents: loaded when one of them is asked for, or has work left. */
  readonly memory: () => Promise<MemoryApis>;
  readonly slot: SwappableSlot;
  readonly reloader: ConfigReloader;
  readonly sync: (() => SyncStatus) | undefined;
  readonly telemetry: GatewayTelemetry;
  /** Where APIs with memory keep their records; contents lie in the data folder. */
  readonly records: RecordStore;
  readonly events: EventLog;
  /** Only this machine reaches the port. */
  readonly onLoopback: boolean;
  /** Looks for a newer trained router at once; says how routing stands after it. */
  readonly reloadRouter: () => Promise<ArtifactStatus>;
  /** Alarms of drift that stand. */
  readonly drift: () => readonly DriftAlarm[];
  /** The releases on their way into force; undefined where no trained router is configured. */
  readonly rollout: () => RolloutControl | undefined;
  readonly experiments: Experiments;
  /** No new calls; resolves when the last one ended, or was ended after `drain_ms`. */
  drain(): Promise<void>;
  close(): Promise<void>;
}

/** @throws GatewayError config_invalid, strategy_refused; an Error with code EADDRINUSE. */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const clock = options.clock ?? systemClock;
  const observation = await startObservation({
    settings: options.config.routeiq.telemetry,
    responseLimits: options.config.routeiq.responses,
    dataDir: options.dataDir,
    log: options.log,
    clock,
    random: options.random ?? systemRandom,
    resourceAttributes: options.env["OTEL_RESOURCE_ATTRIBUTES"] ?? "",
    s3: toS3Settings(options.env),
    // Of several processes on one folder, the first exports.
    exports: options.env["ROUTEIQ_WORKER"] === undefined,
  });
  const slot = createSlot({ status: "none" });
  // Routers are loaded before there are services; they ask models when calls come.
  const assembled = Promise.withResolvers<() => Services>();
  const { timeoutMs } = options.config.routeiq.embedding;
  const learnt = createLearntRouting({
    ...options,
    observation,
    slot,
    clock,
    embedText: async (model, text) =>
      await embedText(model, text, (await assembled.promise)(), timeoutMs),
  });
  try {
    await learnt.start(options.config);
    const gateway = assemble(options, observation, learnt, clock);
    assembled.resolve(gateway.services);
    return gateway;
  } catch (thrown) {
    await learnt.close();
    await observation.close();
    throw thrown;
  }
}

function assemble(
  options: GatewayOptions,
  observation: Observation,
  learnt: LearntRouting,
  clock: Clock,
): Gateway {
  const { telemetry } = observation;
  const { events, slot } = learnt;
  const hosted = createHostedTurns(async () => (await getMemory()).apis.hosted);
  const shared = createShared(options, { clock, telemetry, learnt, hosted });
  let services = createServices(options.config, shared, options);
  shared.survival.follow(options.config, services.table.deployments);
  shared.healthWatch.follow(services);
  const reloader = createConfigReloader({
    initial: { config: options.config, findings: options.findings },
    load: options.load,
    async apply(config) {
      const next = createServices(config, shared, options);
      await learnt.follow(config);
      services = next;
      shared.survival.follow(config, services.table.deployments);
      shared.pool.keep(services.table.deployments);
      shared.healthWatch.follow(services);
    },
    onReload(status) {
      tellReload(status, telemetry);
      options.onReload?.(status, status.lastCause ?? "api");
    },
    clock,
  });
  const { activity, connections } = shared;
  const cors = createCors(() => services.config.routeiq.corsOrigins);
  let memory: Promise<RunningMemoryApis> | undefined;
  const getMemory = () => {
    memory ??= import("./memory-apis.ts").then(({ startMemoryApis }) =>
      startMemoryApis({
        observation,
        services: () => services,
        dataDir: options.dataDir,
        outbound: options.outbound,
        s3: toS3Settings({ ...options.env, ...services.config.environment }),
      }),
    );
    return memory;
  };
  const inner = {
    services: () => services,
    responses: createResponses(observation.responses, clock),
    memory: async () => (await getMemory()).apis,
    records: observation.records,
    slot,
    reloader,
    sync: options.sync,
    telemetry,
    events,
    onLoopback: isLoopback(options.host),
    reloadRouter: learnt.reload,
    drift: learnt.drift,
    rollout: learnt.rollout,
    experiments: learnt.experiments,
    drain: () => drain(activity, clock, services.config.routeiq.drainMs),
    async close() {
      shared.healthWatch.close();
      stopResuming();
      await (await memory)?.close();
      activity.abortAll();
      await stopListening(server, clock);
      await shared.receipts.settled(clock); // the last calls' rows are on their way
      await learnt.close();
      await observation.close();
    },
  };
  // What an earlier process left undone is gone on with, without delay to the first answers.
  const hasRecords = existsSync(join(options.dataDir, recordFileName));
  const stopResuming = clock.after(resumeAfterMs, () => {
    if (hasRecords) getMemory().catch((thrown: unknown) => services.onInternalFailure(thrown));
  });
  let slow: Promise<SlowRoutes> | undefined;
  const realtime = createRealtime({
    server: () => server.runtime,
    maxMessageBytes: options.config.routeiq.realtime.maxMessageBytes,
  });
  const fetch = createApp({
    realtime,
    services: inner.services,
    responses: inner.responses,
    cors,
    slowRoutes() {
      slow ??= options.slowRoutes(inner);
      return slow;
    },
  });
  const server: HttpServer<SocketData> = startServer<SocketData>({
    hostname: options.host,
    port: options.port,
    reusePort: options.reusePort ?? false,
    services: inner.services,
    findRoute: createPlainRoutes(callRoutes(inner.responses)),
    writeHead: createHeadWriter(),
    onInternalFailure: (cause) => services.onInternalFailure(cause),
    runtime: {
      // Until a request has come; then it is held, or a slow first token would be cut off by this.
      idleTimeout: toIdleSeconds(options.config.routeiq.timeouts.receiveMs),
      // Beyond our own limit, so that the answer to a body too large is ours as well.
      maxRequestBodySize: Number.MAX_SAFE_INTEGER,
      fetch,
      websocket: realtime.handlers,
      error(thrown) {
        services.onInternalFailure(thrown);
        return internalFailure(dialects["openai-chat"]);
      },
    },
  });
  connections.hold = server.hold;
  return { url: server.url, port: server.port, ...inner };
}

const resumeAfterMs = 500;

interface Seen {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly learnt: LearntRouting;
  readonly hosted: HostedTurns;
}

/** What outlives a reload of the configuration. */
function createShared(options: GatewayOptions, { clock, telemetry, learnt, hosted }: Seen) {
  const { events, slot, features } = learnt;
  const random = options.random ?? systemRandom;
  const pool = createPool(clock, random, {
    onEject({ id, group }, error, forMs) {
      const alarm = error.code === "upstream_auth";
      const message = alarm
        ? "a provider refused a deployment's key; mend the key and reload"
        : "a deployment is cooling down";
      telemetry.log(alarm ? "error" : "warn", message, {
        deployment: id,
        group,
        error: error.code,
        forMs,
      });
    },
    onRecover: ({ id, group }) =>
      telemetry.log("info", "a deployment is back", { deployment: id, group }),
  });
  const survival = createSurvival(options.config, { pool, clock, telemetry });
  const activity = createActivity(survival.onLeave);
  const metrics = createCallMetrics(telemetry, () => activity.count);
  return {
    learnt,
    hosted,
    clock,
    random,
    telemetry,
    events,
    pool,
    survival,
    metrics,
    slot,
    ...(features && { features }),
    sessions: createSessions(),
    healthWatch: createHealthWatch({ clock, telemetry }),
    explorationBudget: learnt.budget,
    online: learnt.online,
    activity,
    // Replaced by the server's, as soon as there is one.
    connections: { hold: undefined } as Connections,
    expiry: new ExpiryQueue(clock),
    receipts: createReceiptRing(),
    retryBudget: createRetryBudget(clock),
    spend: createSpend(),
    catalog: loadCatalog(),
  };
}

type Shared = ReturnType<typeof createShared>;

function createServices(config: Config, shared: Shared, options: GatewayOptions): Services {
  const { clock, random, pool, slot, sessions, telemetry, catalog, survival, ...others } = shared;
  const { explorationBudget, online, learnt, ...kept } = others;
  const { env } = options;
  const factsOf = withPriceFile(catalog.factsOf, config.prices);
  const { deployments, findings, off } = toDeployments(config, { env, factsOf });
  const refused = findings.filter(({ level }) => level === "error");
  if (refused[0]) throw toConfigError(refused[0], refused.length - 1);
  for (const { message, remedy, path } of findings) {
    telemetry.log("warn", message, { path, remedy });
  }
  warnOfUnpriced(deployments, telemetry);
  const routerOptions = toRouterOptions(config);
  const experiments = toExperiments(config, { dial: routerOptions.dial, slotOf: learnt.slotOf });
  learnt.describe({
    labelMapping: routerOptions.labelMapping,
    prices: Object.fromEntries(
      deployments.flatMap(({ candidate, facts }) =>
        facts.price ? [[candidate, facts.price]] : [],
      ),
    ),
  });
  return {
    ...kept,
    telemetry,
    config,
    ...survival.servicesOf(config),
    clock,
    random,
    pool,
    getDialect: (name) => callerDialects[name],
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
      factsOf: ({ provider, upstreamModel, facts }) => ({
        ...factsOf(provider, upstreamModel),
        ...facts,
      }),
    }),
    router: createRouter({
      options: routerOptions,
      slot,
      pool,
      sessions,
      clock,
      explorer: toExplorer(config.router.routingStrategyArgs, {
        random,
        budget: explorationBudget,
      }),
      online: online(config),
      split:
        routerOptions.learned || experiments.length > 0
          ? createSplit({ slot, experiments, stops: learnt.experiments, now: clock.now })
          : undefined,
      onRouterFailure(error, router, unit) {
        telemetry.log("error", "the trained router failed; routing was static", { error });
        learnt.routerFailed(router, unit);
      },
    }),
    policy: toPolicyRunner(config, slot, routerOptions),
    checksForm: routerOptions.learned !== undefined && config.routeiq.telemetry.events,
    ...(options.webSockets ? { webSockets: options.webSockets } : {}),
    passThrough: createPassThroughTable({ config, deployments, env }),
    factsOf,
    rules: createCallRules(config),
    client: withMocks(
      createProviderClient({
        outbound: options.outbound,
        findProvider,
        replyLimitBytes: config.general.replyLimitBytes,
        tokens: createTokenSource({
          outbound: options.outbound,
          clock,
          readText: (path) => Bun.file(path).text(),
          env: { ...env, ...config.environment },
        }),
      }),
      clock,
    ),
    onInternalFailure: (error) =>
      telemetry.log("error", "a call failed inside the gateway", { error }),
  };
}

/** Never free in silence: the header is left out, a metric counts, and the log says it once. */
function warnOfUnpriced(deployments: readonly Deployment[], telemetry: Telemetry): void {
  const unpriced = deployments.filter(
    ({ facts, simulated, candidate }) => !facts.price && !simulated && !candidate.includes("*"),
  );
  if (unpriced.length === 0) return;
  telemetry.log("warn", "no price is known of some models; what they cost is not counted", {
    models: [...new Set(unpriced.map(({ candidate }) => candidate))].slice(0, 50).join(", "),
    remedy: "set input_cost_per_token and output_cost_per_token (0 where they are free)",
  });
}

function toConfigError({ file, line, message, remedy }: Finding, more: number): GatewayError {
  const others = more > 0 ? ` (and ${more} more)` : "";
  return new GatewayError("config_invalid", `${file}:${line}: ${message}. ${remedy}${others}`);
}

/** Where the strategy asks language models. @throws GatewayError strategy_refused */
export function toPolicyRunner(
  config: Config,
  slot: RouterSlot,
  { balancer }: Pick<RouterOptions, "balancer">,
): PolicyRunner | undefined {
  const policy = findPolicy(config.router.routingStrategy);
  if (!policy) return undefined;
  return createPolicyRunner({
    policy,
    config,
    balancer,
    learned() {
      const lease = slot.acquire();
      lease?.release(); // what was learnt is data, and outlives the router
      return lease?.router.learned;
    },
  });
}

/** @throws GatewayError strategy_refused */
export function toRouterOptions({ router, routeiq }: Config): RouterOptions {
  const args = router.routingStrategyArgs;
  const custom = router.routingStrategy === customName;
  const buffer = args["lowest_latency_buffer"];
  return {
    ...toInForce(router),
    dial: {
      // A module's scores are its author's own judgement: unless told otherwise they alone decide.
      tradeoff: args.tradeoff ?? (custom ? 1 : defaultTradeoff),
      ...(args.floor === undefined ? {} : { floor: parseFloorSetting(args.floor) }),
      ...(args.latency_weight ? { latencyWeight: args.latency_weight } : {}),
    },
    labelMapping: Object.fromEntries(
      Object.entries(args.label_mapping ?? {}).map(([label, model]) => [label, String(model)]),
    ),
    latencyBuffer: typeof buffer === "number" ? buffer : 0,
    strictFilters: router.enablePreCallChecks || router.contextWindowFallbacks.length > 0,
    decisionTimeoutMs: custom ? moduleTimeoutMs(args) : routeiq.embedding.timeoutMs,
  };
}

/** The runtime counts in seconds, up to 255. */
function toIdleSeconds(receiveMs: number): number {
  return Math.min(255, Math.max(1, Math.ceil(receiveMs / 1000)));
}

/** How long the last bytes of ended calls may take to leave. */
const flushMs = 1_000;

/** Lets what was written leave before connections are closed: a stream's last event, say. */
async function stopListening(
  server: Pick<HttpServer<never>, "stop" | "terminate">,
  clock: Clock,
): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(flushMs, resolve);
  await Promise.race([server.stop(), late]);
  cancel();
  await server.terminate();
}

async function drain(activity: Activity, clock: Clock, limitMs: number): Promise<void> {
  const cancel = clock.after(limitMs, () => activity.abortAll());
  await activity.drain();
  cancel();
}
