/**
 * What deployments last answered when asked for their health: by hand (`GET /health`) or in rounds
 * (`background_health_checks`). Kept in memory, the last ones only.
 */
import type { HealthRecord, HealthRecords } from "./health-records.ts";
import { probeAll } from "./probe.ts";
import type { Services } from "./services.ts";

export interface HealthWatch extends HealthRecords {
  /** Starts, stops or retimes the rounds as the configuration in force says. */
  follow(services: Services): void;
  close(): void;
}

export type HealthWatchOptions = Pick<Services, "clock" | "telemetry">;

const historyLimit = 1_000;

export function createHealthWatch({ clock, telemetry }: HealthWatchOptions): HealthWatch {
  let services: Services | undefined;
  const history: HealthRecord[] = [];
  const stop = new AbortController();
  let timer: { readonly everyMs: number; readonly cancel: () => void } | undefined;

  const watch: HealthWatch = {
    follow(next) {
      services = next;
      const everyMs = next.config.general.healthCheckIntervalMs;
      if (timer?.everyMs === everyMs) return;
      timer?.cancel();
      timer = everyMs === undefined ? undefined : { everyMs, cancel: startRounds(everyMs) };
    },
    record(results, by) {
      const atMs = clock.now();
      history.push(...results.map((result) => ({ ...result, atMs, by })));
      history.splice(0, history.length - historyLimit);
    },
    latest() {
      const served = new Set(services?.table.deployments.map(({ id }) => id));
      const byId = new Map(history.map((record) => [record.deployment.id, record]));
      return [...byId.values()].filter(({ deployment }) => served.has(deployment.id));
    },
    history: () => history.toReversed(),
    close() {
      timer?.cancel();
      stop.abort();
    },
  };

  /** One round at a time: the next begins `everyMs` after the last has ended. */
  function startRounds(everyMs: number): () => void {
    let ended = false;
    let cancelWait: () => void = () => undefined;
    const round = async () => {
      if (!services) return;
      const wanted = services.table.deployments.filter(
        ({ info }) => info?.["disable_background_health_check"] !== true,
      );
      const results = await probeAll(wanted, services, stop.signal);
      if (ended) return;
      watch.record(results, "background");
      for (const { deployment, error } of results) {
        if (!error) continue;
        const { id, group } = deployment;
        telemetry.log("warn", "a deployment failed its health check", {
          deployment: id,
          group,
          error: error.code,
        });
      }
      cancelWait = clock.after(everyMs, () => void round());
    };
    // Not at once: a start, or a reload, has better things to do.
    cancelWait = clock.after(Math.min(everyMs, firstRoundMs), () => void round());
    return () => {
      ended = true;
      cancelWait();
    };
  }

  return watch;
}

const firstRoundMs = 1_000;
