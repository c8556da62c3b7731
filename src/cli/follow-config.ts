/** Keeps a running gateway's configuration as it is written: files watched, buckets asked. */
import type { Config } from "../config/config.ts";
import type { ConfigReloader, SyncStatus } from "../config/reload.ts";
import { isRemote } from "../config/remote.ts";
import { type FileWatch, watchFiles } from "../config/watch.ts";
import type { Clock } from "../std/clock.ts";
import type { ConfigSource } from "./config-source.ts";

export interface ConfigFollower {
  /** Whatever is there now is known, as it is about to be read. */
  settle(): Promise<void>;
  status(): SyncStatus;
  start(reloader: ConfigReloader): void;
  close(): void;
}

export function createConfigFollower(
  source: ConfigSource,
  settings: Config["routeiq"]["reload"],
  clock: Clock,
): ConfigFollower {
  const { watch, intervalMs, remoteIntervalMs } = settings;
  let files: FileWatch | undefined;
  let cancel: () => void = () => undefined;
  let closed = false;

  function askLater(reloader: ConfigReloader, afterMs: number): void {
    cancel = clock.after(afterMs, async () => {
      if (await source.remote.look()) await reloader.reload("bucket");
      if (!closed) askLater(reloader, afterMs);
    });
  }

  return {
    async settle() {
      await files?.settle();
    },
    status: () => ({
      watching: watch,
      intervalS: intervalMs / 1000,
      ...(remoteIntervalMs === undefined ? {} : { remoteIntervalS: remoteIntervalMs / 1000 }),
      remote: source.remote.status(),
      ...(source.syncedAtMs() === undefined ? {} : { syncedAtMs: source.syncedAtMs() ?? 0 }),
    }),
    start(reloader) {
      if (watch) {
        files = watchFiles({
          paths: () => source.reads().filter((path) => !isRemote(path)),
          intervalMs,
          clock,
          onChange: async () => void (await reloader.reload("file")),
        });
      }
      const hasRemote = source.reads().some(isRemote);
      if (hasRemote && remoteIntervalMs !== undefined) askLater(reloader, remoteIntervalMs);
    },
    close() {
      closed = true;
      cancel();
      files?.close();
    },
  };
}
