/** The `models` commands, as a person and as a program would use them. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { craft, honestFiles, now, text } from "../../../test/support/artifact-repository.ts";
import { missingS3Server, type S3Server, startS3Server } from "../../../test/support/s3-server.ts";
import { writeArtifactFolder } from "../../learning/artifacts/folder.ts";
import { commands } from "../registry.ts";
import { runCommandLine } from "../run.ts";

const temp = await mkdtemp(join(tmpdir(), "routeiq-models-"));
const at = (...names: readonly string[]) => join(temp, ...names);
afterAll(() => rm(temp, { recursive: true, force: true }));

let environment: Record<string, string> = {};

async function run(...words: readonly string[]) {
  const said = { stdout: "", stderr: "" };
  const sink = (name: "stdout" | "stderr") => ({
    write(chunk: string) {
      said[name] += chunk;
    },
  });
  const code = await runCommandLine({
    words: ["models", ...words],
    commands,
    defaultCommand: "version",
    stdout: sink("stdout"),
    stderr: sink("stderr"),
    env: environment,
    signal: new AbortController().signal,
  });
  const json = words.includes("--json") ? JSON.parse(said.stdout || "null") : undefined;
  return { code, ...said, json };
}

async function train(name: string, gain: string, marker: string): Promise<string> {
  await writeArtifactFolder(at(name), {
    name: "router",
    files: new Map([...Object.entries(honestFiles), ["marker.json", text(marker)]]),
    selfTest: { input: "self-test/queries.json", output: "self-test/scores.json" },
    provenance: {
      strategy: "llmrouter-knn",
      metrics: {
        gate: {
          best_single: { model: "m", gain, gain_lower: gain },
          control: { gain, gain_lower: gain },
        },
      },
    },
  });
  return at(name);
}

/** A crafted repository as a folder. */
async function layOut(name: string, files = craft()): Promise<string> {
  for (const [key, bytes] of files) await Bun.write(at(name, key), bytes);
  return at(name);
}
const iso = (ms: number) => new Date(ms).toISOString();
const noLoad = ["--no-load", "--json", "--now", iso(now)];

describe("a single person's way", () => {
  const repository = at("repository");

  test("keygen", async () => {
    const made = await run("keygen", "--out", at("keys"), "--json");
    expect(made).toMatchObject({ code: 0, json: { ok: true, version: 1 } });
    expect(made.json.pin).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect((await readdir(at("keys"))).sort()).toEqual([
      "1.root.json",
      "release.key",
      "root.key",
      "timestamp.key",
    ]);
    expect((await stat(at("keys"))).mode & 0o777).toBe(0o700);
    expect((await stat(at("keys", "root.key"))).mode & 0o777).toBe(0o600);
    const again = await run("keygen", "--out", at("keys"));
    expect(again).toMatchObject({ code: 1 });
    expect(again.stderr).toContain("never overwritten");
  });

  test("sign, publish, list, verify", async () => {
    const folder = await train("one", "0.02", "1");
    const signed = await run("sign", folder, "--key", at("keys"), "--json");
    expect(signed).toMatchObject({ code: 0, json: { version: 1, signatures: 1 } });
    const published = await run("publish", folder, repository, "--key", at("keys"), "--json");
    expect(published).toMatchObject({ code: 0, json: { ok: true, active: 1 } });
    const listed = await run("list", repository, "--json");
    expect(listed.json).toMatchObject({
      active: 1,
      roots: [1],
      releases: [{ version: 1, active: true, strategy: "llmrouter-knn" }],
    });
    expect((await run("list", repository)).stdout).toContain("* 1  ");
    const root = ["--root", at("keys", "1.root.json"), "--state", at("state.json")];
    const verified = await run("verify", repository, ...root, "--no-load", "--json");
    expect(verified).toMatchObject({ code: 0, json: { ok: true, active: 1, code: null } });
    expect((await stat(at("state.json"))).mode & 0o777).toBe(0o600);
  });

  test("the gate, --force, and rollback", async () => {
    const folder = await train("two", "0.03", "2");
    const publish = ["publish", folder, repository, "--key", at("keys", "release.key"), "--json"];
    const refused = await run(...publish);
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("was not compared with release 1");
    const forced = await run(...publish, "--force");
    expect(forced).toMatchObject({ code: 0, json: { active: 2, gate: { passed: false } } });
    const back = await run("rollback", repository, "--to", "1", "--key", at("keys"), "--json");
    expect(back).toMatchObject({ code: 0, json: { active: 3 } });
    const { json } = await run("list", repository, "--json");
    expect(json.releases).toMatchObject([
      { version: 1 },
      { version: 2, forced: expect.any(String) },
      { version: 3, active: true, rolled_back_to: 1 },
    ]);
    const root = ["--root", at("keys", "1.root.json"), "--state", at("state.json")];
    const verified = await run("verify", repository, ...root, "--no-load", "--json");
    expect(verified.json).toEqual({ ok: true, active: 3, code: null });
  });

  test("refresh, a new timestamp key, and a revocation", async () => {
    const refreshed = await run("publish", "--refresh", repository, "--key", at("keys"), "--json");
    expect(refreshed).toMatchObject({ code: 0, json: { active: 3, timestamp: { version: 4 } } });
    const from = at("keys", "1.root.json");
    const next = ["keygen", "--from", from, "--key", at("keys"), "--out", at("keys")];
    const made = await run(...next, "--replace", "timestamp", "--json");
    expect(made).toMatchObject({ code: 0, json: { version: 2, complete: true } });
    const publish = ["publish", "--refresh", repository, "--key", at("keys"), "--json"];
    expect(await run(...publish)).toMatchObject({ code: 0, json: { active: 3 } });
    const root = ["--root", from, "--state", at("state.json"), "--no-load", "--json"];
    expect((await run("verify", repository, ...root)).json).toMatchObject({ ok: true, active: 3 });

    const { json } = await run("list", repository, "--json");
    const revoke = json.releases[2].sha256;
    const from2 = ["keygen", "--from", at("keys", "2.root.json"), "--key", at("keys", "root.key")];
    const third = await run(...from2, "--revoke", revoke, "--out", at("more"), "--json");
    expect(third).toMatchObject({ code: 0, json: { version: 3, complete: true } });
    // The repository's owner takes the root by hand: what is in force is revoked, and 0 is served.
    await Bun.write(at("repository/root/3.root.json"), Bun.file(at("more", "3.root.json")));
    const after = await run("verify", repository, ...root);
    expect(after).toMatchObject({ code: 1, json: { ok: false, active: 0, code: "revoked" } });
  });
});

describe("a team's way", () => {
  test("two of three sign, one after the other", async () => {
    const out = at("team");
    const counts = ["--release-keys", "3", "--release-threshold", "2", "--root-keys", "2"];
    expect(await run("keygen", "--out", out, ...counts, "--json")).toMatchObject({ code: 0 });
    const folder = await train("three", "0.02", "3");
    const sign = (n: number) =>
      run("sign", folder, "--key", at(`alone-${n}`, `release-${n}.key`), "--json");
    for (const n of [1, 2]) {
      await Bun.write(
        at(`alone-${n}`, `release-${n}.key`),
        Bun.file(join(out, `release-${n}.key`)),
      );
    }
    expect((await sign(1)).json).toMatchObject({ version: 1, signatures: 1 });
    const publish = ["publish", folder, at("team-repository"), "--key", join(out, "timestamp.key")];
    expect(await run(...publish, "--json")).toMatchObject({ code: 1, json: { code: "threshold" } });
    expect((await sign(2)).json).toMatchObject({ version: 1, signatures: 2 });
    expect(await run(...publish, "--json")).toMatchObject({ code: 0, json: { active: 1 } });
  });

  test("a threshold that no one can meet", async () => {
    const made = await run("keygen", "--out", at("odd"), "--root-threshold", "2");
    expect(made).toMatchObject({ code: 1, stderr: expect.stringContaining("there are 1") });
  });
});

describe("verify, as a program reads it", () => {
  test("one line, exit code, counters", async () => {
    const repository = await layOut("v1");
    const root = ["--root", join(repository, "root/1.root.json"), "--state", at("v.json")];
    const first = await run("verify", repository, ...root, ...noLoad);
    expect(first).toMatchObject({ code: 0, stdout: '{"ok":true,"active":1,"code":null}\n' });
    expect(JSON.parse(await readFile(at("v.json"), "utf8"))).toEqual({
      root_version: 1,
      timestamp_version: 1,
      release_version: 1,
      release_sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      last_time: iso(now),
    });

    const held = await readFile(at("v.json"), "utf8");
    await layOut("v1", craft({ version: 2, timestampVersion: 1 }));
    const second = await run("verify", repository, ...root, ...noLoad);
    const line = '{"ok":false,"active":1,"code":"equivocation"}\n';
    expect(second).toMatchObject({ code: 1, stdout: line });
    expect(await readFile(at("v.json"), "utf8")).toBe(held);
    expect((await readdir(temp)).filter((name) => name.startsWith("."))).toEqual([]);
  });

  test("a file:// address, a pin by hash, another runtime", async () => {
    const runtime = { min: "3.1", format: "acme-router", feature_schema: 7 };
    const repository = await layOut("v2", craft({ release: { runtime }, files: odd }));
    const root = ["--root", join(repository, "root/1.root.json")];
    expect((await run("verify", repository, ...root, ...noLoad)).json.code).toBe("runtime");
    const foreign = ["--format", "acme-router", "--feature-schema", "7", ...noLoad];
    const newer = await run("verify", `file://${repository}`, ...root, ...foreign);
    expect(newer.json.code).toBe("runtime"); // min 3.1 is past this loader
    const ours = { ...runtime, min: "0.9" };
    await layOut("v2", craft({ release: { runtime: ours }, files: odd }));
    expect((await run("verify", `file://${repository}`, ...root, ...foreign)).json).toEqual({
      ok: true,
      active: 1,
      code: null,
    });
    const pin = `sha256:${"0".repeat(64)}`;
    expect((await run("verify", repository, "--root", pin, ...foreign)).json.code).toBe("hash");
  });
  const odd = { ...honestFiles, "weights.safetensors": text("not really") };

  test("a state file that cannot be read is refused, and left alone", async () => {
    const repository = await layOut("v3");
    const root = ["--root", join(repository, "root/1.root.json"), "--state", at("bad.json")];
    for (const bad of ["", "{", "[]", "{}", '{"root_version":-1}', "\u0000"]) {
      await writeFile(at("bad.json"), bad);
      const verdict = await run("verify", repository, ...root, ...noLoad);
      expect(verdict).toMatchObject({ code: 1, json: { ok: false, active: 0, code: "state" } });
      expect(await readFile(at("bad.json"), "utf8")).toBe(bad);
    }
  });

  test("nothing at the address", async () => {
    const repository = await layOut("v4");
    const root = join(repository, "root/1.root.json");
    const nowhere = await run("verify", at("nowhere"), "--root", root, ...noLoad);
    expect(nowhere).toMatchObject({ code: 1, json: { active: 0, code: "fetch" } });
    const rootless = await run("verify", repository, "--root", at("no.json"), ...noLoad);
    expect(rootless).toMatchObject({ code: 1, json: { code: "fetch" } });
  });

  test("usage", async () => {
    const repository = await layOut("v5");
    const root = ["--root", join(repository, "root/1.root.json")];
    expect((await run("verify", repository)).code).toBe(2);
    expect((await run("verify")).code).toBe(2);
    expect((await run("verify", repository, ...root, "--now", "soon")).code).toBe(2);
    expect((await run("verify", repository, ...root, "--feature-schema", "x")).code).toBe(2);
    expect((await run("verify", "gs://x/y", ...root)).stderr).toContain("s3://bucket/prefix");
  });

  test("a state that cannot be written is a failure", async () => {
    if (process.getuid?.() === 0) return; // root may write anywhere
    const repository = await layOut("v6");
    await Bun.write(at("locked", "x"), "");
    await chmod(at("locked"), 0o500);
    const state = ["--state", at("locked", "state.json")];
    const root = ["--root", join(repository, "root/1.root.json")];
    expect((await run("verify", repository, ...root, ...state, ...noLoad)).code).toBe(1);
  });
});

describe.skipIf(missingS3Server !== undefined)("on S3", () => {
  let s3: S3Server | undefined;
  beforeAll(async () => {
    s3 = await startS3Server();
    environment = s3.env;
  });
  afterAll(() => s3?.stop());

  test("the whole way, over real HTTP", async () => {
    const url = "s3://models/team/router";
    const keys = at("s3-keys");
    await run("keygen", "--out", keys);
    const publish = (folder: string, ...more: string[]) =>
      run("publish", folder, url, "--key", keys, "--json", ...more);
    expect(await publish(await train("s1", "0.02", "1"))).toMatchObject({ code: 0 });
    expect(await publish(await train("s2", "0.02", "2"))).toMatchObject({ code: 1 });
    expect(await publish(at("s2"), "--force")).toMatchObject({ code: 0, json: { active: 2 } });
    const root = ["--root", join(keys, "1.root.json"), "--state", at("s3-state.json")];
    const verified = await run("verify", url, ...root, "--no-load", "--json");
    expect(verified.json).toEqual({ ok: true, active: 2, code: null });
    const back = await run("rollback", url, "--to", "1", "--key", keys, "--json");
    expect(back.json).toMatchObject({ ok: true, active: 3 });
    expect((await run("list", url, "--json")).json.releases).toHaveLength(3);
    expect((await run("verify", `${url}/nowhere`, ...root, "--json")).json.code).toBe("fetch");
  });
});
