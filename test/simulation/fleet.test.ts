/**
 * Three gateways and one loop over one S3 server: 50 releases on virtual time, with attacks on the
 * repository, lost networks, processes killed in the middle of a look, and releases that do harm.
 * Real: the S3 server, routers and their self-tests, signatures, copies on disk, polling, canaries,
 * health windows, the loop's turn and its journal. Simulated: time, what calls come to, a kill (all
 * that the dropped process still reads or writes fails), training and the gate, the admin API's HTTP.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { standingOf, standingOfAll } from "../../src/cli/loop/standing.ts";
import { createFeatureExtractor } from "../../src/embedding/features.ts";
import { createStaticEmbedder } from "../../src/embedding/static.ts";
import { createKernels } from "../../src/kernels/create.ts";
import { createKernelStore } from "../../src/kernels/store.ts";
import { buildRouter } from "../../src/learning/artifacts/build-router.ts";
import { sha256Hex } from "../../src/learning/artifacts/canonical.ts";
import type { ArtifactFolder } from "../../src/learning/artifacts/folder.ts";
import { createRoleKey, createRoot } from "../../src/learning/artifacts/keys.ts";
import { toS3Settings } from "../../src/learning/artifacts/open-repository.ts";
import {
  nextReleaseVersion,
  publishRelease,
  rollbackRelease,
} from "../../src/learning/artifacts/publish.ts";
import { findObject, readHead } from "../../src/learning/artifacts/repository.ts";
import { signRelease } from "../../src/learning/artifacts/sign.ts";
import type { Candidate } from "../../src/learning/artifacts/source.ts";
import { type LoopSteps, type Turn, turn } from "../../src/learning/loop/cycle.ts";
import { openJournal } from "../../src/learning/loop/journal.ts";
import { loadRouter } from "../../src/routing/load-router.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { systemClock } from "../../src/std/clock.ts";
import { createRandom, nextInt } from "../../src/std/random.ts";
import type { ObjectStore } from "../../src/storage/object-store.ts";
import { createS3ObjectStore } from "../../src/storage/s3/object-store.ts";
import { attacks } from "../support/fleet-attacks.ts";
import {
  createFleetGateway,
  type FleetGateway,
  type Honest,
  usual,
  type Ways,
} from "../support/fleet-gateway.ts";
import { missingS3Server, startS3Server } from "../support/s3-server.ts";
import { trainFolder } from "../support/trained.ts";
import { createVirtualClock } from "../support/virtual-clock.ts";

// In memory where there is such a place: kills are simulated, so nothing rests on the disk's own word.
const memory = "/dev/shm";
const temp = mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "routeiq-fleet-"));
afterAll(() => rmSync(temp, { recursive: true, force: true }));

const day = 86_400_000;
const releases = 50;
/** Calls of each gateway in a round, one a second. */
const roundCalls = 20;
/** Gateways look once in so many rounds, one after the other, where there is something to see. */
const lookEvery = 3;
/** And else once in so many: a look that finds nothing costs two requests, and shows little. */
const idleLookEvery = 30;
/** Of calls, that their users score. */
const feedback = 0.5;

/**
 * What docs/rollout.md states (calls of the release, nine lives of ten), as test/simulation/rollout.test.ts
 * bounds it. The last one came through the gate, and answers fast and cheaply: it is its answers that
 * are worse, which only users tell.
 */
const harms: readonly (readonly [name: string, ways: Partial<Ways>, within: number])[] = [
  ["every call fails", { errors: 1 }, 10],
  ["half of the calls fail", { errors: 0.5 }, 30],
  ["three times as slow", { latencyMs: 2_400 }, 75],
  ["worse answers", { score: 0.2, latencyMs: 700, costUsd: 0.0015 }, 90],
  ["four times as dear", { costUsd: 0.008 }, 200],
];

/** Steps and windows that end before harm can be seen let a release on: see there as well. */
const plans = [
  { name: "at-once", steps: 0, minCalls: 0, rollout: {} },
  {
    name: "canary",
    steps: 1,
    minCalls: 60,
    rollout: { canary: { share: 0.1, min_calls: 60 } },
  },
  {
    name: "two-steps",
    steps: 2,
    minCalls: 40,
    rollout: { canary: { share: [0.1, 0.3], min_calls: 40 } },
  },
];

/**
 * Calls of a harmful release that a gateway may answer, as docs/rollout.md states it: steps that end
 * before the harm can be seen let it on, and the next one counts from nothing.
 */
function statedOf({ steps, minCalls }: (typeof plans)[number], within: number): number {
  return within + (within > minCalls ? steps * minCalls : 0);
}

const keys = (["root", "timestamp", "release"] as const).map((role, i) =>
  createRoleKey(role, new Uint8Array(32).fill(i + 1)),
);
const keysOf = (role: string) => keys.filter((key) => key.role === role);
const clock = createVirtualClock(Date.parse("2026-11-25T12:00:00Z"));
const root = createRoot({
  keys: { root: keysOf("root"), timestamp: keysOf("timestamp"), release: keysOf("release") },
  thresholds: { root: 1, timestamp: 1, release: 1 },
  expiresMs: clock.now() + 365 * day,
});

async function createWorld(bare: ObjectStore) {
  let writes = 0;
  const store: ObjectStore = {
    ...bare,
    async put(key, bytes, condition) {
      writes++;
      return await bare.put(key, bytes, condition);
    },
  };
  const embedder = createStaticEmbedder();
  const extractor = createFeatureExtractor(embedder);
  // As a gateway has it: a new memory for every router is what a look would cost most.
  const kernels = createKernelStore(createKernels);
  const parts = { embedder, extractor, kernels: kernels.take, release: kernels.give, clock };
  const folders = await Promise.all([
    trainFolder(["openai/alpha", "openai/beta"]),
    trainFolder(["openai/beta", "openai/alpha", "openai/gamma"]),
    trainFolder(["openai/gamma", "openai/beta"]),
  ]);
  const queries = await Promise.all(
    ["sum the numbers 3 and 4", "write a poem on rain", "fix this python code", "bonjour"].map(
      async (text) => extractor.extract({ text, tools: [] }),
    ),
  );
  const answers = await Promise.all(
    folders.map(async ({ files }) => {
      const identity = { name: "router", version: 0, sha256: "" };
      const router = await loadRouter(files, { identity, ...parts });
      // One after the other: a router's next answer overwrites the last.
      const all: number[] = [];
      for (const query of queries) all.push((await router.scoreFeatures(query)).quality[0] ?? 0);
      router.close();
      return all;
    }),
  );
  const honest = new Map<string, Honest>();
  const gateways = plans.map(({ name, rollout }, at) =>
    createFleetGateway({
      ...{ name, seed: at + 1, store, root, clock, queries, honest, feedback },
      rollout: { health: { max_calls: 300 }, ...rollout },
      folder: join(temp, name),
      build: (candidate: Candidate) => buildRouter(candidate, parts),
    }),
  );
  return { bare, store, folders, answers, honest, gateways, writes: () => writes };
}

type World = Awaited<ReturnType<typeof createWorld>>;

function createRounds({ gateways, writes }: World) {
  let count = 0;
  const lastLooks = gateways.map(() => ({ writes: -1, count: 0 }));
  /** Something was written, or the last look went wrong, or it is long ago. */
  const isDue = (at: number, gateway: FleetGateway) => {
    const last = lastLooks[at];
    const isNews = last?.writes !== writes() || gateway.trouble() !== undefined;
    if (!isNews && count - last.count < idleLookEvery) return false;
    lastLooks[at] = { writes: writes(), count };
    return true;
  };
  return async (rounds: number) => {
    for (let i = 0; i < rounds; i++, count++) {
      await clock.advance(roundCalls * 1_000);
      for (const [at, gateway] of gateways.entries()) {
        if (count % lookEvery === at && isDue(at, gateway)) await gateway.look();
        await gateway.settle();
        await gateway.calls(roundCalls);
      }
    }
  };
}

interface CyclePlan {
  readonly content: number;
  readonly ways: Ways;
  /** Of a harmful one: calls within which it is taken back. */
  readonly within: number;
  /** The loop dies at the n-th of its writes and steps; 0: it does not. */
  readonly loopDiesAt: number;
  /** It dies once it has published, and comes back after so many rounds. */
  readonly loopAwayFor: number;
  /** While gateways are watched: what happens before the n-th round. */
  readonly before: (round: number) => Promise<void>;
}

/** The loop's own turn over the repository; a kill throws, and the next process goes on. */
function createLoop(world: World, rounds: (count: number) => Promise<void>) {
  const { bare, store, folders, answers, honest, gateways } = world;
  const signed = new Map<string, Uint8Array>();
  const seen = { kills: 0, published: 0, takenBack: 0, harmful: new Map<number, number>() };
  const target = () => ({
    store,
    keys,
    roots: new Map([[1, root]]),
    nowMs: clock.now(),
    timestampExpiresMs: clock.now() + 7 * day,
  });
  const inForce = async () => (await readHead(store))?.release;

  return {
    seen,
    async cycle(plan: CyclePlan): Promise<Turn> {
      let stepsLeft = plan.loopDiesAt || Number.POSITIVE_INFINITY;
      const step = () => {
        if (--stepsLeft !== 0) return;
        throw new Error("the loop was killed");
      };
      let away = plan.loopAwayFor;
      let round = 0;
      const know = (sha256: string, version: number, ways: Ways) =>
        honest.set(sha256, { version, ways, answers: answers[plan.content] ?? [] });
      const folder = folders[plan.content] as ArtifactFolder;
      const steps: LoopSteps = {
        observe: async () => ({ calls: 1, labelled: 1 }),
        train: async (cycle) => {
          step();
          const gate = { passed: true, reason: "simulated" };
          return { folder: `cycle-${cycle}`, strategy: "llmrouter-linear", gate };
        },
        isThere: async (name) => signed.has(name),
        inForce,
        async sign(name) {
          const version = await nextReleaseVersion(store);
          const when = { nowMs: clock.now(), expiresMs: clock.now() + 90 * day };
          const bytes = signRelease({ folder, keys: keysOf("release"), version, ...when });
          signed.set(name, bytes);
          step();
          return { version, sha256: sha256Hex(bytes) };
        },
        async publish(name) {
          const release = signed.get(name) as Uint8Array;
          know(sha256Hex(release), await versionOf(release), plan.ways);
          if (plan.ways !== usual) seen.harmful.set(await versionOf(release), plan.within);
          const { files } = folder;
          const more = { release, files, force: true, beforeWrite: step };
          await publishRelease({ ...target(), ...more });
          seen.published++;
          step();
        },
        async watch(release) {
          if (away > 0) {
            const rest = away;
            away = 0;
            await rounds(rest);
            throw new Error("the loop was killed");
          }
          const standings = gateways.map((gateway) =>
            standingOf(gateway.name, gateway.status(), release),
          );
          return standingOfAll(standings);
        },
        async takeBack(to) {
          const old = [...honest.values()].find(({ version }) => version === to);
          const back = await rollbackRelease({
            ...target(),
            to,
            expiresMs: clock.now() + 90 * day,
          });
          if (old) honest.set(back.sha256, { ...old, version: back.version });
          seen.takenBack++;
          return back;
        },
      };
      for (;;) {
        const journal = await openJournal({
          store: bare, // what the loop writes down is no news to a gateway
          folder: join(temp, "loop"),
          nowMs: clock.now,
        });
        try {
          return await turn({
            steps,
            journal,
            rules: { minNew: 0, hasData: true, watchMs: 3 * 3_600_000, dryRun: false },
            nowMs: clock.now,
            async pause() {
              await plan.before(round++);
              await rounds(1);
            },
            signal: new AbortController().signal,
          });
        } catch (error) {
          if (!String(error).includes("killed")) throw error;
          seen.kills++;
          await rounds(2);
        }
      }
    },
  };
}

async function versionOf(release: Uint8Array): Promise<number> {
  const { signed } = JSON.parse(new TextDecoder().decode(release)) as {
    signed: { version: number };
  };
  return signed.version;
}

test.skipIf(missingS3Server !== undefined)(
  "three gateways and a loop: 50 releases, and nothing wrong ever serves",
  async () => {
    const s3 = await startS3Server();
    const bucket = createS3ObjectStore({
      url: "s3://models/router",
      ...toS3Settings(s3.env),
      outbound: createOutbound(),
      clock: systemClock,
    });
    const world = await createWorld(bucket);
    const { gateways, folders, store } = world;
    const rounds = createRounds(world);
    const loop = createLoop(world, rounds);
    const random = createRandom(11);
    for (const gateway of gateways) await gateway.start();
    await rounds(2); // nothing is published: routing is static

    const refusals: string[] = [];
    let processKills = 0;
    async function attack(index: number, content: number): Promise<void> {
      const [name, , make] = attacks[index % attacks.length] as (typeof attacks)[number];
      const folder = folders[content] as ArtifactFolder;
      const put = await make({ store, keys, folder, nowMs: clock.now() });
      const before = new Map<string, Uint8Array | undefined>();
      for (const [key, bytes] of put) {
        before.set(key, await findObject(store, key, 1 << 24));
        await store.put(key, bytes);
      }
      for (const gateway of gateways) {
        const serving = gateway.serving();
        await gateway.look();
        expect([name, gateway.name, gateway.serving()]).toEqual([name, gateway.name, serving]);
        refusals.push(`${name}: ${gateway.trouble()}`);
      }
      await rounds(2);
      // The publisher puts back what was there; what it did not have, it overwrites in its turn.
      for (const [key, bytes] of before) {
        if (bytes) await store.put(key, bytes);
      }
    }

    const ended: string[] = [];
    for (let i = 0; i < releases; i++) {
      const kind = i % 4;
      const nth = i >> 2;
      const victim = gateways[nth % 3] as FleetGateway;
      const content = i % 3;
      const harm = kind === 1 && i > 4 ? harms[(nth - 1) % harms.length] : undefined;
      const [, when] = attacks[nth % attacks.length] as (typeof attacks)[number];
      const result = await loop.cycle({
        content,
        ways: harm ? { ...usual, ...harm[1] } : usual,
        within: harm?.[2] ?? 0,
        loopDiesAt: i % 5 === 3 ? 1 + nextInt(random, 12) : 0,
        loopAwayFor: harm && nth > harms.length ? 60 : 0,
        async before(round) {
          if (kind === 2 && round === (when === "before" ? 0 : 20)) await attack(nth, content);
          if (kind === 3 && round === 0) {
            victim.setNetwork((["down", "flaky", "cut short"] as const)[nth % 3] ?? "down");
          }
          if (kind === 3 && round === 40) victim.setNetwork("up");
          if ((kind === 0 && round % 30 === 1) || (kind === 1 && round === 4)) {
            processKills++;
            await victim.killInLook(1 + nextInt(random, 20));
          }
        },
      });
      for (const gateway of gateways) gateway.setNetwork("up");
      ended.push(result.done);
      await rounds(2 * lookEvery);
    }
    await rounds(80); // the last one comes into force everywhere
    const harmful = loop.seen.harmful;
    const exposed = [...harmful].flatMap(([version, within]) =>
      plans.map((plan, at) => ({
        what: `${version} on ${plan.name}`,
        calls: gateways[at]?.seen.answered.get(version) ?? 0,
        stated: statedOf(plan, within),
      })),
    );
    const late = exposed.filter(({ calls, stated }) => calls > stated);
    const healthy = gateways.flatMap(({ seen }) =>
      [...seen.answered.keys()].filter((version) => !harmful.has(version)),
    );
    const kept = [...harmful.keys()].filter(
      (version) => !gateways.some(({ seen }) => seen.takenBack.has(version)),
    );
    const lost = gateways.flatMap(({ seen }) =>
      [...seen.takenBack].filter((version) => !harmful.has(version)),
    );
    const head = await readHead(store);
    const figures = {
      ...loop.seen,
      processKills,
      calls: gateways.map(({ seen }) => seen.calls),
      exposed: exposed.length,
      calls_of_harmful: exposed.map(({ what, calls, stated }) => `${what}: ${calls}/${stated}`),
      late,
      kept,
      healthy: healthy.length,
      lost,
      refusals: [...new Set(refusals)],
      ended: [...new Set(ended)],
    };
    if (process.env["FLEET_FIGURES"]) console.log(figures);
    expect(gateways.flatMap(({ seen }) => [...seen.wrong, ...seen.failed].slice(0, 5))).toEqual([]);
    expect(loop.seen.published).toBe(releases);
    expect(refusals.filter((refusal) => refusal.endsWith(": undefined"))).toEqual([]);
    expect(new Set(refusals).size).toBe(attacks.length);
    expect(harmful.size).toBeGreaterThanOrEqual(2 * harms.length);
    expect(kept).toEqual([]);
    // Stated of nine lives of ten; the seeds are fixed, and all of these hold it, killed ones too.
    expect(late).toEqual([]);
    expect(lost.length).toBeLessThan(healthy.length * 0.05);
    expect(gateways.map((gateway) => gateway.serving())).toEqual(
      gateways.map(() => [head?.release.sha256, undefined]),
    );
    bucket.close();
    await s3.stop();
  },
  600_000,
);
