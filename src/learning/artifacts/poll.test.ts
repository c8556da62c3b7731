/** A gateway's life with a repository: first install, swaps, refusals, staleness, regressions, crashes. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  addRelease,
  craft,
  type Files,
  honestFiles,
  now,
  oneEach,
  type Repository,
  rootBody,
  signed,
  storeOf,
  text,
} from "../../../test/support/artifact-repository.ts";
import { buildStubRouter } from "../../../test/support/stub-router.ts";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { watchTelemetry } from "../../../test/support/watch-telemetry.ts";
import { GatewayError } from "../../domain/errors.ts";
import { createSlot } from "../../routing/slot.ts";
import { createRandom } from "../../std/random.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import { createLocalCopy } from "./copy.ts";
import { artifactRuntime } from "./format.ts";
import { createPoller } from "./poll.ts";
import { longestPauseMs, nextPauseMs } from "./poll-times.ts";
import { createRepositorySource } from "./repository-source.ts";

const minute = 60_000;
const day = 86_400_000;
const temp = await mkdtemp(join(tmpdir(), "routeiq-poll-"));
afterAll(() => rm(temp, { recursive: true, force: true }));
let folders = 0;

const filesOf = (marker: string): Files => ({ ...honestFiles, "router.json": text(`"${marker}"`) });

interface WorldOptions {
  readonly repository?: Repository;
  readonly data?: string;
  readonly startMs?: number;
  readonly hotReload?: boolean;
}

function createWorld(options: WorldOptions = {}) {
  const repository = options.repository ?? craft();
  const data = options.data ?? join(temp, String(++folders));
  const clock = createVirtualClock(options.startMs ?? now);
  const network = { down: false, reads: [] as string[] };
  const inner = storeOf(repository);
  const store: ObjectStore = {
    ...inner,
    async get(key, getOptions) {
      network.reads.push(key);
      if (network.down) throw new GatewayError("storage_failed", "the network is down");
      return await inner.get(key, getOptions);
    },
  };
  const slot = createSlot({ status: "missing" });
  const watched = watchTelemetry();
  const poller = createPoller({
    source: createRepositorySource({
      store,
      pin: { sha256: sha256Hex(signed(rootBody(1, oneEach), oneEach.root)) },
      name: "router",
      runtime: artifactRuntime,
      copy: createLocalCopy(data),
      maxStaleMs: 7 * day,
    }),
    slot,
    build: buildStubRouter,
    intervalMs: 5 * minute,
    maxStaleMs: 7 * day,
    hotReload: options.hotReload ?? true,
    clock,
    random: createRandom(1),
    telemetry: watched.telemetry,
    emptyRemedy: "Train and publish one.",
    health: { minCalls: 30 },
  });
  const served = () => {
    const lease = slot.acquire();
    lease?.release();
    return lease?.router.identity.version ?? 0;
  };
  const advance = async (ms: number) => {
    await clock.advance(ms);
    await poller.settled();
    await clock.advance(0); // the next look is scheduled now
  };
  const start = async () => {
    await poller.start();
    await advance(0);
  };
  return { repository, data, advance, network, slot, poller, served, start, ...watched };
}

const stateIn = (data: string) => readFile(join(data, "state.json"), "utf8");

async function tree(folder: string): Promise<Record<string, string>> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile());
  const pairs = files.map(async ({ parentPath, name }) => {
    const path = join(parentPath, name);
    return [path.slice(folder.length), sha256Hex(new Uint8Array(await readFile(path)))] as const;
  });
  return Object.fromEntries((await Promise.all(pairs)).sort());
}

describe("updates", () => {
  test("first install, then a newer release at the next look", async () => {
    const world = createWorld();
    await world.start();
    expect(world.served()).toBe(1);
    expect(world.slot.status()).toEqual({ status: "active", name: "router", version: 1 });
    addRelease(world.repository, { version: 2, files: filesOf("two") });
    expect(world.served()).toBe(1);
    await world.advance(6 * minute + 1);
    expect(world.served()).toBe(2);
    expect(JSON.parse(await stateIn(world.data))).toMatchObject({ release_version: 2 });
    expect(world.counts["routeiq_artifact_swap_total repository"]).toBe(2);
    expect(world.gauges["routeiq_artifact_version"]).toBe(2);
    world.poller.close();
  });

  test("an unchanged repository is asked for no more than its next root and its timestamp", async () => {
    const world = createWorld();
    await world.start();
    await world.advance(6 * minute); // the pointer is read once more after the first install
    world.network.reads.length = 0;
    expect(await world.poller.pollNow()).toEqual({ status: "unchanged", version: 1 });
    expect([...new Set(world.network.reads)].sort()).toEqual([
      "root/1.root.json",
      "root/2.root.json",
      "timestamp.json",
    ]);
    world.poller.close();
  });

  test("a renewed timestamp moves the counters and fetches no file again", async () => {
    const world = createWorld();
    await world.start();
    world.network.reads.length = 0;
    addRelease(world.repository, { version: 1, timestampVersion: 9 });
    expect(await world.poller.pollNow()).toMatchObject({ status: "unchanged", version: 1 });
    expect(world.network.reads.filter((key) => key.startsWith("blobs/"))).toEqual([]);
    expect(JSON.parse(await stateIn(world.data))).toMatchObject({ timestamp_version: 9 });
    world.poller.close();
  });

  test("nothing published yet is no refusal, and is not waited for longer and longer", async () => {
    const world = createWorld({ repository: new Map() });
    const honest = craft();
    world.repository.set("root/1.root.json", honest.get("root/1.root.json") ?? text(""));
    await world.start();
    await world.advance(60 * minute);
    expect(world.slot.status()).toMatchObject({ status: "missing", code: "fetch" });
    expect(world.slot.status().remedy).toContain("Train and publish one.");
    expect(world.counts).toEqual({});
    addRelease(world.repository, { version: 1 });
    await world.advance(6 * minute + 1);
    expect(world.served()).toBe(1);
    world.poller.close();
  });

  test("a repository that lost its pointer is not a new one", async () => {
    const world = createWorld();
    await world.start();
    world.repository.delete("timestamp.json");
    expect(await world.poller.pollNow()).toMatchObject({ status: "refused", code: "fetch" });
    expect(world.slot.status()).toMatchObject({ status: "active", version: 1, code: "fetch" });
    world.poller.close();
  });

  test("without hot reload only a demand brings news", async () => {
    const world = createWorld({ hotReload: false });
    await world.start();
    addRelease(world.repository, { version: 2, files: filesOf("two") });
    await world.advance(day);
    expect(world.served()).toBe(1);
    expect(await world.poller.pollNow()).toMatchObject({ status: "swapped", version: 2 });
    world.poller.close();
  });

  test("looks never overlap; those asked for meanwhile share one", async () => {
    const world = createWorld();
    await world.start();
    addRelease(world.repository, { version: 2, files: filesOf("two") });
    const asked = [1, 2, 3].map(() => world.poller.pollNow());
    expect(new Set(asked).size).toBe(1);
    expect(await asked[0]).toMatchObject({ status: "swapped", version: 2 });
    world.poller.close();
  });

  test("pauses: the interval ±20 %, doubled per failure, 15 minutes at most", () => {
    const least = { next: () => 0 };
    const most = { next: () => 0.999999 };
    expect(nextPauseMs(300_000, 0, least)).toBe(240_000);
    expect(nextPauseMs(300_000, 0, most)).toBeCloseTo(360_000, 0);
    expect(nextPauseMs(300_000, 1, least)).toBe(480_000);
    expect(nextPauseMs(300_000, 99, most)).toBeLessThanOrEqual(longestPauseMs * 1.2);
    expect(nextPauseMs(3_600_000, 3, least)).toBe(0.8 * 3_600_000); // never sooner than asked for
  });
});

describe("refusals", () => {
  const attacks = [
    ["hash", (r: Repository) => r.set(`blobs/sha256/${sha256Hex(text('"two"'))}`, text('"six"'))],
    ["canonical", (r: Repository) => r.set("timestamp.json", text("{ }"))],
    ["fetch", (r: Repository) => r.delete("releases/2.json")],
    ["version_jump", (r: Repository) => addRelease(r, { version: 2, timestampVersion: 5_000_000 })],
    [
      "rollback",
      (r: Repository) => r.set("timestamp.json", craft().get("timestamp.json") ?? text("")),
    ],
    [
      "self_test",
      (r: Repository) =>
        addRelease(r, { version: 2, timestampVersion: 5, files: filesOf("broken") }),
    ],
  ] as const;
  test.each(attacks)(
    "%s: the old router answers on, and nothing else changes",
    async (code, attack) => {
      const world = createWorld({ repository: craft({ timestampVersion: 3, version: 1 }) });
      await world.start();
      addRelease(world.repository, { version: 2, timestampVersion: 4, files: filesOf("two") });
      attack(world.repository);
      const before = await tree(world.data);
      expect(await world.poller.pollNow()).toMatchObject({ status: "refused", code, version: 1 });
      expect(world.served()).toBe(1);
      expect(world.slot.status()).toMatchObject({ status: "active", version: 1, code });
      expect(await tree(world.data)).toEqual(before);
      expect(world.counts[`routeiq_artifact_reject_total ${code}`]).toBe(1);
      expect(world.events).toContainEqual(
        expect.objectContaining({ level: "error", audit: "artifact.refused", code }),
      );
      await world.poller.pollNow();
      expect(world.counts[`routeiq_artifact_reject_total ${code}`]).toBe(2);
      // Mended, it is taken, and the trouble is gone.
      addRelease(world.repository, { version: 3, timestampVersion: 6, files: filesOf("three") });
      expect(await world.poller.pollNow()).toMatchObject({ status: "swapped", version: 3 });
      expect(world.slot.status()).toEqual({ status: "active", name: "router", version: 3 });
      world.poller.close();
    },
  );

  test("a newer root that revokes what is in force ends it, whatever else is wrong", async () => {
    for (const broken of [false, true]) {
      const world = createWorld();
      await world.start();
      const sha256 = sha256Hex(world.repository.get("releases/1.json") ?? text(""));
      const root = rootBody(2, oneEach, { revoked_sha256: [sha256] });
      world.repository.set("root/2.root.json", signed(root, oneEach.root));
      if (broken) world.repository.set("timestamp.json", text("?"));
      await world.poller.pollNow();
      expect(world.served()).toBe(0);
      expect(world.slot.status()).toMatchObject({
        status: "refused",
        code: broken ? "canonical" : "revoked",
      });
      world.poller.close();
    }
  });

  test("two timestamps of one version are told apart, though the release is the same", async () => {
    const world = createWorld();
    await world.start();
    addRelease(world.repository, { version: 1, timestamp: { note: "x" } });
    expect(await world.poller.pollNow()).toMatchObject({ status: "refused", code: "equivocation" });
    expect(world.served()).toBe(1);
    world.poller.close();
  });

  test("counters that cannot be read: refused, told, and left as they are", async () => {
    const world = createWorld();
    await world.start();
    world.poller.close();
    await writeFile(join(world.data, "state.json"), "{oops");
    const again = createWorld({ repository: world.repository, data: world.data });
    await again.start();
    expect(again.served()).toBe(0);
    expect(again.slot.status()).toMatchObject({ status: "refused", code: "state" });
    expect(await stateIn(world.data)).toBe("{oops");
    again.poller.close();
  });
});

describe("without its repository", () => {
  async function installed() {
    const world = createWorld();
    await world.start();
    world.poller.close();
    return world;
  }

  test("the copy serves from the start", async () => {
    const { repository, data } = await installed();
    const world = createWorld({ repository, data });
    world.network.down = true;
    await world.poller.start();
    expect(world.served()).toBe(1);
    await world.advance(0);
    expect(world.slot.status()).toMatchObject({ status: "active", version: 1, code: "fetch" });
    world.network.down = false;
    await world.poller.pollNow();
    expect(world.slot.status()).toEqual({ status: "active", name: "router", version: 1 });
    world.poller.close();
  });

  test("a copy that was altered is not served", async () => {
    for (const [name, change] of [
      [
        `blobs/sha256/${sha256Hex(honestFiles["router.json"] ?? "")}`,
        '{"strategy":"llmrouter-xxx"}',
      ],
      ["releases/1.json", "{}"],
      ["timestamp.json", "{}"],
      ["root/1.root.json", "{}"],
    ] as const) {
      const { repository, data } = await installed();
      await writeFile(join(data, name), change);
      const world = createWorld({ repository, data });
      world.network.down = true;
      await world.start();
      expect(world.served()).toBe(0);
      expect(world.slot.status().status).toBe("refused");
      world.network.down = false;
      expect(await world.poller.pollNow()).toMatchObject({ status: "swapped", version: 1 });
      world.poller.close();
    }
  });

  test("stale after the timestamp's end, static after max_stale, back with a new timestamp", async () => {
    const world = createWorld({ hotReload: false });
    await world.start();
    await world.advance(7 * day + 20 * minute); // the timestamp ends after seven days
    expect(world.served()).toBe(1);
    expect(world.slot.status()).toMatchObject({ status: "active", code: "expired" });
    expect(world.gauges["routeiq_artifact_stale"]).toBe(1);
    expect(world.events).toContainEqual(expect.objectContaining({ audit: "artifact.stale" }));
    await world.advance(7 * day);
    expect(world.served()).toBe(0);
    expect(world.slot.status()).toMatchObject({ status: "stale", code: "expired" });
    const expires = { expires: "2027-01-01T00:00:00Z" };
    addRelease(world.repository, { version: 1, timestampVersion: 2, timestamp: expires });
    await world.poller.pollNow();
    expect(world.served()).toBe(1);
    expect(world.slot.status()).toEqual({ status: "active", name: "router", version: 1 });
    world.poller.close();
  });

  test("a copy older than max_stale is not served at start", async () => {
    const { repository, data } = await installed();
    const world = createWorld({ repository, data, startMs: now + 15 * day });
    world.network.down = true;
    await world.start();
    expect(world.served()).toBe(0);
    expect(world.events).toContainEqual(expect.objectContaining({ code: "expired" }));
    world.poller.close();
  });
});

describe("a router that proves bad", () => {
  const sample = (artifact: string, ok: boolean) => ({ arm: artifact, ok, latencyMs: 100 });

  async function regressed() {
    const world = createWorld();
    await world.start();
    for (let i = 0; i < 100; i++) world.poller.rollout.observe(sample("router@1", true));
    addRelease(world.repository, { version: 2, files: filesOf("two") });
    await world.poller.pollNow();
    expect(world.served()).toBe(2);
    for (let i = 0; i < 60; i++) world.poller.rollout.observe(sample("router@2", i % 2 === 0));
    await world.advance(0);
    return world;
  }

  test("is taken back by itself, and stays away until there is a newer one", async () => {
    const world = await regressed();
    expect(world.served()).toBe(1);
    expect(world.counts["routeiq_artifact_rollback_total errors"]).toBe(1);
    expect(world.events).toContainEqual(
      expect.objectContaining({ audit: "artifact.rolled_back", artifact: "router@2" }),
    );
    expect(await world.poller.pollNow()).toMatchObject({ status: "unchanged", version: 1 });
    // Counters do not go back with it.
    expect(JSON.parse(await stateIn(world.data))).toMatchObject({ release_version: 2 });
    world.poller.close();

    const again = createWorld({ repository: world.repository, data: world.data });
    await again.start();
    expect(again.served()).toBe(1);
    addRelease(world.repository, { version: 3, files: filesOf("three") });
    await again.poller.pollNow();
    expect(again.served()).toBe(3);
    again.poller.close();
  });

  test("with none before it, routing is static again", async () => {
    const world = createWorld();
    for (let i = 0; i < 100; i++) world.poller.rollout.observe(sample("none", true));
    await world.start();
    for (let i = 0; i < 60; i++) world.poller.rollout.observe(sample("router@1", false));
    await world.advance(0);
    expect(world.served()).toBe(0);
    expect(world.slot.status()).toMatchObject({ status: "refused" });
    expect(await world.poller.pollNow()).toMatchObject({ status: "unchanged", version: 0 });
    world.poller.close();
  });
});

test("100 hot swaps under load: no call fails, no router is closed under a call", async () => {
  const world = createWorld();
  await world.start();
  let running = true;
  let calls = 0;
  const failures: unknown[] = [];
  const query = { text: "hello", tools: [] };
  const caller = async (n: number) => {
    while (running) {
      const lease = world.slot.acquire();
      if (!lease) failures.push("no router");
      // A call outlives several swaps now and then.
      for (let i = 0; i <= n % 7; i++) {
        await new Promise<void>((resolve) => setImmediate(resolve));
        try {
          lease?.router.score(query);
        } catch (error) {
          failures.push(error);
        }
      }
      lease?.release();
      calls++;
    }
  };
  const callers = Array.from({ length: 32 }, (_, n) => caller(n));
  for (let version = 2; version <= 101; version++) {
    addRelease(world.repository, { version, files: filesOf(String(version)) });
    expect(await world.poller.pollNow()).toMatchObject({ status: "swapped", version });
  }
  running = false;
  await Promise.all(callers);
  expect(failures).toEqual([]);
  expect(calls).toBeGreaterThan(1000);
  // The copy keeps the one in force and the one before, no more.
  expect((await readdir(join(world.data, "releases"))).sort()).toEqual(["100.json", "101.json"]);
  world.poller.close();
}, 120_000);

test("kill -9 before every write of an install: it starts again with a verified router", async () => {
  const repository = join(temp, "crash-repository");
  const layOut = async (crafted: Repository) => {
    for (const [key, bytes] of crafted) await Bun.write(join(repository, key), bytes);
  };
  const child = join(import.meta.dir, "../../../test/support/install-child.ts");
  const run = (data: string, dieAt: number) => {
    const words = [child, repository, data, String(dieAt), String(now)];
    const result = Bun.spawnSync([process.execPath, ...words], { stderr: "inherit" });
    const killed = result.signalCode === "SIGKILL";
    return { killed, said: killed ? undefined : JSON.parse(result.stdout.toString()) };
  };
  const crafted = craft();
  let crashes = 0;
  for (let dieAt = 1; ; dieAt++) {
    const data = join(temp, `crash-${dieAt}`);
    for (const key of crafted.keys()) crafted.delete(key);
    for (const [key, bytes] of craft()) crafted.set(key, bytes);
    await rm(repository, { recursive: true, force: true });
    await layOut(crafted);
    expect(run(data, 0).said).toMatchObject({ found: 1 });
    addRelease(crafted, { version: 2, files: filesOf("two") });
    await layOut(crafted);
    if (!run(data, dieAt).killed) break;
    crashes++;
    // Whatever was written: a verified router from the copy, and then the new one.
    const { said } = run(data, 0);
    expect([1, 2]).toContain(said.kept);
    expect(said.found === 2 || (said.kept === 2 && said.found === "unchanged")).toBe(true);
    expect(JSON.parse(await stateIn(data))).toMatchObject({ release_version: 2 });
    const left = Object.keys(await tree(data)).filter((name) => name.includes(".tmp-"));
    expect(left).toEqual([]);
  }
  expect(crashes).toBeGreaterThanOrEqual(7);
}, 120_000);
