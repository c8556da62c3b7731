/** The compiled binary's command line, from an empty folder. */
import { afterAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { createFolder, installBinary, runBinary } from "../support/binary.ts";

const folder = createFolder();
afterAll(() => folder.remove());

const routeiq = (...args: readonly string[]) => runBinary(args, { cwd: folder.path });

describe("version", () => {
  test("names version, commit and runtime", async () => {
    const { exitCode, stdout, stderr } = await routeiq("version", "--json");
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    const manifest = JSON.parse(readFileSync(join(import.meta.dir, "../../package.json"), "utf8"));
    expect(JSON.parse(stdout)).toMatchObject({ version: manifest.version, bun: Bun.version });
    expect(JSON.parse(stdout).commit).toMatch(/^([0-9a-f]{12}(\+changes)?|unknown)$/);
  });
});

describe("help and usage", () => {
  const cases = [
    // words             exit  stream    holds
    [["--help"], 0, "stdout", "version"],
    [["help", "version"], 0, "stdout", "routeiq version"],
    [["version", "--help"], 0, "stdout", "routeiq version"],
    [["versoin"], 2, "stderr", "version"],
    [["version", "--nonsense"], 2, "stderr", "--nonsense"],
  ] as const;
  test.each(cases)("%j ends with %d", async (words, exit, stream, text) => {
    const result = await routeiq(...words);
    expect(result.exitCode).toBe(exit);
    expect(result[stream]).toContain(text);
  });
});

test("a stack, where one is asked for, names lines of the source", async () => {
  const { exitCode, stderr } = await runBinary(
    ["eval", "--data", "missing.jsonl", "--artifact", "nowhere"],
    { cwd: folder.path, env: { ROUTEIQ_DEBUG: "1" } },
  );
  expect(exitCode).not.toBe(0);
  expect(stderr).toMatch(/\bsrc\/[\w/.-]+\.ts:\d+/);
});

test("nothing was written to the folder it was started from", () => {
  expect(readdirSync(folder.path)).toEqual([]);
});

test("the folder's .env and bunfig.toml change nothing", async () => {
  const own = createFolder();
  await Bun.write(join(own.path, ".env"), "ROUTEIQ_DEBUG=1\n");
  await Bun.write(join(own.path, "bunfig.toml"), 'preload = ["./evil.ts"]\n');
  await Bun.write(join(own.path, "evil.ts"), 'console.log("evil");\n');
  const { exitCode, stdout } = await runBinary(["version"], { cwd: own.path });
  own.remove();
  expect(exitCode).toBe(0);
  expect(stdout).not.toContain("evil");
});

test("the executable is at most 140 MB", () => {
  expect(statSync(installBinary()).size).toBeLessThanOrEqual(140e6);
});
