/**
 * What exploration needs beside the draw, over reloads of the configuration: its budget, which
 * outlives a restart, and the learner, which is begun where a configuration first asks for it.
 */
import type { Config } from "../config/config.ts";
import { createExplorationBudget, type ExplorationBudget } from "../routing/exploration-budget.ts";
import type { Clock } from "../std/clock.ts";
import type { Remote } from "../std/rpc.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import { createOnlineLearner, type OnlineLearner } from "./online/online-learner.ts";
import type { OnlineService } from "./online/online-thread.ts";

export interface ExplorationPartsOptions {
  readonly remote: Remote<OnlineService>;
  readonly dataDir: string;
  /** 1, or a worker's number. */
  readonly process: number;
  /** How many share the port: each has its part of the money. */
  readonly processes: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export interface ExplorationParts {
  readonly budget: ExplorationBudget;
  /** Undefined where a configuration has no online learning. */
  learnerFor(config: Config): OnlineLearner | undefined;
  /** The one that was begun, if any. */
  learner(): OnlineLearner | undefined;
  follow(config: Config): void;
  /** Resolves when what was learnt and spent is kept. */
  close(): Promise<void>;
}

/** What was spent is kept so often: a crash gives back what was spent since, at most. */
const keepSpendMs = 15_000;

export function createExplorationParts(options: ExplorationPartsOptions): ExplorationParts {
  const { remote, dataDir, process, processes, clock, telemetry } = options;
  const budget = createExplorationBudget(clock);
  const spent = telemetry.gauge(
    "routeiq.exploration.spent",
    "What exploration cost beyond the best models, in this hour and this day (UTC).",
    ["window"],
    "USD",
  );
  let learner: OnlineLearner | undefined;
  let explores = false;
  let cancelKeep: (() => void) | undefined;
  let kept = 0;

  async function keep(): Promise<void> {
    const spend = budget.spent();
    if (spend.dayUsd === kept) return;
    kept = spend.dayUsd;
    await remote.call("keepSpend", { dataDir, process, spend });
  }

  function keepLater(): void {
    cancelKeep = clock.after(keepSpendMs, () => {
      keep().catch(tellFailure);
      keepLater();
    });
  }

  const tellFailure = (error: unknown) =>
    telemetry.log("error", "what exploration spent could not be kept", { error });

  function begin(): void {
    explores = true;
    telemetry.onCollect(() => {
      const { hourUsd, dayUsd } = budget.spent();
      spent.set(hourUsd, "hour");
      spent.set(dayUsd, "day");
    });
    remote.call("spent", { dataDir, process }).then((spend) => {
      if (spend) budget.restore(spend);
      kept = budget.spent().dayUsd;
    }, tellFailure);
    keepLater();
  }

  return {
    budget,
    learnerFor({ router }) {
      const { exploration } = router.routingStrategyArgs;
      if (!exploration || !(exploration.online ?? exploration.mode !== "epsilon")) return undefined;
      learner ??= createOnlineLearner({ remote, dataDir, process, clock, telemetry });
      return learner;
    },
    learner: () => learner,
    follow({ router }) {
      const { exploration } = router.routingStrategyArgs;
      if (!exploration) return;
      budget.limit({
        perDayUsd: exploration.max_usd_per_day / processes,
        ...(exploration.max_usd_per_hour === undefined
          ? {}
          : { perHourUsd: exploration.max_usd_per_hour / processes }),
      });
      if (!explores) begin();
    },
    async close() {
      cancelKeep?.();
      if (!explores) return;
      await learner?.flush();
      learner?.close();
      await keep().catch(tellFailure);
    },
  };
}
