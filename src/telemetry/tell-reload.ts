/** What a reload of the configuration came to: a metric and a line of the log. */
import type { ReloadStatus } from "../config/reload.ts";
import type { Telemetry } from "./telemetry.ts";

export function tellReload(
  { count, lastOutcome = "refused", lastCause = "api", error, findings }: ReloadStatus,
  telemetry: Telemetry,
): void {
  const applied = lastOutcome === "applied";
  const help = "Tries to take a changed configuration into service.";
  telemetry
    .counter("routeiq.config.reloads", help, ["outcome", "cause"])
    .add(1, lastOutcome, lastCause);
  const first = findings.find(({ level }) => level === "error");
  const why = error ?? (first ? `${first.file}:${first.line}: ${first.message}` : undefined);
  const message = applied
    ? "the configuration was reloaded"
    : "a changed configuration is refused; the old one serves on";
  telemetry.log(applied ? "info" : "error", message, {
    cause: lastCause,
    count,
    ...(why === undefined ? {} : { why }),
  });
}
