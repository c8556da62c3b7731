/**
 * Which of the predecessor's files may be taken: by its manifest, by a list of hashes, or as they are.
 * Reading one runs nothing either way; this is about whose router decides.
 */
import { readFileSync, statSync } from "node:fs";
import { sha256Hex } from "../artifacts/canonical.ts";
import { checkListed, type ManifestKeys, verifyManifest } from "./manifest.ts";
import { refuseImport } from "./values.ts";

/** Plain data: it crosses threads. */
export interface ImportTrust extends ManifestKeys {
  /** A file, for want of `publicKey`. */
  readonly publicKeyPath?: string;
  /** A file. */
  readonly manifest?: string;
  /** A file without a manifest is refused. */
  readonly enforced: boolean;
  /** sha256 of files that need none. */
  readonly allowed: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

const isTrue = (text: string | undefined) => /^(true|1|yes|on)$/i.test(text ?? "");

/** `LLMROUTER_ALLOW_PICKLE_MODELS`. */
export const allowsPickles = (env: Environment): boolean =>
  isTrue(env["LLMROUTER_ALLOW_PICKLE_MODELS"]);

/**
 * The predecessor's variables. It asked for a manifest unless told not to, as its files ran; here they
 * do not, so that one is asked for where LLMROUTER_ENFORCE_SIGNED_MODELS or STRICT_PICKLE_MODE says.
 */
export function toImportTrust(env: Environment): ImportTrust {
  const manifest = env["LLMROUTER_MODEL_MANIFEST_PATH"];
  const publicKeyPath = env["LLMROUTER_MODEL_PUBLIC_KEY_PATH"];
  const publicKey = env["LLMROUTER_MODEL_PUBLIC_KEY_B64"];
  const hmacSecret = env["LLMROUTER_MODEL_HMAC_SECRET"];
  return {
    ...(manifest ? { manifest } : {}),
    ...(publicKey ? { publicKey } : publicKeyPath ? { publicKeyPath } : {}),
    ...(hmacSecret ? { hmacSecret } : {}),
    enforced:
      isTrue(env["LLMROUTER_ENFORCE_SIGNED_MODELS"]) || isTrue(env["LLMROUTER_STRICT_PICKLE_MODE"]),
    allowed: (env["LLMROUTER_PICKLE_ALLOWLIST"] ?? "")
      .split(",")
      .map((hash) => hash.trim().toLowerCase())
      .filter((hash) => hash !== ""),
  };
}

/**
 * How the file is trusted, for the log.
 * @throws GatewayError artifact_refused, with what would let it in
 */
export function checkTrust(path: string, bytes: Uint8Array, trust: ImportTrust): string {
  const sha256 = sha256Hex(bytes);
  if (trust.manifest !== undefined) {
    const { manifest, publicKeyPath } = trust;
    const keys = publicKeyPath ? { ...trust, publicKey: readSmall(publicKeyPath) } : trust;
    checkListed(verifyManifest(readSmall(manifest), manifest, keys), path, sha256);
    return "listed by the signed manifest";
  }
  if (trust.allowed.includes(sha256)) return "listed by its hash";
  if (trust.enforced) {
    refuseImport(
      "signed models are enforced and there is no manifest: set LLMROUTER_MODEL_MANIFEST_PATH, or " +
        `LLMROUTER_PICKLE_ALLOWLIST=${sha256}`,
    );
  }
  return "unsigned";
}

const smallBytes = 1 << 20;

export function readSmall(path: string): string {
  try {
    if (statSync(path).size > smallBytes) refuseImport(`${path} has more than ${smallBytes} bytes`);
    return readFileSync(path, "utf8");
  } catch (cause) {
    const known = cause instanceof Error && "code" in cause && typeof cause.code === "string";
    return refuseImport(known ? `${path} cannot be read` : String(cause), cause);
  }
}
