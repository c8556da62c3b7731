/** `routeiq models publish`: a signed release goes into force, or the timestamp is renewed. */
import { type ArtifactFolder, readArtifactFolder } from "../../learning/artifacts/folder.ts";
import type { RoleKey } from "../../learning/artifacts/keys.ts";
import {
  nextReleaseVersion,
  type Published,
  publishRelease,
  refreshTimestamp,
} from "../../learning/artifacts/publish.ts";
import { signRelease } from "../../learning/artifacts/sign.ts";
import { formatTime } from "../../learning/artifacts/time.ts";
import { systemClock } from "../../std/clock.ts";
import type { ObjectStore } from "../../storage/object-store.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { UsageError } from "../parse.ts";
import {
  expiresFlag,
  keyFlag,
  keysFrom,
  releaseExpires,
  reportRefusal,
  rootFlag,
  rootsFrom,
  textFrom,
  timestampExpires,
  timestampExpiresFlag,
  whenFrom,
  withRepository,
} from "./repository.ts";

export const publishCommand = defineCommand({
  name: "models publish",
  summary:
    "Put a release in force: files first, the pointer last. With --refresh, the pointer only.",
  args: {
    folder: "the signed folder (signed on the way where the release keys are at hand)",
    "[repository]": "folder, file:///… or s3://bucket/prefix; with --refresh the only argument",
  },
  flags: {
    key: keyFlag,
    root: rootFlag,
    refresh: { description: "Renew the timestamp (and bring new roots) without a new release." },
    force: { description: "Publish although the gate refuses; this is recorded." },
    expires: expiresFlag,
    "timestamp-expires": timestampExpiresFlag,
    name: { description: "Name of the router, where it differs.", value: "NAME" },
  },
  example: "routeiq models publish ./router s3://models/router --key keys",
  run: (context) =>
    reportRefusal(context, async () => {
      const { args, flags } = context;
      const refresh = flags["refresh"] === true;
      if (args.length !== (refresh ? 1 : 2)) {
        throw new UsageError(
          refresh ? "--refresh takes the repository alone." : '"models publish" needs repository.',
        );
      }
      return await withRepository(args.at(-1) ?? "", context, async (store) => {
        const published = refresh
          ? await refreshTimestamp(await targetFrom(store, context))
          : await publishFolder(args[0] ?? "", store, context);
        reportPublished(published, store, context);
        return 0;
      });
    }),
});

/** What every command that moves a timestamp needs. */
export async function targetFrom(store: ObjectStore, context: CommandContext) {
  const nowMs = systemClock.now();
  const when = context.flags["timestamp-expires"];
  return {
    store,
    keys: await keysFrom(context),
    roots: await rootsFrom(context),
    nowMs,
    timestampExpiresMs: whenFrom(when, timestampExpires, nowMs, "timestamp-expires"),
  };
}

async function publishFolder(
  path: string,
  store: ObjectStore,
  context: CommandContext,
): Promise<Published> {
  const target = await targetFrom(store, context);
  const folder = await readArtifactFolder(path);
  const release = folder.signed ?? (await signOnTheWay(folder, target.keys, store, context));
  const force = context.flags["force"] === true;
  return await publishRelease({ ...target, release, files: folder.files, force });
}

async function signOnTheWay(
  folder: ArtifactFolder,
  keys: readonly RoleKey[],
  store: ObjectStore,
  { flags }: CommandContext,
): Promise<Uint8Array> {
  const nowMs = systemClock.now();
  const name = textFrom(flags["name"]);
  return signRelease({
    folder,
    keys: keys.filter(({ role }) => role === "release"),
    version: await nextReleaseVersion(store),
    nowMs,
    expiresMs: whenFrom(flags["expires"], releaseExpires, nowMs, "expires"),
    ...(name === undefined ? {} : { name }),
    ...(flags["force"] === true ? { forced: "by hand, when it was published" } : {}),
  });
}

export function reportPublished(
  published: Published,
  store: ObjectStore,
  { out }: CommandContext,
): void {
  const { version, timestampVersion, sha256, gate } = published;
  const until = formatTime(published.timestampExpiresMs);
  if (gate) out.line(`gate   ${gate.passed ? "passed" : "overridden"}: ${gate.reason}`);
  out.line(
    `active release ${version} at ${store.url}, timestamp ${timestampVersion} until ${until}`,
  );
  out.line(`Before then: routeiq models publish --refresh ${store.url} --key …`);
  out.json({
    ok: true,
    repository: store.url,
    active: version,
    sha256,
    timestamp: { version: timestampVersion, expires: until },
    gate: gate ?? null,
  });
}
