/** What stored things need from time to time: the end of those whose time has come. */
import { join } from "node:path";
import type { Clock } from "../std/clock.ts";
import { recordFileName } from "../storage/record-store.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";

export interface Upkeep {
  readonly dataDir: string;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Removes what has expired; says how much. */
  readonly sweep: () => Promise<number>;
}

const firstMs = 60_000;
const everyMs = 3_600_000;

/** Answers how to stop. A gateway that keeps nothing is left alone. */
export function startUpkeep({ dataDir, clock, telemetry, sweep }: Upkeep): () => void {
  let stop = clock.after(firstMs, () => void round());
  let ended = false;

  async function round(): Promise<void> {
    try {
      if (await Bun.file(join(dataDir, recordFileName)).exists()) {
        const removed = await sweep();
        if (removed > 0) telemetry.log("info", "files have expired and are gone", { removed });
      }
    } catch (error) {
      telemetry.log("error", "expired files could not be removed; tried again later", { error });
    }
    if (!ended) stop = clock.after(everyMs, () => void round());
  }

  return () => {
    ended = true;
    stop();
  };
}
