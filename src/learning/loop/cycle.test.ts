/** The loop's turn by itself: what it does in which order, and what a kill at any point costs. */
import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVirtualClock } from "../../../test/support/virtual-clock.ts";
import { createFileObjectStore } from "../../storage/file/object-store.ts";
import { type LoopSteps, type ReleaseId, type Standing, turn } from "./cycle.ts";
import { journalName, openJournal, readJournal } from "./journal.ts";
import { lead, leaseMs } from "./leader.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-loop-"));
  folders.push(folder);
  return folder;
}

/** The repository and the disk are two, as they are in earnest. */
const placeOf = (folder: string) => ({
  store: createFileObjectStore(join(folder, "repository")),
  folder,
  nowMs: () => 0,
});

interface World {
  labelled?: number;
  passes?: boolean;
  standings?: Standing[];
  /** The step that fails at its n-th call, before (or after) it has done its work. */
  kill?: { readonly at: number; readonly after: boolean };
}

/** A repository and gateways in memory; what the loop does to them outlives its kills. */
function world(options: World = {}) {
  const done: string[] = [];
  let releases = 0;
  let active: ReleaseId | undefined;
  const signed = new Map<string, ReleaseId>();
  let calls = 0;
  const step = async <T>(name: string, work: () => T): Promise<T> => {
    calls += 1;
    const dies = options.kill?.at === calls;
    if (dies && !options.kill?.after) throw new Error("killed");
    const result = work();
    done.push(name);
    if (dies) throw new Error("killed");
    return result;
  };
  const standings = [...(options.standings ?? [{ state: "in force", detail: "ok" } as const])];
  const steps: LoopSteps = {
    observe: () => step("observe", () => ({ calls: 500, labelled: options.labelled ?? 300 })),
    train: (cycle) =>
      step("train", () => ({
        folder: `r${cycle}`,
        strategy: "llmrouter-knn",
        gate: { passed: options.passes ?? true, reason: "by 0.01" },
      })),
    isThere: async () => true,
    inForce: async () => active,
    sign: (folder) =>
      step("sign", () => {
        releases += 1;
        const release = { version: releases, sha256: `sha-${folder}-${releases}` };
        signed.set(folder, release);
        return release;
      }),
    publish: (folder) =>
      step("publish", () => {
        active = signed.get(folder);
      }),
    watch: async () =>
      (standings.length > 1 ? standings.shift() : standings[0]) ?? {
        state: "in force",
        detail: "ok",
      },
    takeBack: (to) =>
      step("take back", () => {
        releases += 1;
        active = { version: releases, sha256: `again-${to}` };
        return active;
      }),
  };
  return { steps, done, active: () => active };
}

async function run(steps: LoopSteps, folder: string, more: object = {}) {
  const journal = await openJournal(placeOf(folder));
  let nowMs = 0;
  const rules = { minNew: 200, hasData: false, watchMs: 100_000, dryRun: false, ...more };
  const pause = async () => {
    nowMs += 10_000;
  };
  const { signal } = new AbortController();
  const result = await turn({ steps, journal, rules, nowMs: () => nowMs, pause, signal });
  return { result, state: journal.state };
}

const eventsOf = (folder: string) =>
  readFileSync(join(folder, journalName), "utf8")
    .trim()
    .split("\n")
    .map((line) => String((JSON.parse(line) as { event: unknown }).event));

test("from traffic to a release in force, and the journal says why", async () => {
  const folder = newFolder();
  const { steps, done, active } = world();
  const { result, state } = await run(steps, folder);
  expect(result).toMatchObject({ done: "kept", release: { version: 1 } });
  expect(done).toEqual(["observe", "train", "sign", "publish"]);
  expect(active()?.version).toBe(1);
  expect(state).toMatchObject({ cycle: 1, phase: "idle", learntFrom: 300 });
  expect(eventsOf(folder)).toEqual([
    "observed",
    "training",
    "trained",
    "signed",
    "published",
    "watching",
    "kept",
  ]);
  // The same traffic teaches nothing new.
  expect((await run(steps, folder)).result).toMatchObject({ done: "waiting" });
});

test.each([
  ["too little is new", { labelled: 199 }, {}, "waiting", []],
  [
    "rows beside the traffic do not wait for it",
    { labelled: 0 },
    { hasData: true },
    "kept",
    ["publish"],
  ],
  ["the gate refuses", { passes: false }, {}, "refused", []],
  ["a dry run", {}, { dryRun: true }, "dry run", []],
  [
    "no verdict comes",
    { standings: [{ state: "under way", detail: "canary" } as const] },
    {},
    "given up",
    ["publish"],
  ],
] as const)("%s", async (_name, options, rules, expected, published) => {
  const { steps, done } = world(options as World);
  const { result, state } = await run(steps, newFolder(), rules);
  expect(result.done).toBe(expected);
  expect(done.filter((step) => step === "publish")).toEqual([...published]);
  expect(state.phase).toBe("idle");
});

test("what one gateway takes back is taken back for all", async () => {
  const folder = newFolder();
  const first = world();
  await run(first.steps, folder);
  const second = world({
    labelled: 600,
    standings: [
      { state: "under way", detail: "canary with 5 %" },
      { state: "taken back", detail: "errors 9 % against 1 %" },
    ],
  });
  const before = { version: 7, sha256: "old" };
  let asked = 0;
  const steps: LoopSteps = {
    ...second.steps,
    // In force before this cycle; afterwards, what it published.
    inForce: async () => (asked++ === 0 ? before : (second.active() ?? before)),
  };
  const { result } = await run(steps, folder);
  expect(result.done).toBe("taken back");
  expect(second.done.at(-1)).toBe("take back");
  expect(second.active()?.sha256).toBe("again-7");
  expect(eventsOf(folder).slice(-2)).toEqual(["taking back", "taken back"]);
});

describe("killed at any point it goes on, and publishes once", () => {
  const points = [1, 2, 3, 4].flatMap((at) => [
    [at, false],
    [at, true],
  ]) as readonly [number, boolean][];
  test.each(points)("in step %d, after its work: %p", async (at, after) => {
    const folder = newFolder();
    const it = world({ kill: { at, after } });
    const failure = await run(it.steps, folder).then(
      () => undefined,
      (error: unknown) => error,
    );
    expect(failure).toBeInstanceOf(Error);
    const { result } = await run(it.steps, folder);
    expect(result).toMatchObject({ done: "kept" });
    expect(it.done.filter((step) => step === "publish")).toEqual(["publish"]);
    const { release } = result as { release: ReleaseId };
    expect(it.active()).toEqual(release);
  });
});

describe("a pod that comes back without its disk", () => {
  const lostIn = async (at: number) => {
    const folder = newFolder();
    const it = world({ kill: { at, after: true } });
    await run(it.steps, folder).catch(() => undefined);
    rmSync(join(folder, journalName), { force: true });
    const lost = ["r1"];
    const train = async (cycle: number) => {
      const trained = await it.steps.train(cycle);
      lost.length = 0; // it is on the new disk
      return trained;
    };
    const steps = { ...it.steps, train, isThere: async (name: string) => !lost.includes(name) };
    const { result, state } = await run(steps, folder);
    return { it, result, state, events: eventsOf(folder) };
  };

  test.each([
    ["trained", 2, ["observe", "train", "train", "sign", "publish"]],
    ["signed", 3, ["observe", "train", "sign", "train", "sign", "publish"]],
  ] as const)("what was %s only is trained anew", async (_phase, at, steps) => {
    const { it, result } = await lostIn(at);
    expect(it.done).toEqual([...steps]);
    expect(result).toMatchObject({ done: "kept" });
  });

  test("what was published is not", async () => {
    const { it, result } = await lostIn(4);
    expect(it.done).toEqual(["observe", "train", "sign", "publish"]);
    expect(result).toMatchObject({ done: "kept", release: { version: 1 } });
  });
});

test("the journal of all cycles is in the repository, the last entries first to be had", async () => {
  const folder = newFolder();
  for (const labelled of [300, 600, 900]) await run(world({ labelled }).steps, folder);
  const { store } = placeOf(folder);
  const all = await readJournal(store, 1_000);
  expect(all.map(({ cycle, event }) => `${cycle} ${event}`)).toEqual(
    [1, 2, 3].flatMap((cycle) =>
      ["observed", "training", "trained", "signed", "published", "watching", "kept"].map(
        (event) => `${cycle} ${event}`,
      ),
    ),
  );
  expect((await readJournal(store, 8)).map(({ cycle }) => cycle)).toEqual([2, ...Array(7).fill(3)]);
});

test("a loop that has been overtaken does not write over the state of its successor", async () => {
  const folder = newFolder();
  const old = await openJournal(placeOf(folder));
  await old.move({ ...old.state, cycle: 1 });
  const next = await openJournal(placeOf(folder));
  await next.move({ ...next.state, cycle: 2 });
  expect(old.move({ ...old.state, cycle: 9 })).rejects.toMatchObject({ code: "storage_failed" });
  expect((await openJournal(placeOf(folder))).state.cycle).toBe(2);
});

describe("a dry run", () => {
  const dry = { dryRun: true, hasData: true };

  test("says the next step of a cycle that is under way, and takes none", async () => {
    const folder = newFolder();
    const it = world({ kill: { at: 3, after: true } });
    await run(it.steps, folder).catch(() => undefined);
    const before = [...it.done];
    const { result } = await run(it.steps, folder, dry);
    expect(result).toEqual({
      done: "dry run",
      why: "cycle 1 is under way, its next step: sign and publish r1",
    });
    expect(it.done).toEqual(before);
  });
});

test("a state that cannot be read is no first start", async () => {
  const folder = newFolder();
  writeFileSync(join(folder, "state.json"), "{");
  expect(openJournal(placeOf(folder))).rejects.toMatchObject({ code: "storage_failed" });
});

describe("one loop leads", () => {
  test("the others wait, until its lease has ended", async () => {
    const clock = createVirtualClock();
    const store = createFileObjectStore(newFolder());
    const first = await lead({ store, clock, holder: "a" });
    expect(first).toBeDefined();
    expect(await lead({ store, clock, holder: "b" })).toBeUndefined();
    await first?.release();
    const second = await lead({ store, clock, holder: "b" });
    expect(second).toBeDefined();
    await second?.release();
  });

  test("one that hangs is succeeded, and hears of it", async () => {
    const clock = createVirtualClock();
    const store = createFileObjectStore(newFolder());
    const asleep = { ...clock, after: () => () => undefined };
    await lead({ store, clock: asleep, holder: "a" });
    await clock.advance(leaseMs + 31_000);
    const second = await lead({ store, clock, holder: "b" });
    expect(second).toBeDefined();
    const awake = await lead({ store, clock, holder: "a" });
    expect(awake).toBeUndefined();
    await second?.release();
  });
});
