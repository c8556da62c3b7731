/**
 * What exploration may cost: the extra over what the best model would have cost, by the hour and by
 * the day (UTC). Held back by prediction when a draw is made, corrected when the call's cost is known.
 */
import type { Clock } from "../std/clock.ts";

export interface ExplorationLimits {
  /** USD in an hour, a day; undefined: no limit of that kind. */
  readonly perHourUsd?: number;
  readonly perDayUsd?: number;
}

/** Data alone, so that it outlives a restart. */
export interface ExplorationSpend {
  /** Hours and days since 1970, and what was spent in each, USD. */
  readonly hour: number;
  readonly hourUsd: number;
  readonly day: number;
  readonly dayUsd: number;
}

export interface ExplorationBudget {
  /** What may still be spent now; at least 0. Cost: a few comparisons. */
  leftUsd(): number;
  /** Spends; negative: gives back what turned out not to be needed. */
  spend(usd: number): void;
  /** From now on; what was spent stays spent. */
  limit(limits: ExplorationLimits): void;
  spent(): ExplorationSpend;
  /** What an earlier process spent, in the same hour or day. */
  restore(spend: ExplorationSpend): void;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export function createExplorationBudget(clock: Clock): ExplorationBudget {
  let limits: ExplorationLimits = {};
  let [hour, hourUsd, day, dayUsd] = [0, 0, 0, 0];

  function turn(): void {
    const now = clock.now();
    const nowHour = Math.floor(now / hourMs);
    if (nowHour === hour) return;
    hour = nowHour;
    hourUsd = 0;
    const nowDay = Math.floor(now / dayMs);
    if (nowDay === day) return;
    day = nowDay;
    dayUsd = 0;
  }

  return {
    leftUsd() {
      turn();
      const { perHourUsd = Number.POSITIVE_INFINITY, perDayUsd = Number.POSITIVE_INFINITY } =
        limits;
      return Math.max(0, Math.min(perHourUsd - hourUsd, perDayUsd - dayUsd));
    },
    spend(usd) {
      turn();
      hourUsd = Math.max(0, hourUsd + usd);
      dayUsd = Math.max(0, dayUsd + usd);
    },
    limit(next) {
      limits = next;
    },
    spent() {
      turn();
      return { hour, hourUsd, day, dayUsd };
    },
    restore(spend) {
      turn();
      if (spend.hour === hour) hourUsd += Math.max(0, spend.hourUsd);
      if (spend.day === day) dayUsd += Math.max(0, spend.dayUsd);
    },
  };
}
