/** The predecessor's manifests: its golden vectors, and every way for one to be no proof. */

import { afterAll, describe, expect, test } from "bun:test";
import { createPublicKey } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { sha256Hex } from "../artifacts/canonical.ts";
import { checkListed, signedText, verifyManifest } from "./manifest.ts";
import { checkTrust, toImportTrust } from "./trust.ts";

const temp = mkdtempSync(join(tmpdir(), "routeiq-manifest-"));
afterAll(() => rmSync(temp, { recursive: true, force: true }));

const [a, b] = ["a".repeat(64), "b".repeat(64)];
const publicKey = "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=";
const ed25519 =
  "3kp4Q0PBB8bpbXS6xtRrf54abT+5uKfNb+nVWSjlFPdgyE3FyEMVp2boEoVAfz9NlrVvFfFWo8tZHJ3gPftXAQ==";
const hmac = "9y1nX3A4IHQHqXNyjrr77EG7mK5nQUxxHYsvvr0u6HM=";
const keys = { publicKey, hmacSecret: "s3cret" };

// Unsorted, and with the fields that are not signed.
const golden = {
  version: "1.0",
  created_at: "2024-01-28T10:00:00Z",
  signature_type: "ed25519",
  artifacts: [
    {
      path: "models/b.pkl",
      sha256: b,
      description: null,
      created_at: null,
      tags: [],
      metadata: {},
    },
    { path: "models/a.pkl", sha256: a, tags: ["x"] },
  ],
  signature: ed25519,
  description: "clé",
  metadata: {},
};

test("what is signed is what Python's json.dumps writes", () => {
  expect(signedText(golden, golden.artifacts)).toBe(
    `{"artifacts":[{"path":"models/a.pkl","sha256":"${a}"},{"path":"models/b.pkl","sha256":"${b}"}],` +
      '"created_at":"2024-01-28T10:00:00Z","description":"cl\\u00e9","version":"1.0"}',
  );
  expect(signedText({ version: '😀\x7f\n/"' }, [])).toBe(
    '{"artifacts":[],"version":"\\ud83d\\ude00\\u007f\\n/\\""}',
  );
});

const pem = createPublicKey({
  key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey, "base64").toString("base64url") },
  format: "jwk",
}).export({ format: "pem", type: "spki" });

test.each([
  ["Ed25519", golden, keys, "m.json"],
  ["Ed25519 with a key in PEM", golden, { publicKey: String(pem) }, "m.json"],
  ["HMAC", { ...golden, signature_type: "hmac-sha256", signature: hmac }, keys, "m.json"],
  ["YAML", golden, keys, "m.yaml"],
] as const)("%s is verified", (_name, manifest, given, path) => {
  const text = path.endsWith("json") ? JSON.stringify(manifest) : stringify(manifest);
  expect(verifyManifest(text, path, given).map(({ path }) => path)).toEqual([
    "models/b.pkl",
    "models/a.pkl",
  ]);
});

const bad: readonly (readonly [string, object, object, string])[] = [
  // The hole of the predecessor: the kind of signature is not signed itself.
  ["of type none", { signature_type: "none" }, keys, 'signature_type is "none"'],
  [
    "of type none, without a signature",
    { signature_type: "none", signature: undefined },
    keys,
    "none",
  ],
  ["of an unknown type", { signature_type: "rsa" }, keys, 'signature_type is "rsa"'],
  ["of no type", { signature_type: undefined }, keys, "signature_type is null"],
  ["without a signature", { signature: undefined }, keys, "no signature"],
  ["signed for another description", { description: "cle" }, keys, "not good"],
  ["signed for another time", { created_at: undefined }, keys, "not good"],
  ["with an altered hash", { artifacts: [{ path: "models/a.pkl", sha256: b }] }, keys, "not good"],
  ["with a signature of another kind", { signature_type: "hmac-sha256" }, keys, "not good"],
  ["with a short signature", { signature: "AAAA" }, keys, "not good"],
  ["without a key for it", {}, { hmacSecret: "s3cret" }, "no public key is given"],
  [
    "without a secret for it",
    { signature_type: "hmac-sha256" },
    { publicKey },
    "no secret is given",
  ],
  ["with an empty secret", { signature_type: "hmac-sha256" }, { hmacSecret: "" }, "no secret"],
  ["under a key of small order", {}, { publicKey: `AQ${"A".repeat(41)}=` }, "no Ed25519 key"],
  ["under a key that is none", {}, { publicKey: "-----BEGIN nothing" }, "neither base64 nor PEM"],
  ["without artifacts", { artifacts: undefined }, keys, "no list"],
  ["with an artifact without a hash", { artifacts: [{ path: "x" }] }, keys, "no sha256"],
];

test.each(bad)("a manifest %s is refused", (_name, change, given, why) => {
  const text = JSON.stringify({ ...golden, ...change });
  expect(() => verifyManifest(text, "m.json", given)).toThrow(why);
});

test("a manifest that is no JSON, or whose YAML refers to itself, is refused", () => {
  expect(() => verifyManifest("{", "m.json", keys)).toThrow("neither JSON nor YAML");
  expect(() => verifyManifest("a: &a [1]\nb: *a\n", "m.yml", keys)).toThrow(
    "neither JSON nor YAML",
  );
  expect(() => verifyManifest("[]", "m.json", keys)).toThrow("no object");
});

describe("a file is listed", () => {
  const entries = golden.artifacts;
  test("by its name, wherever it lies", () => checkListed(entries, "/app/models/a.pkl", a));
  test("or refused, with both hashes", () => {
    expect(() => checkListed(entries, "a.pkl", b)).toThrow(a);
    expect(() => checkListed(entries, "c.pkl", a)).toThrow("does not list c.pkl");
    expect(() => checkListed(entries, "xa.pkl", a)).toThrow("does not list");
  });
});

describe("the predecessor's variables", () => {
  const file = new Uint8Array([1, 2, 3]);
  const hash = sha256Hex(file);
  const manifest = join(temp, "manifest.json");
  writeFileSync(manifest, JSON.stringify(golden));
  const trust = (env: Record<string, string>) => () =>
    checkTrust("a.pkl", file, toImportTrust(env));

  test("none: taken, and called unsigned", () => expect(trust({})()).toBe("unsigned"));
  test.each(["LLMROUTER_ENFORCE_SIGNED_MODELS", "LLMROUTER_STRICT_PICKLE_MODE"])("%s", (name) => {
    expect(trust({ [name]: "true" })).toThrow(`LLMROUTER_PICKLE_ALLOWLIST=${hash}`);
  });
  test("a list of hashes lets a file in", () => {
    const env = {
      LLMROUTER_ENFORCE_SIGNED_MODELS: "true",
      LLMROUTER_PICKLE_ALLOWLIST: `x, ${hash}`,
    };
    expect(trust(env)()).toBe("listed by its hash");
  });
  test("a manifest is read wherever one is named, and its word holds", () => {
    const env = { LLMROUTER_MODEL_MANIFEST_PATH: manifest };
    expect(trust(env)).toThrow("no public key");
    expect(trust({ ...env, LLMROUTER_MODEL_PUBLIC_KEY_B64: publicKey })).toThrow("is not the file");
    const keyFile = join(temp, "key.pem");
    writeFileSync(keyFile, String(pem));
    expect(trust({ ...env, LLMROUTER_MODEL_PUBLIC_KEY_PATH: keyFile })).toThrow("is not the file");
    expect(trust({ LLMROUTER_MODEL_MANIFEST_PATH: join(temp, "no.json") })).toThrow(
      "cannot be read",
    );
  });
});
