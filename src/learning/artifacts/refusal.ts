/** Why an artifact is not taken: the codes of the artifact contract, each with what to do about it. */
import { GatewayError } from "../../domain/errors.ts";

export const refusalRemedies = {
  canonical: "The file is not canonical JSON: it was edited or re-formatted. Publish it again.",
  type: "A field is missing or of another kind than the format asks for. Sign and publish again.",
  spec: "The file or a key follows a format that this version does not know. Update RouteIQ, or sign with a matching version.",
  number: "A number is not a safe whole number in its range; fractions are written as strings.",
  threshold: "Too few valid signatures. Sign with the keys that the root names for this role.",
  keyid_mismatch:
    "A key's id is not the hash of the key. Make the root again with `routeiq models keygen`.",
  rollback:
    "The repository offers something older than what was already seen or allowed. Publish a higher version; `routeiq models rollback` re-publishes old content that way.",
  equivocation:
    "Two different files carry one version number. Find out who published twice, then publish a higher version.",
  expired:
    "Publish again: `routeiq models publish` renews the timestamp; a root or release is signed anew with a later expiry.",
  clock: "This machine's clock is behind the time of the last update. Set the clock (NTP).",
  version_jump:
    "A version number leaps by more than 1,000,000. Rotate the role's key in a new root to reset its counter.",
  version_mismatch:
    "A file does not carry the version it is stored or announced under. Publish again.",
  length:
    "A file is longer or shorter than announced: an interrupted or altered upload. Publish again.",
  hash: "A file's bytes are not those that were signed. Publish again, and find out who altered them.",
  too_large:
    "A file is over its limit: timestamp 16 KiB, root and release 1 MiB, all files 256 MiB, 1,024 roots.",
  fetch:
    "The repository or one of its files cannot be read. Check address, credentials and network.",
  path: "A file's path is not allowed: ASCII words joined by `/`, unique without regard to case.",
  format: "An artifact holds data only: JSON, safetensors, or ONNX with standard operators.",
  runtime:
    "The artifact was made for another runtime. Train again with this version, or update RouteIQ.",
  name: "The repository holds a router of another name. Set `model_name` (or --name) to match.",
  revoked: "This release was revoked by its owners. Publish another one.",
  state:
    "The state file cannot be read. Restore it, or delete it only if you are sure that the repository is honest: the protection against old versions starts anew.",
  self_test:
    "The router does not compute what its trainer computed. Train again with this version.",
} as const;

export type RefusalCode = keyof typeof refusalRemedies;

export class ArtifactRefusal extends GatewayError {
  readonly refusal: RefusalCode;
  readonly remedy: string;

  constructor(refusal: RefusalCode, message: string, options: ErrorOptions = {}) {
    super("artifact_refused", message, options);
    this.name = "ArtifactRefusal";
    this.refusal = refusal;
    this.remedy = refusalRemedies[refusal];
  }
}

export function refuse(code: RefusalCode, message: string, cause?: unknown): never {
  throw new ArtifactRefusal(code, message, cause === undefined ? {} : { cause });
}
