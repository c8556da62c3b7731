/**
 * The predecessor's manifest of model files: their hashes, signed by Ed25519 or HMAC-SHA-256 over
 * `{version, artifacts: [{path, sha256}], created_at?, description?}` as Python's json.dumps writes it
 * with sorted keys, no white space, and everything beyond ASCII escaped.
 */
import { createHmac, createPublicKey, timingSafeEqual } from "node:crypto";
import { parse as parseYaml } from "yaml";
import { isObject, type Json, type JsonObject } from "../../domain/json.ts";
import { isSoundPublicKey, verifySignature } from "../../security/signing.ts";
import { refuseImport } from "./values.ts";

export interface ManifestKeys {
  /** Base64 of 32 bytes, or PEM. */
  readonly publicKey?: string;
  readonly hmacSecret?: string;
}

export interface ManifestEntry {
  readonly path: string;
  readonly sha256: string;
}

const maxEntries = 10_000;

/**
 * The entries of a manifest whose signature is good.
 * @throws GatewayError artifact_refused: unsigned, of an unknown kind, badly signed, malformed
 */
export function verifyManifest(
  text: string,
  path: string,
  keys: ManifestKeys,
): readonly ManifestEntry[] {
  const manifest = parse(text, path);
  const entries = toEntries(manifest["artifacts"]);
  const message = Buffer.from(signedText(manifest, entries));
  const type = manifest["signature_type"];
  const signature = manifest["signature"];
  if (type !== "ed25519" && type !== "hmac-sha256") {
    return refuseImport(
      `the manifest's signature_type is ${JSON.stringify(type ?? null)}; only ed25519 and ` +
        "hmac-sha256 are signatures",
    );
  }
  if (typeof signature !== "string") return refuseImport("the manifest has no signature");
  const bytes = Buffer.from(signature, "base64");
  const good = type === "ed25519" ? byKey(message, bytes, keys) : bySecret(message, bytes, keys);
  return good ? entries : refuseImport("the manifest's signature is not good");
}

function byKey(message: Uint8Array, signature: Buffer, { publicKey }: ManifestKeys): boolean {
  if (publicKey === undefined) {
    return refuseImport(
      "the manifest is signed by Ed25519, and no public key is given: --public-key, or " +
        "LLMROUTER_MODEL_PUBLIC_KEY_PATH or LLMROUTER_MODEL_PUBLIC_KEY_B64",
    );
  }
  return verifySignature(toRawKey(publicKey), signature.toString("hex"), message);
}

/** 32 bytes as hex. */
function toRawKey(text: string): string {
  let hex: string;
  try {
    hex = text.includes("-----BEGIN")
      ? Buffer.from(
          String(createPublicKey(text).export({ format: "jwk" }).x),
          "base64url",
        ).toString("hex")
      : Buffer.from(text.trim(), "base64").toString("hex");
  } catch (cause) {
    return refuseImport("the manifest's public key is neither base64 nor PEM", cause);
  }
  return isSoundPublicKey(hex) ? hex : refuseImport("the manifest's public key is no Ed25519 key");
}

function bySecret(message: Uint8Array, signature: Buffer, { hmacSecret }: ManifestKeys): boolean {
  if (hmacSecret === undefined || hmacSecret === "") {
    return refuseImport(
      "the manifest is signed by HMAC, and no secret is given: LLMROUTER_MODEL_HMAC_SECRET",
    );
  }
  const own = createHmac("sha256", hmacSecret).update(message).digest();
  return own.length === signature.length && timingSafeEqual(own, signature);
}

function parse(text: string, path: string): JsonObject {
  let value: unknown;
  try {
    value = /\.ya?ml$/i.test(path) ? parseYaml(text, { maxAliasCount: 0 }) : JSON.parse(text);
  } catch (cause) {
    return refuseImport(`the manifest ${path} is neither JSON nor YAML`, cause);
  }
  return isObject(value) ? value : refuseImport(`the manifest ${path} is no object`);
}

function toEntries(value: Json | undefined): readonly ManifestEntry[] {
  if (!Array.isArray(value) || value.length > maxEntries) {
    return refuseImport("the manifest has no list of artifacts, or a very long one");
  }
  return value.map((entry) => {
    const path = isObject(entry) ? entry["path"] : undefined;
    const sha256 = isObject(entry) ? entry["sha256"] : undefined;
    if (typeof path !== "string" || typeof sha256 !== "string") {
      return refuseImport("an artifact of the manifest has no path or no sha256");
    }
    return { path, sha256 };
  });
}

/** What is signed; tags, metadata and the kind of signature are not. */
export function signedText(manifest: JsonObject, entries: readonly ManifestEntry[]): string {
  const artifacts = [...entries]
    .sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)))
    .map(({ path, sha256 }) => ({ path, sha256 }));
  const { created_at: createdAt, description, version } = manifest;
  const text = JSON.stringify({
    artifacts,
    ...(createdAt ? { created_at: createdAt } : {}),
    ...(description ? { description } : {}),
    version: version ?? "1.0",
  });
  return text.replace(
    /[\x7f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/**
 * That the manifest lists a file of this name with this hash.
 * @throws GatewayError artifact_refused
 */
export function checkListed(entries: readonly ManifestEntry[], path: string, sha256: string): void {
  const nameOf = (text: string) => text.slice(text.lastIndexOf("/") + 1);
  const named = entries.filter((entry) => nameOf(entry.path) === nameOf(path));
  const [first] = named;
  if (!first) refuseImport(`the manifest does not list ${nameOf(path)}`);
  if (named.some((entry) => entry.sha256.toLowerCase() === sha256)) return;
  refuseImport(
    `${nameOf(path)} is not the file that was signed: its sha256 is ${sha256}, the manifest has ${first.sha256.slice(0, 64)}`,
  );
}
