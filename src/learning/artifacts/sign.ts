/** Signatures on a release, a timestamp, a root: the publisher's half of the artifact contract. */
import type { JsonObject } from "../../domain/json.ts";
import { type SigningKey, sign } from "../../security/signing.ts";
import { canonicalBytes } from "./canonical.ts";
import { type ArtifactFolder, assertUnsigned } from "./folder.ts";
import { keyidOf, type Signature, signedMessage } from "./format.ts";
import { formatTime } from "./time.ts";

export interface Signable {
  readonly signed: JsonObject;
  readonly signatures: readonly Signature[];
}

/** The file with the keys' signatures added; a key that signed before signs anew. */
export function addSignatures(file: Signable, keys: readonly SigningKey[]): Uint8Array {
  const message = signedMessage(file.signed);
  const added = keys.map((key) => ({
    keyid: keyidOf(key.public),
    sig: sign(key.seed, message),
  }));
  const fresh = new Set(added.map(({ keyid }) => keyid));
  const kept = file.signatures
    .filter(({ keyid }) => !fresh.has(keyid))
    .map(({ keyid, sig }) => ({ keyid, sig }));
  const signatures = [...kept, ...added].sort((a, b) => (a.keyid < b.keyid ? -1 : 1));
  return canonicalBytes({ signatures, signed: file.signed });
}

export interface SignReleaseOptions {
  /** What `routeiq train --out` wrote, read by `readArtifactFolder`. */
  readonly folder: ArtifactFolder;
  readonly keys: readonly SigningKey[];
  /** One more than any release before it: `nextReleaseVersion(store)`. */
  readonly version: number;
  readonly nowMs: number;
  readonly expiresMs: number;
  /** Router name where it differs from the folder's. */
  readonly name?: string;
  /** Why the gate is overridden; recorded in `provenance.forced`. */
  readonly forced?: string;
}

/**
 * The signed release of a trained folder: `created`, `expires` and `version` are added here, so
 * that training itself has no times in it. Hand the bytes to `publishRelease`.
 */
export function signRelease(options: SignReleaseOptions): Uint8Array {
  const { folder, keys, version, nowMs, expiresMs, name, forced } = options;
  assertUnsigned(folder.release);
  const provenance = folder.release["provenance"] as JsonObject | undefined;
  const signed: JsonObject = {
    ...folder.release,
    ...(name === undefined ? {} : { name }),
    version,
    created: formatTime(nowMs),
    expires: formatTime(expiresMs),
    ...(forced === undefined ? {} : { provenance: { ...provenance, forced } }),
  };
  return addSignatures({ signed, signatures: [] }, keys);
}
