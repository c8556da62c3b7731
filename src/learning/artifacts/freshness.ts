/** How long the repository's word counts: an alarm when it has expired, an end after `maxStaleMs`. */
import type { ArtifactStatus } from "../../routing/slot.ts";
import type { Clock } from "../../std/clock.ts";
import type { createPollReport } from "./poll-report.ts";
import { freshnessCheckMs } from "./poll-times.ts";
import { refusalRemedies } from "./refusal.ts";

export interface FreshnessOptions {
  readonly clock: Clock;
  readonly maxStaleMs: number;
  /** Label of what serves; undefined where nothing does, or ever will again. */
  readonly inForce: () => string | undefined;
  /** Asked again: it is as fresh, or as stale, as `stale` says. */
  readonly told: () => void;
  readonly over: (status: ArtifactStatus) => void;
  readonly report: Pick<ReturnType<typeof createPollReport>, "stale" | "freshness">;
}

export interface Freshness {
  /** @param untilMs infinity where the word never ends */
  set(untilMs: number): void;
  /** Looks now, and again when it matters. */
  check(): void;
  stale(): boolean;
  close(): void;
}

export function createFreshness(options: FreshnessOptions): Freshness {
  const { clock, maxStaleMs, report } = options;
  let untilMs = Number.POSITIVE_INFINITY;
  let stale = false;
  let cancel: () => void = () => undefined;

  function check(): void {
    cancel();
    const label = options.inForce();
    if (label === undefined) return;
    const overdueMs = clock.now() - untilMs;
    if (overdueMs >= maxStaleMs) {
      const remedy = `The repository was stale for longer than max_stale. ${refusalRemedies.expired}`;
      options.over({ status: "stale", code: "expired", remedy });
      return;
    }
    if (overdueMs >= 0 && !stale) report.stale(label, untilMs);
    stale = overdueMs >= 0;
    report.freshness(stale);
    options.told();
    if (!Number.isFinite(untilMs)) return;
    const leftMs = stale ? maxStaleMs - overdueMs : -overdueMs;
    cancel = clock.after(Math.min(leftMs, freshnessCheckMs), check);
  }

  return {
    set(until) {
      untilMs = until;
    },
    check,
    stale: () => stale,
    close: () => cancel(),
  };
}
