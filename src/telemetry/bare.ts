/** Telemetry with nothing behind it but a line sink: for tests, and for what runs before the real one. */
import type { Counter, Gauge, Histogram, Telemetry } from "./telemetry.ts";

const ignore = () => undefined;
const metric: Counter & Histogram & Gauge = { add: ignore, observe: ignore, set: ignore };

export function createBareTelemetry(write: (line: string) => void = ignore): Telemetry {
  return {
    counter: () => metric,
    histogram: () => metric,
    gauge: () => metric,
    onCollect: ignore,
    log: (level, message, fields) => write(JSON.stringify({ level, message, ...fields })),
    span: ignore,
    spansOn: false,
  };
}
