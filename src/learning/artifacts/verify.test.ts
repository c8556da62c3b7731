/** Every refusal code met by a crafted repository; what is honest passes. */
import { describe, expect, test } from "bun:test";
import {
  addRelease,
  bodyOf,
  craft,
  type Files,
  honestFiles,
  type Keys,
  keyid,
  keyOf,
  now,
  oneEach,
  type Repository,
  releaseBody,
  rootBody,
  signed,
  storeOf,
  text,
  timestampBody,
} from "../../../test/support/artifact-repository.ts";
import type { JsonObject } from "../../domain/json.ts";
import { createSigningKey } from "../../security/signing.ts";
import { sha256Hex } from "./canonical.ts";
import { artifactRuntime } from "./format.ts";
import { ArtifactRefusal, refusalRemedies } from "./refusal.ts";
import type { TrustState } from "./state.ts";
import { type VerifyInput, verifyRepository } from "./verify.ts";

const day = 86_400_000;

async function check(repository: Repository, over: Partial<VerifyInput> = {}): Promise<string> {
  const pinned = repository.get("pin") ?? repository.get("root/1.root.json") ?? new Uint8Array();
  try {
    const verified = await verifyRepository({
      store: storeOf(repository),
      pin: { bytes: pinned },
      name: "router",
      runtime: artifactRuntime,
      state: undefined,
      nowMs: now,
      strictContent: true,
      ...over,
    });
    return `ok ${verified.release.version}`;
  } catch (error) {
    if (error instanceof ArtifactRefusal) return error.refusal;
    throw error;
  }
}

function stateOf(repository: Repository, over: Partial<TrustState> = {}): TrustState {
  const timestamp = bodyOf(repository, "timestamp.json");
  const release = timestamp["release"] as JsonObject;
  return {
    rootVersion: 1,
    timestampVersion: Number(timestamp["version"]),
    releaseVersion: Number(release["version"]),
    releaseSha256: String(release["sha256"]),
    lastTimeMs: now - day,
    ...over,
  };
}

/** Changes what is signed in a file and signs it again, as its owner could. */
function edit(
  repository: Repository,
  key: string,
  change: (body: Record<string, unknown>) => void,
  by = oneEach.root,
): void {
  const body = structuredClone(bodyOf(repository, key)) as Record<string, unknown>;
  change(body);
  repository.set(key, signed(body as JsonObject, by));
}

function replaceText(repository: Repository, key: string, from: string, to: string): void {
  const held = new TextDecoder().decode(repository.get(key));
  expect(held).toContain(from);
  repository.set(key, text(held.replace(from, to)));
}

function crafted(change: (repository: Repository) => void, from = craft()): Repository {
  change(from);
  return from;
}

const editRoot = (change: (body: Record<string, unknown>) => void) =>
  crafted((r) => edit(r, "root/1.root.json", change));
const editTimestamp = (change: (body: Record<string, unknown>) => void) =>
  crafted((r) => edit(r, "timestamp.json", change, oneEach.timestamp));
const withFiles = (files: Files) => craft({ files: { ...honestFiles, ...files } });
const pathsOf = (...paths: readonly string[]) => {
  const blob = { sha256: sha256Hex(text("{}")), length: 2 };
  const files = Object.fromEntries(paths.map((path) => [path, blob]));
  const r = craft();
  const honest = bodyOf(r, "releases/1.json")["files"] as JsonObject;
  r.set(`blobs/sha256/${blob.sha256}`, text("{}"));
  addRelease(r, { release: { files: { ...honest, ...files } } });
  return r;
};

function nextRoot(
  repository: Repository,
  version: number,
  keys: Keys,
  by: readonly ReturnType<typeof keyOf>[],
  over: JsonObject = {},
): void {
  repository.set(`root/${version}.root.json`, signed(rootBody(version, keys, over), by));
}

const smallOrder = { seed: keyOf("x").seed, public: `01${"00".repeat(31)}` };
const noneStandard = {
  // ModelProto: ir_version 10, graph { node { op_type "Evil", domain "com.acme" } }.
  custom: Uint8Array.of(
    8,
    10,
    58,
    18,
    10,
    16,
    34,
    4,
    69,
    118,
    105,
    108,
    58,
    8,
    ...text("com.acme"),
  ),
  standard: Uint8Array.of(8, 10, 58, 8, 10, 6, 34, 4, ...text("Relu")),
  // graph { initializer { data_location EXTERNAL } }.
  external: Uint8Array.of(8, 10, 58, 4, 42, 2, 112, 1),
};

describe("what is honest passes", () => {
  test("first install, and the same again", async () => {
    const r = craft();
    expect(await check(r)).toBe("ok 1");
    expect(await check(r, { state: stateOf(r) })).toBe("ok 1");
  });

  test("a pin by hash", async () => {
    const r = craft();
    const sha256 = sha256Hex(r.get("root/1.root.json") ?? "");
    expect(await check(r, { pin: { sha256 } })).toBe("ok 1");
    expect(await check(r, { pin: { sha256: sha256Hex("other") } })).toBe("hash");
  });

  test("unknown extra fields, and extra signatures of strangers", async () => {
    const r = craft({ root: { note: "x" }, timestamp: { extra: [1] }, release: { more: {} } });
    const body = bodyOf(r, "timestamp.json");
    r.set("timestamp.json", signed(body, [keyOf("stranger"), ...oneEach.timestamp]));
    expect(await check(r)).toBe("ok 1");
  });

  test("signatures that are none are ignored", async () => {
    const r = craft();
    const good = JSON.parse(new TextDecoder().decode(r.get("timestamp.json")));
    good.signatures.unshift(7, { keyid: 1 }, { keyid: good.signatures[0].keyid, sig: "00" });
    r.set("timestamp.json", text(JSON.stringify(good)));
    expect(await check(r)).toBe("ok 1");
  });

  test("two of three keys of a team, and a chain of roots with new keys", async () => {
    const team = ["a", "b", "c"].map(keyOf);
    const keys = { ...oneEach, root: team };
    const r = craft();
    nextRoot(r, 2, keys, [...oneEach.root, ...team], {
      roles: {
        root: { keyids: team.map(keyid), threshold: 2 },
        timestamp: { keyids: oneEach.timestamp.map(keyid), threshold: 1 },
        release: { keyids: oneEach.release.map(keyid), threshold: 1 },
      },
    });
    nextRoot(r, 3, keys, team.slice(1));
    expect(await check(r)).toBe("ok 1");
    nextRoot(r, 3, keys, team.slice(2)); // one of the two that root 2 asks for
    expect(await check(r)).toBe("threshold");
  });

  test("only the last root's expiry counts", async () => {
    const r = craft({ root: { expires: "2026-01-01T00:00:00Z" } });
    nextRoot(r, 2, oneEach, oneEach.root);
    expect(await check(r)).toBe("ok 1");
  });

  test("rotating a role's key resets its counter", async () => {
    const r = craft({ timestampVersion: 900_000, version: 900_000 });
    const state = stateOf(r);
    const keys = { ...oneEach, timestamp: [keyOf("timestamp 2")], release: [keyOf("release 2")] };
    nextRoot(r, 2, keys, oneEach.root);
    addRelease(r, { keys, version: 2 });
    expect(await check(r, { state })).toBe("ok 2");
    expect(await check(r, { state: { ...state, rootVersion: 2 } })).toBe("rollback");
  });

  test("a key that merely joins resets nothing", async () => {
    const r = craft({ timestampVersion: 9, version: 9 });
    const state = stateOf(r);
    const keys = { ...oneEach, timestamp: [...oneEach.timestamp, keyOf("second")] };
    nextRoot(r, 2, keys, oneEach.root);
    addRelease(r, { version: 9, timestampVersion: 3 });
    expect(await check(r, { state })).toBe("rollback");
  });
});

describe("what is not, is refused by name", () => {
  type Case = readonly [string, string, () => Repository, Partial<VerifyInput>?];
  const newer = craft({ version: 5, timestampVersion: 7 });
  const cases: readonly Case[] = [
    ["canonical", "white space", () => crafted((r) => replaceText(r, "timestamp.json", ":", ": "))],
    [
      "canonical",
      "a key twice",
      () => crafted((r) => replaceText(r, "timestamp.json", '"spec":"1"', '"spec":"1","spec":"1"')),
    ],
    ["canonical", "not JSON", () => crafted((r) => r.set("timestamp.json", text("oops")))],
    ["canonical", "empty", () => crafted((r) => r.set("timestamp.json", text("")))],
    [
      "number",
      "a fraction",
      () => crafted((r) => replaceText(r, "timestamp.json", '"version":1', '"version":1.5')),
    ],
    ["number", "version 0", () => editTimestamp((b) => (b["version"] = 0))],
    ["number", "version as text", () => editTimestamp((b) => (b["version"] = "1"))],
    [
      "type",
      "a release as timestamp",
      () => crafted((r) => r.set("timestamp.json", r.get("releases/1.json") ?? text(""))),
    ],
    ["type", "no expiry", () => editTimestamp((b) => delete b["expires"])],
    ["type", "30 February", () => editTimestamp((b) => (b["expires"] = "2027-02-30T00:00:00Z"))],
    [
      "type",
      "a hash in capitals",
      () =>
        editTimestamp(
          (b) => ((b["release"] as Record<string, unknown>)["sha256"] = "AB".repeat(32)),
        ),
    ],
    ["type", "a list", () => crafted((r) => r.set("timestamp.json", text("[]")))],
    ["spec", "timestamp of spec 2", () => editTimestamp((b) => (b["spec"] = "2"))],
    ["spec", "root of spec 2", () => editRoot((b) => (b["spec"] = "2"))],
    ["spec", "a small-order key", () => craft({ keys: { ...oneEach, timestamp: [smallOrder] } })],
    [
      "spec",
      "a key of another kind",
      () =>
        editRoot((b) => {
          const [first] = Object.values(b["keys"] as Record<string, Record<string, unknown>>);
          if (first) first["scheme"] = "rsa";
        }),
    ],
    [
      "keyid_mismatch",
      "another key under a known id",
      () =>
        editRoot((b) => {
          const [first] = Object.values(b["keys"] as Record<string, Record<string, unknown>>);
          if (first) first["public"] = createSigningKey().public;
        }),
    ],
    [
      "threshold",
      "unsigned timestamp",
      () => crafted((r) => r.set("timestamp.json", signed(bodyOf(r, "timestamp.json"), []))),
    ],
    [
      "threshold",
      "altered timestamp",
      () => crafted((r) => replaceText(r, "timestamp.json", '"version":1}', '"version":2}')),
    ],
    [
      "threshold",
      "timestamp by the release key",
      () =>
        crafted((r) =>
          r.set("timestamp.json", signed(bodyOf(r, "timestamp.json"), oneEach.release)),
        ),
    ],
    [
      "threshold",
      "release by the timestamp key",
      () =>
        crafted((r) => {
          const bytes = signed(bodyOf(r, "releases/1.json"), oneEach.timestamp);
          r.set("releases/1.json", bytes);
          r.set(
            "timestamp.json",
            signed(timestampBody(1, { version: 1, bytes }), oneEach.timestamp),
          );
        }),
    ],
    [
      "threshold",
      "one key counted twice",
      () =>
        editRoot((b) => {
          const roles = b["roles"] as Record<string, Record<string, unknown>>;
          const id = keyid(oneEach.timestamp[0] ?? smallOrder);
          roles["timestamp"] = { keyids: [id, id], threshold: 2 };
        }),
    ],
    [
      "threshold",
      "a signature repeated",
      () =>
        crafted((r) => {
          edit(r, "root/1.root.json", (b) => {
            const roles = b["roles"] as Record<string, Record<string, unknown>>;
            roles["timestamp"] = {
              keyids: [...oneEach.timestamp, ...oneEach.release].map(keyid),
              threshold: 2,
            };
          });
          const [key] = oneEach.timestamp;
          if (key) r.set("timestamp.json", signed(bodyOf(r, "timestamp.json"), [key, key]));
        }),
    ],
    [
      "threshold",
      "a threshold of 0",
      () =>
        editRoot((b) => {
          (b["roles"] as Record<string, Record<string, unknown>>)["timestamp"] = {
            keyids: [],
            threshold: 0,
          };
        }),
    ],
    [
      "threshold",
      "a root by strangers",
      () => crafted((r) => nextRoot(r, 2, oneEach, [keyOf("stranger")])),
    ],
    [
      "threshold",
      "a new root not signed by its own keys",
      () => crafted((r) => nextRoot(r, 2, { ...oneEach, root: [keyOf("root 2")] }, oneEach.root)),
    ],
    [
      "threshold",
      "a pinned root that nobody signed",
      () => crafted((r) => r.set("root/1.root.json", signed(rootBody(1, oneEach), []))),
    ],
    [
      "version_mismatch",
      "root 3 at the place of 2",
      () => crafted((r) => r.set("root/2.root.json", signed(rootBody(3, oneEach), oneEach.root))),
    ],
    [
      "version_mismatch",
      "root 1 again at the place of 2",
      () => crafted((r) => r.set("root/2.root.json", r.get("root/1.root.json") ?? text(""))),
    ],
    ["version_mismatch", "release 2 under the name of 1", () => craft({ release: { version: 2 } })],
    [
      "rollback",
      "an older timestamp",
      () => craft({ version: 5, timestampVersion: 6 }),
      { state: stateOf(newer) },
    ],
    [
      "rollback",
      "an older release under a newer timestamp",
      () => craft({ version: 4, timestampVersion: 8 }),
      { state: stateOf(newer) },
    ],
    ["rollback", "roots withheld", () => craft(), { state: stateOf(craft(), { rootVersion: 2 }) }],
    ["rollback", "under the least release", () => craft({ root: { min_release_version: 2 } })],
    [
      "equivocation",
      "another release of the same version",
      () => craft({ version: 5, timestampVersion: 8, release: { note: "x" } }),
      { state: stateOf(newer) },
    ],
    [
      "equivocation",
      "another timestamp of the same version",
      () => craft({ version: 6, timestampVersion: 7 }),
      { state: stateOf(newer) },
    ],
    [
      "expired",
      "a frozen timestamp",
      () => craft(),
      { nowMs: now + 8 * day, state: stateOf(craft()) },
    ],
    ["expired", "to the second", () => craft(), { nowMs: Date.parse("2026-12-02T12:00:00Z") }],
    ["expired", "an old root", () => craft({ root: { expires: "2026-11-25T11:59:59Z" } })],
    ["expired", "an old release", () => craft({ release: { expires: "2026-11-25T11:59:59Z" } })],
    [
      "clock",
      "six minutes back",
      () => craft(),
      { nowMs: now - day - 6 * 60_000, state: stateOf(craft()) },
    ],
    [
      "version_jump",
      "a timestamp far ahead",
      () => craft({ timestampVersion: 1_000_008, version: 5 }),
      { state: stateOf(newer) },
    ],
    [
      "version_jump",
      "a release far ahead",
      () => craft({ timestampVersion: 8, version: 1_000_006 }),
      { state: stateOf(newer) },
    ],
    ["version_jump", "at first install", () => craft({ timestampVersion: 2 ** 53 - 1 })],
    [
      "length",
      "a release longer than announced",
      () =>
        crafted((r) =>
          r.set("releases/1.json", text(`${new TextDecoder().decode(r.get("releases/1.json"))} `)),
        ),
    ],
    [
      "length",
      "a release cut short",
      () =>
        crafted((r) =>
          r.set("releases/1.json", (r.get("releases/1.json") ?? text("")).slice(0, -1)),
        ),
    ],
    [
      "length",
      "a blob longer than signed",
      () =>
        crafted((r) =>
          r.set(
            `blobs/sha256/${sha256Hex(honestFiles["router.json"] ?? "")}`,
            text("x".repeat(999)),
          ),
        ),
    ],
    [
      "length",
      "a blob cut short",
      () =>
        crafted((r) =>
          r.set(`blobs/sha256/${sha256Hex(honestFiles["router.json"] ?? "")}`, text("{}")),
        ),
    ],
    [
      "hash",
      "a blob altered",
      () =>
        crafted((r) =>
          r.set(
            `blobs/sha256/${sha256Hex(honestFiles["router.json"] ?? "")}`,
            text('{"strategy":"llmrouter-xxx"}'),
          ),
        ),
    ],
    [
      "hash",
      "mix and match: another validly signed release of equal length",
      () =>
        crafted((r) =>
          r.set(
            "releases/1.json",
            signed(
              releaseBody(1, honestFiles, { created: "2026-11-25T10:00:01Z" }),
              oneEach.release,
            ),
          ),
        ),
    ],
    [
      "too_large",
      "a timestamp of 17 KiB",
      () => craft({ timestamp: { pad: "x".repeat(17 * 1024) } }),
    ],
    [
      "too_large",
      "a release of over 1 MiB",
      () => craft({ release: { pad: "x".repeat(1024 * 1024) } }),
    ],
    [
      "too_large",
      "files of over 256 MiB",
      () => {
        const r = craft();
        const files = bodyOf(r, "releases/1.json")["files"] as JsonObject;
        addRelease(r, {
          release: { files: { ...files, "big.json": { sha256: "0".repeat(64), length: 2 ** 28 } } },
        });
        return r;
      },
    ],
    [
      "too_large",
      "roots without end",
      () =>
        crafted((r) => {
          for (let version = 2; version <= 1025; version++)
            nextRoot(r, version, oneEach, oneEach.root);
        }),
    ],
    ["fetch", "no timestamp", () => crafted((r) => r.delete("timestamp.json"))],
    ["fetch", "no release", () => crafted((r) => r.delete("releases/1.json"))],
    [
      "fetch",
      "no blob",
      () => crafted((r) => r.delete(`blobs/sha256/${sha256Hex(honestFiles["router.json"] ?? "")}`)),
    ],
    ...[
      "../x.json",
      "/x.json",
      "a//x.json",
      "a/./x.json",
      "a\\x.json",
      "-x.json",
      ".x.json",
      "é.json",
      "x.json/",
      "",
      `${"a".repeat(196)}.json`,
      "C:x.json",
      "a\u0000.json",
    ].map((path): Case => ["path", JSON.stringify(path), () => pathsOf(path)]),
    ["path", "two names but for case", () => pathsOf("A.json", "a.json")],
    ["path", "a file within a file", () => pathsOf("a.json", "a.json/b.json")],
    ...[
      "model.pkl",
      "model.joblib",
      "model.pt",
      "model.npy",
      "model.h5",
      "kernel.wasm",
      "run.sh",
      "model",
      "model.JSON",
      "custom.py",
    ].map((path): Case => ["format", path, () => pathsOf(path)]),
    [
      "format",
      "a pickle called .json",
      () => withFiles({ "x.json": Uint8Array.of(0x80, 4, 0x95) }),
      { strictContent: false },
    ],
    [
      "format",
      "a zip called .onnx",
      () => withFiles({ "x.onnx": Uint8Array.of(0x50, 0x4b, 3, 4) }),
      { strictContent: false },
    ],
    ["format", "no safetensors", () => withFiles({ "x.safetensors": text("hello world") })],
    [
      "format",
      "a custom operator",
      () => withFiles({ "x.onnx": noneStandard.custom }),
      { strictContent: false },
    ],
    [
      "format",
      "weights in another file",
      () => withFiles({ "x.onnx": noneStandard.external }),
      { strictContent: false },
    ],
    [
      "runtime",
      "another format",
      () => craft({ release: { runtime: { min: "0.1.0", format: "other", feature_schema: 1 } } }),
    ],
    [
      "runtime",
      "another feature schema",
      () =>
        craft({
          release: { runtime: { min: "0.1.0", format: "routeiq-router", feature_schema: 2 } },
        }),
    ],
    [
      "runtime",
      "a newer loader",
      () =>
        craft({
          release: { runtime: { min: "99.0.0", format: "routeiq-router", feature_schema: 1 } },
        }),
    ],
    ["name", "a router of another name", () => craft({ release: { name: "other" } })],
    [
      "revoked",
      "a revoked release",
      () => {
        const r = craft();
        const release = bodyOf(r, "timestamp.json")["release"] as JsonObject;
        nextRoot(r, 2, oneEach, oneEach.root, { revoked_sha256: [String(release["sha256"])] });
        return r;
      },
    ],
    [
      "self_test",
      "without self_test",
      () =>
        crafted((r) => {
          const { self_test: _gone, ...body } = bodyOf(r, "releases/1.json");
          const bytes = signed(body, oneEach.release);
          r.set("releases/1.json", bytes);
          r.set(
            "timestamp.json",
            signed(timestampBody(1, { version: 1, bytes }), oneEach.timestamp),
          );
        }),
    ],
    [
      "self_test",
      "self_test names no file",
      () =>
        craft({
          release: { self_test: { input_sha256: "0".repeat(64), output_sha256: "0".repeat(64) } },
        }),
    ],
  ];
  test.each(cases)(
    "%s: %s",
    async (code, _what, make, over) => {
      expect(await check(make(), over)).toBe(code);
    },
    60_000,
  );

  test("every code but the state file's is met here", () => {
    const met = new Set(cases.map(([code]) => code));
    expect(Object.keys(refusalRemedies).filter((code) => !met.has(code))).toEqual(["state"]);
  });
});

test("standard ONNX passes, and is read to the last operator", async () => {
  expect(await check(withFiles({ "x.onnx": noneStandard.standard }))).toBe("ok 1");
});
