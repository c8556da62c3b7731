/** How long a server may say nothing to a request: the time in which it waits for its client is not counted. */
import type { Clock } from "../../../std/clock.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode } from "../sdk.ts";
import type { RequestOptions } from "./connection-contract.ts";

export interface Silence {
  /** Aborted with a McpError of a timeout, or with the caller's reason. */
  readonly signal: AbortSignal;
  /** What `signal` was aborted with, where it was for silence. */
  readonly reason: unknown;
  heard(): void;
  stop(): void;
}

export function watchSilence(
  { signal, timeoutMs, isAsking }: RequestOptions,
  clock: Clock,
): Silence {
  const limit = new AbortController();
  const late = () => {
    if (isAsking?.()) return heard();
    limit.abort(rethrown(ErrorCode.RequestTimeout, "Request timed out"));
  };
  let stop = clock.after(timeoutMs, late);
  const heard = () => {
    stop();
    stop = clock.after(timeoutMs, late);
  };
  return {
    signal: AbortSignal.any([signal, limit.signal]),
    get reason() {
      return limit.signal.aborted ? limit.signal.reason : undefined;
    },
    heard,
    stop: () => stop(),
  };
}
