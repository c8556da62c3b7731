/** From a trained folder to a repository that gateways take: sign, gate, publish, roll back, rotate. */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  honestFiles,
  now,
  type Repository,
  storeOf,
  text,
} from "../../../test/support/artifact-repository.ts";
import type { JsonObject } from "../../domain/json.ts";
import { createFileObjectStore } from "../../storage/file/object-store.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { canonical, sha256Hex } from "./canonical.ts";
import { readArtifactFolder, toUnsignedRelease, writeArtifactFolder } from "./folder.ts";
import { artifactRuntime, parseEnvelope, type RoleName } from "./format.ts";
import { judgeGate } from "./gate.ts";
import {
  changeRoot,
  createRoleKey,
  createRoot,
  type RoleKey,
  readKeys,
  readRoleKeys,
  writeKeyFile,
} from "./keys.ts";
import {
  nextReleaseVersion,
  type PublishOptions,
  publishRelease,
  refreshTimestamp,
  rollbackRelease,
} from "./publish.ts";
import { ArtifactRefusal } from "./refusal.ts";
import { readHead } from "./repository.ts";
import { addSignatures, signRelease } from "./sign.ts";
import { verifyRepository } from "./verify.ts";

const day = 86_400_000;
const temp = await mkdtemp(join(tmpdir(), "routeiq-publish-"));
afterAll(() => rm(temp, { recursive: true, force: true }));

const seedOf = (label: string) => Buffer.from(sha256Hex(label), "hex");
const rootKey = createRoleKey("root", seedOf("r"));
const timestampKey = createRoleKey("timestamp", seedOf("t"));
const releaseKey = createRoleKey("release", seedOf("v"));
const keys = [rootKey, timestampKey, releaseKey];
const one = { root: 1, timestamp: 1, release: 1 };
const root1 = createRoot({
  keys: { root: [rootKey], timestamp: [timestampKey], release: [releaseKey] },
  thresholds: one,
  expiresMs: now + 365 * day,
});

const evidence = (single: string, incumbent?: { sha256: string; lower: string }): JsonObject => ({
  strategy: "llmrouter-knn",
  metrics: {
    gate: {
      confidence: "0.95",
      rows: 100,
      best_single: { model: "m", gain: "0.1", gain_lower: single },
      control: { gain: "0.1", gain_lower: "0.05" },
      ...(incumbent
        ? { incumbent: { sha256: incumbent.sha256, gain: "0.1", gain_lower: incumbent.lower } }
        : {}),
    },
  },
});

function content(provenance: JsonObject = {}, marker = "1") {
  return {
    name: "router",
    files: new Map([...Object.entries(honestFiles), ["marker.json", text(marker)]]),
    selfTest: { input: "self-test/queries.json", output: "self-test/scores.json" },
    provenance,
  };
}

function target(store: ObjectStore, over: Partial<PublishOptions> = {}) {
  return {
    store,
    keys,
    roots: new Map([[1, root1]]),
    nowMs: now,
    timestampExpiresMs: now + 7 * day,
    ...over,
  };
}

async function publish(store: ObjectStore, provenance: JsonObject, over = {}, marker = "1") {
  const made = content(provenance, marker);
  const folder = { release: toUnsignedRelease(made), files: made.files };
  const version = await nextReleaseVersion(store);
  const release = signRelease({
    folder,
    keys: [releaseKey],
    version,
    nowMs: now,
    expiresMs: now + 90 * day,
  });
  return await publishRelease({ ...target(store), release, files: folder.files, ...over });
}

async function served(store: ObjectStore, pin = root1) {
  const verified = await verifyRepository({
    store,
    pin: { bytes: pin },
    name: "router",
    runtime: artifactRuntime,
    state: undefined,
    nowMs: now,
    strictContent: true,
  });
  const marker = new TextDecoder().decode(verified.files.get("marker.json"));
  return { version: verified.release.version, marker, provenance: verified.release.provenance };
}

const open = () => {
  const repository: Repository = new Map();
  return { repository, store: storeOf(repository) };
};

describe("publishing", () => {
  test("what is published is what a gateway takes", async () => {
    const { store } = open();
    const first = await publish(store, evidence("0.01"));
    expect(first).toMatchObject({ version: 1, timestampVersion: 1, gate: { passed: true } });
    expect(await served(store)).toMatchObject({ version: 1, marker: "1" });
    const better = evidence("0.01", { sha256: first.sha256, lower: "0.001" });
    expect(await publish(store, better, {}, "2")).toMatchObject({ version: 2 });
    expect(await served(store)).toMatchObject({ version: 2, marker: "2" });
  });

  test("the same folder and time give the same bytes", () => {
    const sign = () => {
      const made = content(evidence("0.01"));
      const folder = { release: toUnsignedRelease(made), files: made.files };
      const when = { nowMs: now, expiresMs: now + day };
      return signRelease({ folder, keys: [releaseKey], version: 1, ...when });
    };
    expect(sign()).toEqual(sign());
  });

  test("the gate", async () => {
    const { store, repository } = open();
    for (const provenance of [{}, evidence("0"), evidence("-0.1"), evidence("much")]) {
      await expect(publish(store, provenance)).rejects.toThrow("The gate refuses");
    }
    expect(repository.size).toBe(0);
    const first = await publish(store, evidence("-0.1"), { force: true });
    const head = () =>
      JSON.parse(new TextDecoder().decode(repository.get("timestamp.json"))).signed;
    expect(head().forced).toContain("-0.1");
    // Not compared with what is in force, compared with something else, not better than it.
    const foreign = { sha256: "0".repeat(64), lower: "0.1" };
    for (const provenance of [
      evidence("0.1"),
      evidence("0.1", foreign),
      evidence("0.1", { sha256: first.sha256, lower: "-0.01" }),
    ]) {
      await expect(publish(store, provenance)).rejects.toThrow("The gate refuses");
    }
    await refreshTimestamp(target(store));
    expect(head().forced).toContain("-0.1"); // the record outlives a refresh
  });

  test("the verdict is worded", () => {
    expect(judgeGate(evidence("0.012"), undefined)).toEqual({
      passed: true,
      reason: "better than the best single models at equal cost by at least 0.012",
    });
  });

  test("nothing is written that a gateway would refuse", async () => {
    const { store, repository } = open();
    const stranger = createRoleKey("release");
    const made = content(evidence("0.1"));
    const folder = { release: toUnsignedRelease(made), files: made.files };
    const sign = (key: RoleKey, over: { version?: number; expiresMs?: number } = {}) =>
      signRelease({ folder, keys: [key], version: 1, nowMs: now, expiresMs: now + day, ...over });
    const attempt = (release: Uint8Array, over = {}) =>
      publishRelease({ ...target(store), release, files: folder.files, ...over });
    await expect(attempt(sign(stranger))).rejects.toMatchObject({ refusal: "threshold" });
    const late = sign(releaseKey, { expiresMs: now - 1000 });
    await expect(attempt(late)).rejects.toMatchObject({ refusal: "expired" });
    const far = sign(releaseKey, { version: 2_000_000 });
    await expect(attempt(far)).rejects.toMatchObject({ refusal: "version_jump" });
    await expect(attempt(sign(releaseKey), { roots: new Map() })).rejects.toThrow("no root yet");
    await expect(attempt(sign(releaseKey), { keys: [releaseKey] })).rejects.toThrow("--key");
    await expect(attempt(sign(releaseKey), { files: new Map() })).rejects.toMatchObject({
      refusal: "fetch",
    });
    expect(repository.size).toBe(0);
  });

  test("two publishers at once: one wins, the other is told", async () => {
    const { store } = open();
    await publish(store, evidence("0.1"));
    let overtaken = false;
    const slow: ObjectStore = {
      ...store,
      async put(key, bytes, options) {
        if (key === "timestamp.json" && !overtaken) {
          overtaken = true;
          await refreshTimestamp(target(store));
        }
        return await store.put(key, bytes, options);
      },
    };
    await expect(publish(slow, {}, { force: true }, "2")).rejects.toThrow("Someone else");
    expect(await served(store)).toMatchObject({ version: 1, marker: "1" });
    await publish(slow, {}, { force: true }, "3");
    expect(await served(store)).toMatchObject({ version: 3, marker: "3" });
  });

  test("a release number is taken once", async () => {
    const { store } = open();
    const made = content(evidence("0.1"));
    const folder = { release: toUnsignedRelease(made), files: made.files };
    const when = { keys: [releaseKey], version: 1, expiresMs: now + day };
    const first = signRelease({ folder, ...when, nowMs: now });
    const second = signRelease({ folder, ...when, nowMs: now + 1000 });
    await store.put("releases/1.json", first);
    const attempt = publishRelease({ ...target(store), release: second, files: folder.files });
    await expect(attempt).rejects.toThrow("with other content");
    await publishRelease({ ...target(store), release: first, files: folder.files });
    expect(await nextReleaseVersion(store)).toBe(2);
  });

  test("rollback brings old content back under a higher number", async () => {
    const { store } = open();
    await publish(store, evidence("0.1"), {}, "10");
    await publish(store, {}, { force: true }, "20");
    expect(await served(store)).toMatchObject({ version: 2, marker: "20" });
    await rollbackRelease({ ...target(store), to: 1, expiresMs: now + day });
    const after = await served(store);
    expect(after).toMatchObject({ version: 3, marker: "10", provenance: { rolled_back_to: 1 } });
    const missing = rollbackRelease({ ...target(store), to: 9, expiresMs: now + day });
    await expect(missing).rejects.toThrow("there are: 1, 2, 3");
  });

  test("keys rotate through a new root", async () => {
    const { store } = open();
    await publish(store, evidence("0.1"));
    const fresh = (role: RoleName) => [createRoleKey(role)];
    const replace = { root: fresh("root"), timestamp: fresh("timestamp") };
    const change = { replace, revoke: [], minReleaseVersion: 1, expiresMs: now + 365 * day };
    const root2 = changeRoot(parseEnvelope(root1, "root", "root 1"), change, [rootKey]);
    const roots = new Map([[2, root2]]);
    await expect(refreshTimestamp(target(store, { roots }))).rejects.toThrow("timestamp key");
    await refreshTimestamp(target(store, { roots, keys: replace.timestamp }));
    expect(await served(store)).toMatchObject({ version: 1 });
    // A revocation in root 3, by the new root key.
    const sha256 = (await readHead(store))?.release.sha256 ?? "";
    const root3 = changeRoot(
      parseEnvelope(root2, "root", "root 2"),
      { replace: {}, revoke: [sha256], expiresMs: now + 365 * day },
      replace.root,
    );
    const revoke = refreshTimestamp(
      target(store, { roots: new Map([[3, root3]]), keys: replace.timestamp }),
    );
    await expect(revoke).rejects.toMatchObject({ refusal: "revoked" });
  });

  test("a root other than the repository's is noticed", async () => {
    const { store } = open();
    await publish(store, evidence("0.1"));
    const other = createRoot({
      keys: { root: [rootKey], timestamp: [timestampKey], release: [releaseKey] },
      thresholds: one,
      expiresMs: now + 1000 * day,
    });
    const attempt = refreshTimestamp(target(store, { roots: new Map([[1, other]]) }));
    await expect(attempt).rejects.toMatchObject({ refusal: "hash" });
  });
});

describe("team roots", () => {
  test("two of three sign one after the other", async () => {
    const team = ["a", "b", "c"].map((label) => createRoleKey("release", seedOf(label)));
    const root = createRoot({
      keys: { root: [rootKey], timestamp: [timestampKey], release: team },
      thresholds: { ...one, release: 2 },
      expiresMs: now + 365 * day,
    });
    const { store } = open();
    const made = content(evidence("0.1"));
    const folder = { release: toUnsignedRelease(made), files: made.files };
    const half = signRelease({
      folder,
      keys: team.slice(0, 1),
      version: 1,
      nowMs: now,
      expiresMs: now + day,
    });
    const over = { roots: new Map([[1, root]]), files: folder.files };
    const attempt = publishRelease({ ...target(store), ...over, release: half });
    await expect(attempt).rejects.toMatchObject({ refusal: "threshold" });
    const whole = addSignatures(parseEnvelope(half, "release", "half"), team.slice(2));
    await publishRelease({ ...target(store), ...over, release: whole });
    expect(await served(store, root)).toMatchObject({ version: 1 });
  });

  test("a threshold without keys is refused", () => {
    const plan = {
      keys: { root: [rootKey], timestamp: [timestampKey], release: [releaseKey] },
      thresholds: { ...one, release: 2 },
      expiresMs: now,
    };
    expect(() => createRoot(plan)).toThrow("there are 1");
  });
});

describe("key files", () => {
  test("are private, never overwritten, and found beside each other", async () => {
    const folder = join(temp, "keys");
    for (const key of keys) await writeKeyFile(join(folder, `${key.role}.key`), key);
    expect((await stat(join(folder, "root.key"))).mode & 0o777).toBe(0o600);
    await expect(writeKeyFile(join(folder, "root.key"), rootKey)).rejects.toThrow("never");
    expect(await readKeys([folder])).toHaveLength(3);
    const role = { keyids: [timestampKey.keyid], threshold: 1 };
    expect(await readRoleKeys([join(folder, "release.key")], role)).toEqual([timestampKey]);
    await expect(readKeys([join(temp, "nowhere.key")])).rejects.toThrow("does not exist");
    await Bun.write(join(temp, "odd.key"), "{}");
    await expect(readKeys([join(temp, "odd.key")])).rejects.toThrow("keygen");
  });
});

describe("a trained folder", () => {
  test("is written, read and checked", async () => {
    const path = join(temp, "trained");
    await writeArtifactFolder(path, content(evidence("0.1")));
    const folder = await readArtifactFolder(path);
    expect([...folder.files.keys()].sort()).toEqual([...content().files.keys()].sort());
    await Bun.write(join(path, "marker.json"), "2");
    await expect(readArtifactFolder(path)).rejects.toMatchObject({ refusal: "hash" });
    await rm(join(path, "marker.json"));
    await expect(readArtifactFolder(path)).rejects.toMatchObject({ refusal: "fetch" });
    await expect(readArtifactFolder(temp)).rejects.toThrow("routeiq train");
  });

  test("holds no fraction, no script, no path outside", () => {
    const bad = [
      [content({ accuracy: 0.5 }), "number"],
      [{ ...content(), files: new Map([["run.sh", text("x")]]) }, "format"],
      [{ ...content(), files: new Map([["../x.json", text("{}")]]) }, "path"],
      [{ ...content(), selfTest: { input: "a", output: "b" } }, "self_test"],
    ] as const;
    for (const [made, code] of bad) {
      try {
        toUnsignedRelease(made);
        throw new Error(`${code} was not refused`);
      } catch (error) {
        expect(error instanceof ArtifactRefusal && error.refusal).toBe(code);
      }
    }
  });
});

test("kill -9 before every write of a publication: readers see the old or the new, never less", async () => {
  const keyFolder = join(temp, "crash-keys");
  for (const key of keys) await writeKeyFile(join(keyFolder, `${key.role}.key`), key);
  await Bun.write(join(keyFolder, "1.root.json"), root1);
  const repository = join(temp, "crash-repository");
  const store = createFileObjectStore(repository);
  const child = join(import.meta.dir, "../../../test/support/publish-child.ts");
  const run = (folder: string, dieAt: number) => {
    const words = [child, folder, keyFolder, repository, String(dieAt), String(now)];
    const result = Bun.spawnSync([process.execPath, ...words], { stderr: "inherit" });
    return { killed: result.signalCode === "SIGKILL", said: result.stdout.toString() };
  };
  const folderOf = async (marker: string) => {
    const path = join(temp, `crash-${marker}`);
    await writeArtifactFolder(path, content({}, marker));
    return path;
  };
  expect(run(await folderOf("0"), 0).said).toContain('"version":1');
  let marker = "0";
  let crashes = 0;
  for (let dieAt = 1; ; dieAt++) {
    const next = String(dieAt);
    const folder = await folderOf(next);
    const { killed } = run(folder, dieAt);
    if (!killed) break;
    crashes++;
    expect((await served(store)).marker).toBe(marker); // untouched so far
    expect(run(folder, 0).killed).toBe(false); // and finished by publishing again
    expect((await served(store)).marker).toBe(next);
    marker = next;
  }
  // Four blobs, the release, the root (there already), the timestamp.
  expect(crashes).toBe(7);
  expect(canonical(crashes)).toBe("7");
});
