/** `routeiq models sign`: a trained folder gets its version, its times and a signature. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { sha256Hex } from "../../learning/artifacts/canonical.ts";
import { readArtifactFolder, signedName } from "../../learning/artifacts/folder.ts";
import { parseEnvelope, toRelease } from "../../learning/artifacts/format.ts";
import { type RoleKey, readRootFile } from "../../learning/artifacts/keys.ts";
import { nextReleaseVersion } from "../../learning/artifacts/publish.ts";
import { addSignatures, signRelease } from "../../learning/artifacts/sign.ts";
import { formatTime } from "../../learning/artifacts/time.ts";
import { systemClock } from "../../std/clock.ts";
import { writeFileAtomic } from "../../storage/file/atomic-write.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import {
  countFrom,
  expiresFlag,
  keyFlag,
  keysFrom,
  releaseExpires,
  reportRefusal,
  textFrom,
  whenFrom,
  withRepository,
} from "./repository.ts";

export const signCommand = defineCommand({
  name: "models sign",
  summary: "Sign a trained folder, or add a signature to one, or to a root.",
  args: { folder: "what `routeiq train --out` wrote, or a root file" },
  flags: {
    key: keyFlag,
    version: { description: "Number of the release, higher than any before it.", value: "N" },
    repository: {
      description: "Take the number after the last one there (without either: 1).",
      value: "REPOSITORY",
    },
    expires: expiresFlag,
    name: { description: "Name of the router, where it differs.", value: "NAME" },
    force: { description: "Record that the gate is overridden, so that publish lets it pass." },
  },
  example: "routeiq models sign ./router --key keys --repository s3://models/router",
  run: (context) =>
    reportRefusal(context, async () => {
      const path = context.args[0] ?? "";
      const found = await stat(path).catch(() => undefined); // reading it says what is wrong
      if (found?.isFile()) return await signRoot(path, context);
      return await signFolder(path, context);
    }),
});

async function signRoot(path: string, context: CommandContext): Promise<number> {
  const envelope = parseEnvelope(await readRootFile(path), "root", path);
  const keys = (await keysFrom(context)).filter(({ role }) => role === "root");
  const bytes = addSignatures(envelope, keys);
  await writeFileAtomic(path, bytes);
  context.out.line(`signed ${path} with ${keys.length} root key(s)`);
  context.out.json({ ok: true, file: path, sha256: sha256Hex(bytes), signatures: keys.length });
  return 0;
}

async function signFolder(path: string, context: CommandContext): Promise<number> {
  const { flags, out } = context;
  const keys = (await keysFrom(context)).filter(({ role }) => role === "release");
  const bytes = await signedBytes(path, keys, context);
  const file = join(path, signedName);
  await writeFileAtomic(file, bytes);
  const envelope = parseEnvelope(bytes, "release", file);
  const release = toRelease(envelope);
  const expires = formatTime(release.expiresMs);
  const count = envelope.signatures.length;
  out.line(`signed ${release.name} ${release.version}, ${count} signature(s), until ${expires}`);
  out.json({
    ok: true,
    file,
    name: release.name,
    version: release.version,
    expires,
    sha256: envelope.sha256,
    signatures: count,
    forced: flags["force"] === true,
  });
  return 0;
}

/** Signs anew, or, where a signed release lies there and no number is given, adds to it. */
async function signedBytes(
  path: string,
  keys: readonly RoleKey[],
  context: CommandContext,
): Promise<Uint8Array> {
  const { flags } = context;
  const folder = await readArtifactFolder(path);
  const repository = textFrom(flags["repository"]);
  if (folder.signed && flags["version"] === undefined && repository === undefined) {
    return addSignatures(parseEnvelope(folder.signed, "release", signedName), keys);
  }
  const nowMs = systemClock.now();
  const name = textFrom(flags["name"]);
  return signRelease({
    folder,
    keys,
    version: repository
      ? await withRepository(repository, context, nextReleaseVersion)
      : countFrom(flags["version"], 1, "version"),
    nowMs,
    expiresMs: whenFrom(flags["expires"], releaseExpires, nowMs, "expires"),
    ...(name === undefined ? {} : { name }),
    ...(flags["force"] === true ? { forced: "by hand, when it was signed" } : {}),
  });
}
