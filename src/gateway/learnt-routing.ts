/**
 * Trained routers in a running gateway: where they come from, how they are built, who watches them.
 * Nothing is loaded before it is needed, so that a gateway without them starts as fast as ever.
 */
import type { Config, EmbeddingSettings } from "../config/config.ts";
import type { RoutingQuery } from "../domain/features.ts";
import type { FeatureExtractor } from "../embedding/embedder.ts";
import type { EmbedderChoice } from "../embedding/registry.ts";
import type { AskForEmbedding } from "../embedding/remote.ts";
import { createLiveRouter } from "../learning/artifacts/live.ts";
import { toS3Settings } from "../learning/artifacts/open-repository.ts";
import { createRemoteSource } from "../learning/artifacts/remote-source.ts";
import type { Candidate } from "../learning/artifacts/source.ts";
import type { SourceConfig } from "../learning/artifacts/thread.ts";
import { createDriftWatch, type DriftAlarm, driftKinds } from "../learning/drift.ts";
import { createExplorationParts } from "../learning/exploration.ts";
import { teachFrom } from "../learning/online/online-learner.ts";
import { labelOf, type RolloutControl } from "../learning/rollout/control.ts";
import type { Experiments } from "../learning/rollout/experiments.ts";
import {
  createLiveExperiments,
  type LiveExperiments,
} from "../learning/rollout/live-experiments.ts";
import { createRemoteShadow, type RemoteShadow } from "../learning/rollout/remote-shadow.ts";
import type { ShadowReport } from "../learning/rollout/shadow-report.ts";
import type { ShadowStart } from "../learning/rollout/shadow-thread.ts";
import { watchEvents } from "../learning/rollout/watch-events.ts";
import { createDriftReport, watchDrift } from "../learning/watch-drift.ts";
import type { LiveModule } from "../routing/custom/live-module.ts";
import { customName, toModulePlan } from "../routing/custom/plan.ts";
import type { ExplorationBudget } from "../routing/exploration-budget.ts";
import { createExplorer, type Explorer } from "../routing/explore.ts";
import { automaticName, learnedStrategyOf } from "../routing/in-force.ts";
import type { OnlineScores } from "../routing/online.ts";
import { findPolicy } from "../routing/policies/registry.ts";
import type { ArtifactStatus, SwappableSlot } from "../routing/slot.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";
import { type Clock, sleep } from "../std/clock.ts";
import { createPause } from "../std/pause.ts";
import { type Random, systemRandom } from "../std/random.ts";
import type { EventLog } from "../storage/event-log.ts";
import type { Observation } from "./observation.ts";

export interface LearntRoutingOptions {
  readonly config: Config;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dataDir: string;
  readonly observation: Observation;
  readonly slot: SwappableSlot;
  readonly clock: Clock;
  readonly random?: Random;
  /** Asks a model of the configuration for a text's vector. */
  readonly embedText: AskForEmbedding;
  /** Of this gateway, on this machine: they share the port, and what exploration may cost. */
  readonly processes?: number;
}

export type ShadowFacts = Pick<ShadowStart, "labelMapping" | "prices">;

export interface LearntRouting {
  readonly slot: SwappableSlot;
  /** The event log; the health window after a swap reads along. */
  readonly events: EventLog;
  /** What a router would see, for the log; undefined where the log's thread makes it itself. */
  readonly features: Pick<FeatureExtractor, "extract"> | undefined;
  /** The local copy in force, if there is one: waited for a moment, since it makes better answers. */
  start(config: Config): Promise<void>;
  /** @throws GatewayError config_invalid */
  follow(config: Config): Promise<void>;
  reload(): Promise<ArtifactStatus>;
  /** What exploration may cost, and did. */
  readonly budget: ExplorationBudget;
  /** Undefined where a configuration learns nothing while serving. */
  online(config: Config): OnlineScores | undefined;
  /** What is no longer as it was when the router in force was trained. */
  drift(): readonly DriftAlarm[];
  /** Tells of a router that could not decide. */
  routerFailed(router: TrainedRouter, unit: number | undefined): void;
  /** Undefined where no trained router is configured. */
  rollout(): RolloutControl | undefined;
  readonly experiments: Experiments;
  readonly slotOf: LiveExperiments["slotOf"];
  /** What scoring in the shadow needs to know of the configuration in force. */
  describe(facts: ShadowFacts): void;
  /** Resolves when what was learnt, spent and noted is on its way to the disk. */
  close(): Promise<void>;
}

/** Undefined where exploration is off: a call then pays nothing for it. */
export function toExplorer(
  { exploration }: Config["router"]["routingStrategyArgs"],
  parts: { readonly random: Random; readonly budget: ExplorationBudget },
): Explorer | undefined {
  if (!exploration) return undefined;
  const { mode, rate, width, max_arms } = exploration;
  return createExplorer({ mode, rate, width, arms: max_arms }, parts);
}

/** A copy takes some 50 ms; past this the first calls are routed by the static strategy. */
const startWaitMs = 3_000;

export function createLearntRouting(options: LearntRoutingOptions): LearntRouting {
  const { slot, clock, observation, env, dataDir, random = systemRandom } = options;
  const choice = toChoice(options.config.routeiq.embedding);
  let close: () => void = () => undefined;
  const parts = once(async () => {
    const loaded = await loadParts(choice, options);
    close = loaded.close;
    return loaded;
  });
  const { background } = observation;
  let shadow: RemoteShadow | undefined;
  let described: ShadowFacts = { labelMapping: {}, prices: {} };
  background.on("shadow", (payload) => shadow?.told(payload as ShadowReport));
  background.onRestart(() => shadow?.restarted());
  /** Events pass through the background thread: where none are written, nothing can be scored. */
  const toShadow = (config: SourceConfig): RemoteShadow => {
    shadow = createRemoteShadow({
      remote: background.service("shadow"),
      async describe() {
        const { id, sha256, dimensions } = (await parts()).embedder;
        const embedder = { id, sha256, dimensions };
        return { config, embedder, nowMs: clock.now(), ...described };
      },
      onFailure: (error) =>
        observation.telemetry.log("error", "nothing can be scored in the shadow", { error }),
    });
    return shadow;
  };
  const routers = {
    env,
    openSource: (config: SourceConfig) =>
      createRemoteSource(observation.background.service("artifacts"), config, async () => {
        const { id, sha256, dimensions } = (await parts()).embedder;
        return { id, sha256, dimensions };
      }),
    async build(candidate: Candidate) {
      const { buildRouter, ...built } = await parts();
      return await buildRouter(candidate, { ...built, clock, pause: createPause(clock) });
    },
    clock,
    random,
    processes: options.processes ?? 1,
  };
  const live = createLiveRouter({
    ...routers,
    slot,
    dataDir,
    telemetry: observation.telemetry,
    shadow: (source) => (options.config.routeiq.telemetry.events ? toShadow(source) : undefined),
  });
  const trials = createLiveExperiments({
    dataDir,
    clock,
    telemetry: observation.telemetry,
    live: routers,
    random,
    worker: env["ROUTEIQ_WORKER"] ?? "",
    exchange: (state, member, address) => {
      const params = { address, s3: toS3Settings(env), member, state, nowMs: clock.now() };
      return observation.background.service("figures").call("exchange", params);
    },
  });
  const extract = async (query: RoutingQuery) => {
    const { extractor } = await parts();
    return await extractor.extract(query);
  };
  const { telemetry } = observation;
  const report = createDriftReport(telemetry);
  const drift = createDriftWatch({ clock, onAlarm: report.raised });
  telemetry.onCollect(() => report.standing(driftKinds, drift.alarms()));
  let watchesDrift = false;
  const exploration = createExplorationParts({
    remote: observation.background.service("online"),
    dataDir,
    process: Number(env["ROUTEIQ_WORKER"] || 1),
    processes: options.processes ?? 1,
    clock,
    telemetry,
  });
  // Nearly nobody has one, and nothing of it is loaded before somebody does.
  let custom: LiveModule | undefined;
  const follow = async (config: Config) => {
    watchesDrift = config.router.routingStrategyArgs.drift_detection ?? true;
    exploration.follow(config);
    const plan = await toPlan(config, env);
    if (!plan) await custom?.follow(undefined);
    await trials.follow(config);
    await live.follow(config, takesArtifact(config));
    if (!plan) return;
    const extractor = async () => (await parts()).extractor;
    const { createLiveModule } = await import("../routing/custom/live-module.ts");
    custom ??= createLiveModule({ slot, extractor, clock, telemetry });
    await custom.follow(plan);
  };
  const watched = watchEvents(observation.events, {
    routers: live,
    experiments: trials.experiments.watcher,
  });
  const events = teachFrom(watched, exploration.learner);
  return {
    slot,
    events: watchDrift(events, () => (watchesDrift ? drift : undefined)),
    drift: drift.alarms,
    budget: exploration.budget,
    online: exploration.learnerFor,
    // A model would be asked, and paid, for calls that have nothing to decide.
    features: choice.kind === "onnx" ? { extract } : undefined,
    async start(config) {
      await Promise.race([follow(config), sleep(clock, startWaitMs)]);
    },
    follow,
    async reload() {
      await custom?.reload();
      return await live.reload();
    },
    routerFailed({ identity }, unit) {
      live.observe({ arm: labelOf(identity), unit, ok: false, latencyMs: 0 });
    },
    rollout: live.control,
    experiments: trials.experiments,
    slotOf: trials.slotOf,
    describe(facts) {
      described = facts;
    },
    async close() {
      await exploration.close();
      await live.close();
      custom?.close();
      slot.swap(undefined, { status: "none" });
      await trials.close();
      close();
    },
  };
}

/** A module of the operator's own, where the strategy is one. @throws GatewayError config_invalid */
async function toPlan(config: Config, env: LearntRoutingOptions["env"]) {
  if (config.router.routingStrategy !== customName) return undefined;
  const { toDeployments } = await import("../providers/deployments.ts");
  const { loadCatalog } = await import("../providers/catalog.ts");
  const { withPriceFile } = await import("../providers/price-file.ts");
  const factsOf = withPriceFile(loadCatalog().factsOf, config.prices);
  const { deployments } = toDeployments(config, { env, factsOf });
  return toModulePlan(config.router.routingStrategyArgs, deployments);
}

/** Balancers learn nothing, and of the strategies that ask models not all do. */
function takesArtifact({ router }: Config): boolean {
  const { routingStrategy, routingStrategyArgs } = router;
  const policy = findPolicy(routingStrategy);
  if (routingStrategy === customName || policy?.artifact === "never") return false;
  if (policy?.artifact === "maybe" || routingStrategy === automaticName) {
    return routingStrategyArgs.model_path !== undefined;
  }
  return learnedStrategyOf(router) !== undefined;
}

function toChoice({ onnxPath, model, normalize }: EmbeddingSettings): EmbedderChoice {
  if (model) return { kind: "model", model: model.name, dimensions: model.dimensions, normalize };
  return onnxPath === undefined ? { kind: "static" } : { kind: "onnx", path: onnxPath, normalize };
}

async function loadParts(
  choice: EmbedderChoice,
  { clock, embedText }: Pick<LearntRoutingOptions, "clock" | "embedText">,
) {
  const [{ createEmbedder }, { createOnnxRuntime }, { createFeatureExtractor }] = await Promise.all(
    [
      import("../embedding/registry.ts"),
      import("../embedding/onnx-runtime.ts"),
      import("../embedding/features.ts"),
    ],
  );
  const { createKernels } = await import("../kernels/create.ts");
  const { createKernelStore } = await import("../kernels/store.ts");
  const store = createKernelStore(createKernels);
  const { buildRouter } = await import("../learning/artifacts/build-router.ts");
  let runtime: ReturnType<typeof createOnnxRuntime> | undefined;
  const open = () => {
    runtime ??= createOnnxRuntime({ clock });
    return runtime;
  };
  const embedder = await createEmbedder(choice, open, embedText);
  return {
    embedder,
    extractor: createFeatureExtractor(embedder),
    kernels: store.take,
    release: store.give,
    openOnnx: (bytes: Uint8Array) => open().openModel(bytes),
    buildRouter,
    close() {
      embedder.close();
      runtime?.close();
    },
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}
