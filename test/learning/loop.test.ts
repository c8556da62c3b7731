/** `routeiq loop` as its users run it: its own processes, a folder as the repository, real files. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runSelf } from "../../src/cli/run-self.ts";
import { makeRows, toLine } from "../support/routing-data.ts";

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
  expect(existsSync(join(folder, "repository", "timestamp.json"))).toBe(false);
  rmSync(join(folder, "state"), { recursive: true });
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

const rootName = () =>
  readdirSync(join(folder, "keys")).find((name) => name.endsWith(".root.json")) ?? "1.root.json";

test.each([
  ["no repository", ["loop", "--once", "--key", "keys"], "--repository"],
  ["no key", ["loop", "--once", "--repository", "repository"], "--key"],
  [
    "half a judge",
    ["loop", "--once", "--repository", "repository", "--key", "keys", "--judge", "m"],
    "--budget",
  ],
] as const)(
  "%s: refused with what is missing",
  async (_name, args, flag) => {
    const { exitCode, stderr } = await routeiq(...args);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(flag);
  },
  30_000,
);
