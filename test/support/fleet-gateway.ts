/**
 * One gateway of a simulated fleet: the product's poller, source, copy, slot, split and build over a
 * network and a disk that can fail, and calls whose outcome depends on the release that decided.
 */
import type { RolloutArgs } from "../../src/config/config.ts";
import { GatewayError } from "../../src/domain/errors.ts";
import type { RawFeatures } from "../../src/domain/features.ts";
import type { Json, JsonObject } from "../../src/domain/json.ts";
import { createLocalCopy } from "../../src/learning/artifacts/copy.ts";
import { artifactRuntime } from "../../src/learning/artifacts/format.ts";
import { createPoller } from "../../src/learning/artifacts/poll.ts";
import { createRepositorySource } from "../../src/learning/artifacts/repository-source.ts";
import type { Candidate } from "../../src/learning/artifacts/source.ts";
import { toRolloutPlan } from "../../src/learning/rollout/plan.ts";
import { createSlot } from "../../src/routing/slot.ts";
import { createSplit } from "../../src/routing/split.ts";
import type { TrainedRouter } from "../../src/routing/trained-router.ts";
import { createRandom, nextInt, nextNormal } from "../../src/std/random.ts";
import type { ObjectStore } from "../../src/storage/object-store.ts";
import type { VirtualClock } from "./virtual-clock.ts";
import { watchTelemetry } from "./watch-telemetry.ts";

/** What calls are like that a release decides. */
export interface Ways {
  readonly errors: number;
  readonly latencyMs: number;
  readonly costUsd: number;
  readonly score: number;
}

export const usual: Ways = { errors: 0.01, latencyMs: 800, costUsd: 0.002, score: 0.8 };

/** A release that was honestly published: what its router must answer, and how its calls go. */
export interface Honest {
  readonly version: number;
  /** Quality of the first label, by query. */
  readonly answers: readonly number[];
  readonly ways: Ways;
}

export interface FleetGatewayOptions {
  readonly name: string;
  /** Of the copy and its notes: what outlives the process. */
  readonly folder: string;
  readonly store: ObjectStore;
  readonly root: Uint8Array;
  readonly clock: VirtualClock;
  readonly seed: number;
  readonly rollout?: RolloutArgs;
  /** Share of calls that users score. */
  readonly feedback: number;
  readonly build: (candidate: Candidate) => Promise<TrainedRouter>;
  readonly queries: readonly RawFeatures[];
  /** By the release's SHA-256. */
  readonly honest: ReadonlyMap<string, Honest>;
}

export type Network = "up" | "down" | "flaky" | "cut short";

const day = 86_400_000;
const users = 400;

export function createFleetGateway(options: FleetGatewayOptions) {
  const { name, clock, honest, queries } = options;
  const random = createRandom(options.seed);
  const faults = createRandom(options.seed + 1_000);
  const seen = {
    calls: 0,
    /** Before the first release, and where none is in force. */
    staticCalls: 0,
    /** Calls that each release answered, by version. */
    answered: new Map<number, number>(),
    wrong: [] as string[],
    failed: [] as string[],
    takenBack: new Set<number>(),
    events: [] as Record<string, unknown>[],
  };
  let network: Network = "up";
  let process = begin();

  function begin() {
    const life = { dead: false, stepsLeft: Number.POSITIVE_INFINITY };
    /** Where the process may be killed: before a read of the repository or a write to the disk. */
    const step = () => {
      if (life.dead || --life.stepsLeft <= 0) {
        life.dead = true;
        throw new GatewayError("storage_failed", "the process was killed");
      }
    };
    const store: ObjectStore = {
      ...options.store,
      close: () => undefined,
      async get(key, how) {
        step();
        if (network === "down" || (network === "flaky" && faults.next() < 0.3)) {
          throw new GatewayError("storage_failed", "the network is down");
        }
        const found = await options.store.get(key, how);
        if (network !== "cut short" || !found || found === "not-modified") return found;
        return { ...found, bytes: found.bytes.subarray(0, found.bytes.length >> 1) };
      },
    };
    const source = createRepositorySource({
      store,
      pin: { bytes: options.root },
      name: "router",
      runtime: artifactRuntime,
      copy: createLocalCopy(options.folder, step),
      maxStaleMs: 7 * day,
    });
    const slot = createSlot({ status: "missing" });
    const watched = watchTelemetry();
    const poller = createPoller({
      source: {
        ...source,
        async saveProgress(progress) {
          step();
          await source.saveProgress(progress);
        },
      },
      slot,
      build: options.build,
      intervalMs: 60_000,
      maxStaleMs: 7 * day,
      hotReload: false, // the test says when it looks, so that every run is the same
      rollout: () => toRolloutPlan(options.rollout),
      clock,
      random: createRandom(options.seed),
      telemetry: watched.telemetry,
      emptyRemedy: "Train and publish one.",
    });
    const split = createSplit({
      slot,
      experiments: [],
      stops: { has: () => false },
      now: clock.now,
    });
    return { life, slot, poller, split, events: watched.events };
  }

  /** One call, decided by the router that the product's own slot and split give it. */
  function call(): void {
    const { slot, split, poller } = process;
    seen.calls++;
    const user = `u${nextInt(random, users)}`;
    const isActive = slot.status().status === "active";
    const choice = split.on
      ? split.choose({ user, request: "", model: "best" }, isActive)
      : undefined;
    const lease = choice?.canary ? slot.acquireCanary() : slot.acquire();
    const release = lease && judge(lease.router, nextInt(random, queries.length));
    lease?.release();
    if (!release) seen.staticCalls++;
    const arm = release ? `router@${release.version}` : "none";
    const unit = choice?.arm.unit;
    const ways = release?.ways ?? usual;
    poller.rollout.observe({
      arm,
      unit,
      ok: random.next() >= ways.errors,
      latencyMs: ways.latencyMs * Math.exp(0.8 * nextNormal(random)),
      costUsd: ways.costUsd * Math.exp(1.1 * nextNormal(random)),
    });
    if (random.next() < options.feedback) {
      poller.rollout.observeScore(arm, random.next() < ways.score ? 1 : 0, unit);
    }
  }

  function judge(router: TrainedRouter, query: number): Honest | undefined {
    const { sha256, version } = router.identity;
    const release = honest.get(sha256);
    if (!release) {
      seen.wrong.push(`${name} serves ${version} ${sha256}, which nobody published`);
      return undefined;
    }
    if (seen.takenBack.has(version)) seen.wrong.push(`${name} serves ${version} again`);
    seen.answered.set(version, (seen.answered.get(version) ?? 0) + 1);
    try {
      const features = queries[query];
      const scores = features && router.scoreFeatures(features);
      if (!scores || scores instanceof Promise) throw new Error("it answers later");
      const [quality = Number.NaN] = scores.quality;
      if (Math.abs(quality - (release.answers[query] ?? 0)) > 1e-9) {
        seen.wrong.push(`${name}: ${version} answers ${quality} to query ${query}`);
      }
    } catch (error) {
      seen.failed.push(`${name}: ${version}: ${String(error)}`);
    }
    return release;
  }

  /** What the process has decided for good is known from its audit lines. */
  function collect(): void {
    for (const event of process.events.splice(0)) {
      seen.events.push(event);
      const { audit, artifact } = event;
      if (audit !== "artifact.rolled_back" && audit !== "rollout.dropped") continue;
      seen.takenBack.add(Number(String(artifact).split("@")[1]));
    }
  }

  async function settle(): Promise<void> {
    await process.poller.settled();
    collect();
  }

  return {
    name,
    seen,
    settle,
    async start() {
      await process.poller.start();
      await settle();
    },
    async look() {
      if (process.life.dead) return;
      await process.poller.pollNow();
      await settle();
    },
    async calls(count: number) {
      for (let i = 0; i < count; i++) {
        call();
        if (i % 5 === 4) await settle();
      }
    },
    setNetwork(now: Network) {
      network = now;
    },
    /** Killed within its next look, before the n-th step of it; or at once, where it takes fewer. */
    async killInLook(steps: number) {
      process.life.stepsLeft = steps;
      await process.poller.pollNow();
      process.life.dead = true;
      await process.poller.close();
      // What a dying process still said is nobody's word.
      process.events.length = 0;
      process = begin();
      await process.poller.start();
      await settle();
    },
    status: () => JSON.parse(JSON.stringify(process.poller.rollout.status())) as JsonObject,
    /** SHA-256 of what decides calls here: in force, and on trial. */
    serving(): readonly (string | undefined)[] {
      const of = (lease: ReturnType<typeof process.slot.acquire>) => {
        lease?.release();
        return lease?.router.identity.sha256;
      };
      return [of(process.slot.acquire()), of(process.slot.acquireCanary())];
    },
    trouble: (): Json | undefined => process.slot.status().code,
  };
}

export type FleetGateway = ReturnType<typeof createFleetGateway>;
