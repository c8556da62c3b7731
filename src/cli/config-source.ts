/** Where a command's configuration is read from: this machine's files, a bucket on S3 or Google's. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { checkConfig } from "../config/check/check.ts";
import { readTextFile } from "../config/files.ts";
import { type Loaded, loadConfig } from "../config/load.ts";
import {
  type CopyStore,
  createRemoteTexts,
  isRemote,
  type ReadObject,
  type RemoteTexts,
} from "../config/remote.ts";
import { GatewayError } from "../domain/errors.ts";
import { toS3Settings } from "../learning/artifacts/open-repository.ts";
import { secretStores } from "../providers/secret-stores/registry.ts";
import { readIdentityToken } from "../providers/signers/identity-token.ts";
import { createTokenSource } from "../providers/signers/tokens.ts";
import { knownNames } from "../routing/known-names.ts";
import { createOutbound, type Outbound } from "../security/outbound.ts";
import { systemClock } from "../std/clock.ts";
import { writeFileAtomic } from "../storage/file/atomic-write.ts";
import { createGcsReader } from "../storage/gcs/object.ts";
import { createS3ObjectStore } from "../storage/s3/object-store.ts";
import type { CommandContext } from "./command.ts";

export interface ConfigSource {
  /** Read, decoded and checked, as `serve` would. Never rejects. */
  load(): Promise<Loaded>;
  readonly remote: RemoteTexts;
  /** What the last load looked at. */
  reads(): readonly string[];
  /** When a bucket last had something new. Milliseconds since the epoch. */
  syncedAtMs(): number | undefined;
}

/** `dataDir`: where copies of what came from a bucket are kept; without it there are none. */
export function createConfigSource(
  named: unknown,
  env: CommandContext["env"],
  dataDir?: string,
): ConfigSource {
  const remote = createRemoteTexts(
    createReadObject(env),
    dataDir === undefined ? undefined : createCopies(join(dataDir, "config")),
  );
  let reads: readonly string[] = [];
  let syncedAtMs: number | undefined;
  return {
    remote,
    reads: () => reads,
    syncedAtMs: () => syncedAtMs,
    async load() {
      const { news } = remote;
      const loaded = await loadConfig({
        path: typeof named === "string" ? named : undefined,
        cwd: process.cwd(),
        env,
        readText: (path) => (isRemote(path) ? remote.read(path) : readTextFile(path)),
        openSecretStore: (settings) =>
          secretStores[settings.system](settings, {
            env: settings.env,
            outbound: createOutbound({}),
            clock: systemClock,
            readText: (path) => Bun.file(path).text(),
          }),
        readOidc: (reference, of) =>
          readIdentityToken(reference, {
            env: of,
            outbound: createOutbound({}),
            clock: systemClock,
            readText: (path) => Bun.file(path).text(),
          }),
      });
      ({ reads } = loaded);
      if (remote.news > news) syncedAtMs = systemClock.now();
      return checkConfig(loaded, { known: knownNames, exists: existsSync });
    },
  };
}

/** Neither SDK nor client is loaded before a bucket is named. */
function createReadObject(env: CommandContext["env"]): ReadObject {
  let outbound: Outbound | undefined;
  return async (url, options) => {
    outbound ??= createOutbound({});
    if (url.startsWith("gs://")) {
      return await createGcsReader(outbound, googleToken(outbound, env))(url, options);
    }
    const slash = url.indexOf("/", "s3://".length);
    if (slash < 0)
      throw new GatewayError("config_invalid", `"${url}" names a bucket and no object.`);
    const store = createS3ObjectStore({
      url: url.slice(0, slash),
      outbound,
      clock: systemClock,
      ...toS3Settings(env),
    });
    try {
      return await store.get(url.slice(slash + 1), options);
    } finally {
      store.close();
    }
  };
}

function googleToken(outbound: Outbound, env: CommandContext["env"]) {
  const readText = (path: string) => Bun.file(path).text();
  const tokens = createTokenSource({ outbound, clock: systemClock, readText });
  const credentials = env["GOOGLE_APPLICATION_CREDENTIALS"] || gcloudLogin(env);
  return (signal: AbortSignal) => tokens.get({ kind: "google", credentials }, signal);
}

/** Where `gcloud auth application-default login` leaves a person's login. */
const gcloudLogin = (env: CommandContext["env"]) =>
  join(env["HOME"] ?? "/", ".config/gcloud/application_default_credentials.json");

/** They may hold secrets, so that nobody else reads them. A copy that cannot be written is done without. */
function createCopies(folder: string): CopyStore {
  return {
    async read(name) {
      const file = Bun.file(join(folder, name));
      return (await file.exists()) ? file.text() : undefined;
    },
    async write(name, text) {
      if ((await this.read(name)) === text) return;
      await writeFileAtomic(join(folder, name), new TextEncoder().encode(text), { mode: 0o600 });
    },
  };
}
