/** Changes of files are told once, when they have come to rest, however they came about. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVirtualClock } from "../../test/support/virtual-clock.ts";
import { watchFiles } from "./watch.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "routeiq-watch-"));
  folders.push(folder);
  return folder;
}

/** Looks at real files on a virtual clock, without the system's events. */
async function watchIn(path: string) {
  const clock = createVirtualClock();
  let told = 0;
  const watch = watchFiles({
    paths: () => [path],
    intervalMs: 5_000,
    clock,
    watchFolder: () => () => undefined,
    onChange: async () => {
      told++;
    },
  });
  /** Real files take real time to look at: while no timer waits, a look goes on, and time stands. */
  const looked = async () => {
    while (clock.pending === 0) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 50) {
      await looked();
      await clock.advance(50);
    }
    await looked();
  };
  await pass(100);
  return { watch, pass, told: () => told };
}

const changes: readonly [string, (folder: string, path: string) => void][] = [
  ["written in place", (_folder, path) => writeFileSync(path, "second, longer")],
  [
    "replaced by a rename, as editors do",
    (folder, path) => {
      writeFileSync(join(folder, ".tmp"), "second");
      renameSync(join(folder, ".tmp"), path);
    },
  ],
  ["taken away", (_folder, path) => rmSync(path)],
];

test.each(changes)("%s", async (_name, change) => {
  const folder = createFolder();
  const path = join(folder, "config.yaml");
  writeFileSync(path, "first");
  const it = await watchIn(path);
  await it.pass(20_000);
  expect(it.told()).toBe(0);
  change(folder, path);
  await it.pass(20_000);
  expect(it.told()).toBe(1);
  it.watch.close();
});

test("behind a symbolic link that is swapped, as Kubernetes does", async () => {
  const folder = createFolder();
  for (const version of ["1", "2"]) {
    mkdirSync(join(folder, `..${version}`));
    writeFileSync(join(folder, `..${version}`, "config.yaml"), "same length");
  }
  symlinkSync("..1", join(folder, "..data"));
  symlinkSync(join("..data", "config.yaml"), join(folder, "config.yaml"));
  const it = await watchIn(join(folder, "config.yaml"));
  symlinkSync("..2", join(folder, "..next"));
  renameSync(join(folder, "..next"), join(folder, "..data"));
  await it.pass(20_000);
  expect(it.told()).toBe(1);
  it.watch.close();
});

test("what is known already is not told", async () => {
  const path = join(createFolder(), "config.yaml");
  writeFileSync(path, "first");
  const it = await watchIn(path);
  writeFileSync(path, "second one");
  await it.watch.settle();
  await it.pass(20_000);
  expect(it.told()).toBe(0);
  it.watch.close();
});

test("a file that is still being written is waited for", async () => {
  const clock = createVirtualClock();
  const told: string[] = [];
  let seen = "a";
  const watch = watchFiles({
    paths: () => ["/c.yaml"],
    intervalMs: 1_000,
    clock,
    signatureOf: async () => seen,
    watchFolder: () => () => undefined,
    onChange: async () => void told.push(seen),
  });
  await clock.advance(10);
  seen = "ab";
  await clock.advance(1_100); // one look has seen a change, and waits
  seen = "abc";
  await clock.advance(150);
  seen = "abcd";
  await clock.advance(1_000);
  expect(told).toEqual(["abcd"]);
  watch.close();
  expect(clock.pending).toBe(0);
});

test("an event of the system is a look at once; many are one", async () => {
  const clock = createVirtualClock();
  let looks = 0;
  let event: () => void = () => undefined;
  const watch = watchFiles({
    paths: () => ["/etc/c.yaml"],
    intervalMs: 3_600_000,
    clock,
    signatureOf: async () => String(looks++ > 0),
    watchFolder: (_folder, onEvent) => {
      event = onEvent;
      return () => undefined;
    },
    onChange: async () => undefined,
  });
  await clock.advance(0);
  expect(looks).toBe(1);
  for (let i = 0; i < 100; i++) event();
  await clock.advance(400);
  expect(looks).toBe(3); // the look, and the one that found it at rest
  watch.close();
});
