/** Configuration in, running gateway out: the only file that wires parts together. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isLoopback } from "./config/open-bind.ts";
import { createConfigReloader } from "./config/reload.ts";
import { dialects } from "./dialects/registry.ts";
import type { Gateway, GatewayOptions } from "./gateway/gateway.ts";
import { createLearntRouting, type LearntRouting } from "./gateway/learnt-routing.ts";
import type { RunningMemoryApis } from "./gateway/memory-apis.ts";
import { type Observation, startObservation } from "./gateway/observation.ts";
import { createServices } from "./gateway/services.ts";
import { createShared } from "./gateway/shared.ts";
import { drain, stopListening } from "./gateway/stop.ts";
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
import { embedText } from "./pipeline/embed-text.ts";
import { createHostedTurns } from "./pipeline/hosted/hosted.ts";
import type { Services } from "./pipeline/services.ts";
import { createResponses } from "./resources/responses/responses.ts";
import { createSlot } from "./routing/slot.ts";
import { type Clock, systemClock } from "./std/clock.ts";
import { systemRandom } from "./std/random.ts";
import { recordFileName } from "./storage/record-store.ts";
import { tellReload } from "./telemetry/tell-reload.ts";

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
    memory ??= import("./gateway/memory-apis.ts").then(({ startMemoryApis }) =>
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

/** The runtime counts in seconds, up to 255. */
function toIdleSeconds(receiveMs: number): number {
  return Math.min(255, Math.max(1, Math.ceil(receiveMs / 1000)));
}
