/** Fixed bytes: what was signed once must verify for ever, and what we sign must not change. */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { createFileObjectStore } from "../../storage/file/object-store.ts";
import { sha256Hex } from "./canonical.ts";
import { keyidOf, signedMessage } from "./format.ts";
import { createRoleKey, createRoot } from "./keys.ts";
import { addSignatures } from "./sign.ts";
import { verifyRepository } from "./verify.ts";

const seed = (first: number) => Uint8Array.from({ length: 32 }, (_, i) => first + i);

test("a repository written by another implementation (Python, cryptography 48) is taken", async () => {
  const folder = join(import.meta.dir, "../../../test/fixtures/artifacts/independent");
  const store = createFileObjectStore(folder);
  const root = new Uint8Array(await Bun.file(join(folder, "root/1.root.json")).arrayBuffer());
  const verified = await verifyRepository({
    store,
    pin: { bytes: root },
    name: "router",
    runtime: { version: "1.0.0", format: "acme", featureSchema: 3 },
    state: undefined,
    nowMs: Date.parse("2026-11-20T00:00:00Z"),
    strictContent: false,
  });
  expect(verified.state).toMatchObject({ timestampVersion: 42, releaseVersion: 7 });
  expect([...verified.files.keys()].sort()).toEqual([
    "golden/q.json",
    "golden/s.json",
    "model/weights.json",
  ]);
});

test("keyid, message and signature of a fixed key", () => {
  const key = createRoleKey("timestamp", seed(0));
  expect(key.public).toBe("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
  expect(keyidOf(key.public)).toBe(
    sha256Hex(`{"keytype":"ed25519","public":"${key.public}","scheme":"ed25519"}`),
  );
  const signed = { _type: "timestamp", spec: "1", version: 1, é: ["\u2028", "\ud83d\ude00"] };
  expect(new TextDecoder().decode(signedMessage(signed))).toBe(
    'RouteIQ-artifact-v1\ntimestamp\n{"_type":"timestamp","spec":"1","version":1,"é":["\u2028","😀"]}',
  );
  const file = new TextDecoder().decode(addSignatures({ signed, signatures: [] }, [key]));
  expect(JSON.parse(file).signatures).toEqual([
    {
      keyid: key.keyid,
      sig: "06e2fee85a32df5ca9cbc676cb206cedcae10864357d01118bf7e54f1db71c6552c384abf68a169ecfebf5c9124071333d2935e8e9df266917a28bf060340500",
    },
  ]);
});

test("a root of fixed keys, to the byte", () => {
  const [root, timestamp, release] = [
    createRoleKey("root", seed(0)),
    createRoleKey("timestamp", seed(1)),
    createRoleKey("release", seed(2)),
  ];
  const bytes = createRoot({
    keys: { root: [root], timestamp: [timestamp], release: [release] },
    thresholds: { root: 1, timestamp: 1, release: 1 },
    expiresMs: Date.parse("2030-01-01T00:00:00Z"),
  });
  expect(sha256Hex(bytes)).toBe("4651873f034d9d55827742e97b65e9d44540bf21adf42f19e27a25677f91fa37");
});
