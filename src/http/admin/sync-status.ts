/** `GET /config/status`, and the predecessor's `/config/sync/status`: how the configuration is kept. */
import type { ConfigReloader, SyncStatus } from "../../config/reload.ts";
import type { RemoteStatus } from "../../config/remote.ts";
import type { Services } from "../../pipeline/services.ts";
import type { Route } from "../route.ts";

export interface SyncStatusParts {
  readonly reloader: ConfigReloader;
  readonly sync?: (() => SyncStatus) | undefined;
}

export function syncStatusRoutes(parts: SyncStatusParts): readonly Route[] {
  return [
    {
      method: "GET",
      path: "/config/status",
      who: "admin",
      errors: "detail",
      summary:
        "Where the configuration comes from, how changes are noticed, how the last one went.",
      handle: (_request, { services }) => Response.json(describe(services, parts)),
    },
    {
      method: "GET",
      path: "/config/sync/status",
      who: "caller-or-admin",
      errors: "detail",
      summary: "The predecessor's form of it.",
      handle: (_request, { services }) => Response.json(describeSync(services, parts)),
    },
  ];
}

const timeOf = (ms: number | undefined) => (ms === undefined ? null : new Date(ms).toISOString());

function describe({ config }: Services, { reloader, sync }: SyncStatusParts) {
  const { count, lastAtMs, lastOutcome, lastCause, findings, error } = reloader.status();
  const seen = sync?.();
  return {
    status: lastOutcome === "refused" ? "degraded" : "healthy",
    origin: config.origin,
    files: config.files,
    reload_count: count,
    last_reload_at: timeOf(lastAtMs),
    last_outcome: lastOutcome ?? null,
    last_cause: lastCause ?? null,
    error: error ?? null,
    findings,
    watch: {
      files: seen?.watching ?? false,
      interval_seconds: seen?.intervalS ?? null,
      remote_interval_seconds: seen?.remoteIntervalS ?? null,
    },
    remote: seen?.remote ?? [],
    last_sync_at: timeOf(seen?.syncedAtMs),
  };
}

function describeSync({ config }: Services, { reloader, sync }: SyncStatusParts) {
  const seen = sync?.();
  const { count } = reloader.status();
  const remote = seen?.remote ?? [];
  const [file] = config.files;
  return {
    enabled: remote.length > 0 && seen?.remoteIntervalS !== undefined,
    hot_reload_enabled: seen?.watching ?? false,
    sync_interval_seconds: seen?.remoteIntervalS ?? null,
    s3: bucketOf(remote, "s3://"),
    gcs: bucketOf(remote, "gs://"),
    local_config_path: file !== undefined && !file.includes("://") ? file : null,
    reload_count: count,
    last_sync_time: timeOf(seen?.syncedAtMs),
    running: (seen?.watching ?? false) || remote.length > 0,
    ha_mode: "single",
    leader_election: { enabled: false, is_leader: true, skipped_sync_count: 0 },
  };
}

function bucketOf(remote: readonly RemoteStatus[], scheme: string) {
  const found = remote.find(({ url }) => url.startsWith(scheme));
  if (!found) return null;
  const [bucket = "", ...key] = found.url.slice(scheme.length).split("/");
  return { enabled: true, bucket, key: key.join("/"), last_etag: found.etag ?? null };
}
