/** `routeiq loop` as its users run it: its own processes, a folder as the repository, real files. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSelf, selfCommand } from "../../src/cli/run-self.ts";
import { toS3Settings } from "../../src/learning/artifacts/open-repository.ts";
import { readHead } from "../../src/learning/artifacts/repository.ts";
import { lead, leaseKey } from "../../src/learning/loop/leader.ts";
import { createOutbound } from "../../src/security/outbound.ts";
import { sleep, systemClock } from "../../src/std/clock.ts";
import { createS3ObjectStore } from "../../src/storage/s3/object-store.ts";
import { makeRows, toLine } from "../support/routing-data.ts";
import { missingS3Server, type S3Server, startS3Server } from "../support/s3-server.ts";

let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "routeiq-loop-e2e-"));
  writeFileSync(join(folder, "rows.jsonl"), makeRows(400, 1).map(toLine).join("\n"));
  writeFileSync(join(folder, "held-out.jsonl"), makeRows(400, 2).map(toLine).join("\n"));
  const { exitCode, stderr } = await routeiq("models", "keygen", "--out", "keys");
  expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
}, 60_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const routeiq = (...args: readonly string[]) =>
  runSelf(args, { cwd: folder, env: process.env, signal: new AbortController().signal });

const loop = async (...args: readonly string[]) => {
  const { stdout, stderr, exitCode } = await routeiq(
    ...["loop", "--once", "--json", "--repository", "repository", "--key", "keys"],
    ...["--data-dir", "state", "--strategy", "llmrouter-knn"],
    ...args,
  );
  const line = stdout.trim().split("\n").at(-1) ?? "{}";
  return { exitCode, stderr, answer: JSON.parse(line) as Record<string, unknown> };
};

const withData = ["--data", "rows.jsonl", "--holdout", "held-out.jsonl"];

test("a dry run trains and judges, and publishes nothing", async () => {
  const { exitCode, answer, stderr } = await loop("--dry-run", ...withData);
  expect({ exitCode, stderr: exitCode === 0 ? "" : stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(answer).toMatchObject({ ok: true, done: "dry run" });
  expect(String(answer["why"])).toStartWith("it would be signed and published: ");
  expect(["repository", "state"].filter((name) => existsSync(join(folder, name)))).toEqual([]);
}, 60_000);

test("what the gate lets pass is signed and published; the journal says what was done and why", async () => {
  const { answer, stderr } = await loop(...withData);
  expect(answer, stderr).toMatchObject({
    ok: true,
    cycle: 1,
    done: "kept",
    release: { version: 1 },
  });
  const verified = await routeiq(
    ...["models", "verify", "repository", "--root", join("keys", rootName()), "--json"],
  );
  expect(JSON.parse(verified.stdout)).toMatchObject({ ok: true, active: 1 });
  const journal = readFileSync(join(folder, "state", "loop", "journal.jsonl"), "utf8");
  const events = journal
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string });
  expect(events.map(({ event }) => event)).toEqual([
    "observed",
    "training",
    "trained",
    "signed",
    "published",
    "kept",
  ]);
  // Nothing new was seen since.
  expect((await loop(...withData)).answer).toMatchObject({ ok: true, done: "waiting" });
}, 120_000);

test("its journal can be read by anyone who reads the repository", async () => {
  const { stdout } = await routeiq(
    "loop",
    "--journal",
    "--repository",
    "repository",
    "--limit",
    "3",
  );
  const lines = stdout.trim().split("\n");
  expect(lines.map((line) => line.replace(/^\S+ +/, ""))).toEqual([
    "1  published   release 1",
    "1  kept        no gateway is named to be watched",
    "1  waiting     0 new labelled calls, of 400 in all; training waits for 200",
    "1 is done; 400 labels were learnt from",
  ]);
}, 30_000);

describe.skipIf(missingS3Server !== undefined)("with one bucket, and a disk that is lost", () => {
  let s3: S3Server;
  beforeAll(async () => {
    s3 = await startS3Server();
  });
  afterAll(() => s3.stop());

  const args = (pod: number) => [
    ...["loop", "--once", "--json", "--repository", `${bucketUrl}`, "--key", "keys"],
    ...["--data-dir", `pod-${pod}`, "--strategy", "llmrouter-linear", ...withData],
  ];
  const bucketUrl = "s3://models/diskless";
  const env = () => ({ ...process.env, ...s3.env, ROUTEIQ_ALLOW_HTTP_STORE: "1" });
  const inPod = async (...words: readonly string[]) => {
    const { stdout, stderr } = await runSelf(words, {
      cwd: folder,
      env: env(),
      signal: new AbortController().signal,
    });
    return JSON.parse(stdout.trim().split("\n").at(-1) || `{"stderr": ${JSON.stringify(stderr)}}`);
  };
  const openBucket = () =>
    createS3ObjectStore({
      url: bucketUrl,
      ...toS3Settings(env()),
      outbound: createOutbound(),
      clock: systemClock,
    });

  test("a pod killed in any step is followed by another, and one release comes of it", async () => {
    let pod = 0;
    for (const event of ["training", "trained", "signed", "published"]) {
      const child = Bun.spawn([...selfCommand(), ...args(pod)], {
        cwd: folder,
        env: env(),
        stdout: "ignore",
        stderr: "ignore",
      });
      const told = join(folder, `pod-${pod}`, "loop", "journal.jsonl");
      const has = () => existsSync(told) && readFileSync(told, "utf8").includes(`"${event}"`);
      let ended = false;
      void child.exited.then(() => {
        ended = true;
      });
      while (!has() && !ended) await sleep(systemClock, 20);
      child.kill("SIGKILL");
      await child.exited;
      pod++;
      // As if the lease of the dead had run out.
      const bucket = openBucket();
      const over = new TextEncoder().encode(JSON.stringify({ holder: "", until: 0 }));
      await bucket.put(leaseKey, over);
      bucket.close();
    }
    const last = await inPod(...args(pod));
    expect(["kept", "waiting"]).toContain(last.done);
    const journal = await inPod("loop", "--journal", "--json", "--repository", bucketUrl);
    expect(journal.state).toMatchObject({ cycle: 1, phase: "idle" });
    const events = journal.entries.map(({ event }: { event: string }) => event);
    expect(events.filter((event: string) => event === "kept")).toEqual(["kept"]);
    expect(events.filter((event: string) => event === "observed")).toEqual(["observed"]);
    const bucket = openBucket();
    const head = await readHead(bucket);
    const kept = journal.entries.find(({ event }: { event: string }) => event === "kept");
    expect(head?.release.version).toBe(kept.version);
    bucket.close();
  }, 240_000);

  test("while one leads, another says so and does nothing", async () => {
    const bucket = openBucket();
    const holder = await lead({ store: bucket, clock: systemClock, holder: "somebody" });
    expect(holder).toBeDefined();
    expect(await inPod(...args(9))).toEqual({ ok: true, done: "another loop leads" });
    await holder?.release();
    bucket.close();
  }, 30_000);
});

const rootName = () =>
  readdirSync(join(folder, "keys")).find((name) => name.endsWith(".root.json")) ?? "1.root.json";

const here = ["loop", "--once", "--repository", "repository", "--key", "keys"];
test.each([
  ["no repository", ["loop", "--once", "--key", "keys"], "--repository"],
  ["no key", ["loop", "--once", "--repository", "repository"], "models keygen"],
  ["a key that is not there", ["loop", "--repository", "r", "--key", "nothing"], "nothing"],
  ["half a judge", [...here, "--judge", "m"], "--budget"],
  ["a budget that is none", [...here, "--judge", "m", "--budget", "much"], "--budget much"],
  ["a gateway without an address", [...here, "--gateway", "gateway-1"], "http://host:4000"],
  ["a strategy that nobody knows", [...here, "--strategy", "magic"], "llmrouter-knn"],
  ["a log that is not there", [...here, "--events", "nowhere"], "--data-dir of a gateway"],
  ["a span that is none", [...here, "--interval", "5"], "30m, 1h or 1d"],
] as const)(
  "%s: refused with what is missing",
  async (_name, args, remedy) => {
    const { exitCode, stderr } = await routeiq(...args);
    expect(exitCode).not.toBe(0);
    expect(stderr).toContain(remedy);
  },
  30_000,
);
