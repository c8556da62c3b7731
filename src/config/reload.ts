/** Takes a changed configuration into service whole, or keeps the last good one. */
import { toGatewayError } from "../domain/errors.ts";
import type { Clock } from "../std/clock.ts";
import type { Config } from "./config.ts";
import type { Finding } from "./finding.ts";
import type { Loaded } from "./load.ts";
import type { RemoteStatus } from "./remote.ts";

/** Who asked for a reload. */
export type ReloadCause = "api" | "signal" | "file" | "bucket";

/** How changes are noticed, and how that stands. */
export interface SyncStatus {
  readonly watching: boolean;
  readonly intervalS: number;
  /** Undefined where buckets are not asked by themselves. */
  readonly remoteIntervalS?: number;
  readonly remote: readonly RemoteStatus[];
  /** When a bucket last had something new, ms since the epoch. */
  readonly syncedAtMs?: number;
}

export interface ReloadStatus {
  /** Reloads that were taken into service. */
  readonly count: number;
  /** Milliseconds since the epoch of the last try; undefined before the first. */
  readonly lastAtMs?: number;
  readonly lastOutcome?: "applied" | "refused";
  readonly lastCause?: ReloadCause;
  /** Of the last try; the loading at start counts as one. */
  readonly findings: readonly Finding[];
  /** Why the last try was refused where no finding says it. */
  readonly error?: string;
}

export interface ConfigReloader {
  current(): Config;
  status(): ReloadStatus;
  /** Loads, checks, hands over. Tries run one after another; calls during one share the next. */
  reload(cause: ReloadCause): Promise<ReloadStatus>;
}

export interface ReloadOptions {
  readonly initial: { readonly config: Config; readonly findings: readonly Finding[] };
  /** Load and check: no config where it is refused. */
  readonly load: () => Promise<Pick<Loaded, "config" | "findings">>;
  /** Takes it into service. Throws, having changed nothing, where it cannot. */
  readonly apply: (config: Config) => Promise<void> | void;
  /** Told after every try. */
  readonly onReload?: (status: ReloadStatus) => void;
  readonly clock: Clock;
}

export function createConfigReloader({
  initial,
  load,
  apply,
  onReload = () => undefined,
  clock,
}: ReloadOptions): ConfigReloader {
  let current = initial.config;
  let status: ReloadStatus = { count: 0, findings: initial.findings };
  let running: Promise<ReloadStatus> | undefined;
  let waiting: Promise<ReloadStatus> | undefined;

  const refuse = (lastCause: ReloadCause, findings: readonly Finding[], error?: string) => {
    const { count } = status;
    status = {
      count,
      lastAtMs: clock.now(),
      lastOutcome: "refused",
      lastCause,
      findings,
      ...(error ? { error } : {}),
    };
    return status;
  };
  const attempt = async (lastCause: ReloadCause): Promise<ReloadStatus> => {
    let findings: readonly Finding[] = [];
    try {
      const loaded = await load();
      findings = loaded.findings;
      if (!loaded.config) return refuse(lastCause, findings);
      if (current.origin === "file" && loaded.config.origin !== "file") {
        return refuse(lastCause, findings, `${current.files[0] ?? "the file"} is gone`);
      }
      await apply(loaded.config);
      findings = [...findings, ...restartFindings(current, loaded.config)];
      current = loaded.config;
      const count = status.count + 1;
      status = { count, lastAtMs: clock.now(), lastOutcome: "applied", lastCause, findings };
      return status;
    } catch (thrown) {
      return refuse(lastCause, findings, toGatewayError(thrown).message);
    }
  };
  const run = (cause: ReloadCause): Promise<ReloadStatus> => {
    running = attempt(cause)
      .then((ended) => {
        onReload(ended);
        return ended;
      })
      .finally(() => {
        running = undefined;
      });
    return running;
  };

  return {
    current: () => current,
    status: () => status,
    reload(cause) {
      if (!running) return run(cause);
      // One that began before this call may have read the old file: a second look is owed, once.
      waiting ??= running.then(() => {
        waiting = undefined;
        return run(cause);
      });
      return waiting;
    },
  };
}

/** Settings that are read once, when the process starts. */
const readAtStart: Readonly<Record<string, (settings: Config["routeiq"]) => unknown>> = {
  "telemetry.events": ({ telemetry }) => telemetry.events,
  "telemetry.otlp_endpoint": ({ telemetry }) => telemetry.otlpEndpoint,
  "telemetry.otlp_headers": ({ telemetry }) => telemetry.otlpHeaders,
  "telemetry.service_name": ({ telemetry }) => telemetry.serviceName,
  "telemetry.retention": ({ telemetry }) => telemetry.retention,
  "telemetry.export": ({ telemetry }) => telemetry.export,
  responses: ({ responses: { maxRows, maxAgeDays, maxBytes } }) => [maxRows, maxAgeDays, maxBytes],
  embedding: ({ embedding }) => embedding,
  outbound: ({ outbound }) => outbound,
  reload: ({ reload }) => reload,
  upstream_protocol: ({ upstreamProtocol }) => upstreamProtocol,
  http_client: ({ httpClient }) => httpClient,
  upstream_idle_ms: ({ upstreamIdleMs }) => upstreamIdleMs,
};

/** A change that a reload cannot take into service is told, not passed over. */
function restartFindings(before: Config, after: Config): Finding[] {
  const same = (pick: (settings: Config["routeiq"]) => unknown) =>
    JSON.stringify(pick(before.routeiq)) === JSON.stringify(pick(after.routeiq));
  return Object.entries(readAtStart)
    .filter(([, pick]) => !same(pick))
    .map(([path]) => ({
      level: "warning",
      file: after.files[0] ?? "environment",
      line: 0,
      path: `routeiq_settings.${path}`,
      message: "the change is not in force: this is read when the gateway starts",
      remedy: "Start the gateway again.",
    }));
}
