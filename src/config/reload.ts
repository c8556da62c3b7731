/** Takes a changed configuration into service whole, or keeps the last good one. */
import { toGatewayError } from "../domain/errors.ts";
import type { Clock } from "../std/clock.ts";
import type { Config, Finding } from "./config.ts";
import type { Loaded } from "./load.ts";

export interface ReloadStatus {
  /** Reloads that were taken into service. */
  readonly count: number;
  /** Milliseconds since the epoch of the last try; undefined before the first. */
  readonly lastAtMs?: number;
  readonly lastOutcome?: "applied" | "refused";
  /** Of the last try; the loading at start counts as one. */
  readonly findings: readonly Finding[];
  /** Why the last try was refused where no finding says it. */
  readonly error?: string;
}

export interface ConfigReloader {
  current(): Config;
  status(): ReloadStatus;
  /** Loads, checks, hands over. Tries run one after another; calls during one share the next. */
  reload(): Promise<ReloadStatus>;
}

export interface ReloadOptions {
  readonly initial: { readonly config: Config; readonly findings: readonly Finding[] };
  /** Load and check: no config where it is refused. */
  readonly load: () => Promise<Pick<Loaded, "config" | "findings">>;
  /** Takes it into service. Throws, having changed nothing, where it cannot. */
  readonly apply: (config: Config) => Promise<void> | void;
  readonly clock: Clock;
}

export function createConfigReloader({
  initial,
  load,
  apply,
  clock,
}: ReloadOptions): ConfigReloader {
  let current = initial.config;
  let status: ReloadStatus = { count: 0, findings: initial.findings };
  let running: Promise<ReloadStatus> | undefined;
  let waiting: Promise<ReloadStatus> | undefined;

  const refuse = (findings: readonly Finding[], error?: string) => {
    const { count } = status;
    status = {
      count,
      lastAtMs: clock.now(),
      lastOutcome: "refused",
      findings,
      ...(error ? { error } : {}),
    };
    return status;
  };
  const attempt = async (): Promise<ReloadStatus> => {
    let findings: readonly Finding[] = [];
    try {
      const loaded = await load();
      findings = loaded.findings;
      if (!loaded.config) return refuse(findings);
      await apply(loaded.config);
      findings = [...findings, ...restartFindings(current, loaded.config)];
      current = loaded.config;
      status = { count: status.count + 1, lastAtMs: clock.now(), lastOutcome: "applied", findings };
      return status;
    } catch (thrown) {
      return refuse(findings, toGatewayError(thrown).message);
    }
  };
  const run = (): Promise<ReloadStatus> => {
    running = attempt().finally(() => {
      running = undefined;
    });
    return running;
  };

  return {
    current: () => current,
    status: () => status,
    reload() {
      if (!running) return run();
      // One that began before this call may have read the old file: a second look is owed, once.
      waiting ??= running.then(() => {
        waiting = undefined;
        return run();
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
  responses: ({ responses: { maxRows, maxAgeDays, maxBytes } }) => [maxRows, maxAgeDays, maxBytes],
  embedding: ({ embedding }) => embedding,
  outbound: ({ outbound }) => outbound,
  upstream_protocol: ({ upstreamProtocol }) => upstreamProtocol,
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
