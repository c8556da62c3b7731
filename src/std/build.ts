/** Which build this is. `scripts/build.ts` bakes the facts in; run from source, it says "source". */
import { version } from "./version.ts";

declare const ROUTEIQ_COMMIT: string | undefined;
declare const ROUTEIQ_TARGET: string | undefined;

export const build = {
  version,
  /** Twelve hex digits, `+changes` after them where the work tree was not clean. */
  commit: typeof ROUTEIQ_COMMIT === "string" ? ROUTEIQ_COMMIT : "source",
  /** `linux-x64` …, or "source". */
  target: typeof ROUTEIQ_TARGET === "string" ? ROUTEIQ_TARGET : "source",
  compiled: typeof ROUTEIQ_COMMIT === "string",
} as const;
