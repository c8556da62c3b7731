/** Telemetry that remembers: counts by name and labels, gauges, and lines of the log. */
import type { Telemetry } from "../../src/telemetry/telemetry.ts";

export function watchTelemetry() {
  const counts: Record<string, number> = {};
  const gauges: Record<string, number> = {};
  const events: Record<string, unknown>[] = [];
  const telemetry: Telemetry = {
    counter(name) {
      const add = (value: number, ...labels: string[]) => {
        const key = [name, ...labels].join(" ");
        counts[key] = (counts[key] ?? 0) + value;
      };
      return { add, of: (...labels) => ({ add: (value) => add(value, ...labels) }) };
    },
    histogram: () => ({ observe: () => undefined, of: () => ({ observe: () => undefined }) }),
    gauge: (name) => ({
      set(value) {
        gauges[name] = value;
      },
    }),
    log: (level, message, fields) => void events.push({ level, message, ...fields }),
    onCollect: () => undefined,
    span: () => undefined,
    spansOn: false,
  };
  return { telemetry, counts, gauges, events };
}
