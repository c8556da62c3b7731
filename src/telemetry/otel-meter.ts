/** OpenTelemetry's meter on our metrics: an instrument is a metric, its attributes are labels. */
import type {
  Attributes,
  BatchObservableCallback,
  Meter,
  MetricOptions,
  Observable,
  ObservableCallback,
} from "@opentelemetry/api";
import type { GatewayTelemetry } from "./create.ts";
import { type Metric, type MetricKind, toAttributeLabel } from "./metrics.ts";

/** The API's advice where an instrument gives none: seconds and counts both fit. */
const defaultBuckets = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000,
  10_000,
];

/** Metrics that one process may declare through the API; later ones count nothing. */
export const instrumentLimit = 500;

export function createMeter(telemetry: GatewayTelemetry): Meter {
  const names = new Set<string>();
  const observers = new Map<Observable, Set<ObservableCallback>>();
  const metricOf = new Map<Observable, Metric>();
  const batches = new Map<BatchObservableCallback, readonly Observable[]>();

  function declare(
    kind: MetricKind,
    name: string,
    options: MetricOptions = {},
  ): Metric | undefined {
    if (!names.has(name) && names.size >= instrumentLimit) {
      telemetry.log("warn", "Too many OpenTelemetry instruments; this one counts nothing.", {
        name,
      });
      return undefined;
    }
    names.add(name);
    return telemetry.registry.declare({
      name,
      help: options.description ?? "",
      kind,
      labels: ["attributes"],
      unit: options.unit ?? "",
      buckets:
        kind === "histogram" ? (options.advice?.explicitBucketBoundaries ?? defaultBuckets) : [],
      dynamic: true,
    });
  }

  const add = (metric: Metric | undefined) => ({
    add: (value: number, attributes: Attributes = {}) =>
      metric?.add(value, toAttributeLabel(attributes)),
  });

  function observable<T extends Attributes>(
    kind: MetricKind,
    name: string,
    options?: MetricOptions,
  ) {
    const metric = declare(kind, name, options);
    const one: Observable<T> = {
      addCallback(callback) {
        const set = observers.get(one as Observable) ?? new Set();
        observers.set(one as Observable, set.add(callback as ObservableCallback));
      },
      removeCallback: (callback) =>
        void observers.get(one as Observable)?.delete(callback as ObservableCallback),
    };
    if (metric) metricOf.set(one as Observable, metric);
    return one;
  }

  const observe = (one: Observable, value: number, attributes: Attributes = {}) =>
    metricOf.get(one)?.set(value, toAttributeLabel(attributes));

  telemetry.onCollect(() => {
    // A callback that waits is heard at the next collection: its value is set by then.
    const run = (callback: () => void | Promise<void>) =>
      Promise.try(callback).catch((cause: unknown) => {
        telemetry.log("warn", "An observable instrument failed.", { cause });
      });
    for (const [one, callbacks] of observers) {
      const result = { observe: (value: number, given?: Attributes) => observe(one, value, given) };
      for (const callback of callbacks) void run(() => callback(result));
    }
    for (const [callback] of batches) void run(() => callback({ observe }));
  });

  return {
    createCounter: (name, options) => add(declare("counter", name, options)),
    createUpDownCounter: (name, options) => add(declare("gauge", name, options)),
    createGauge(name, options) {
      const metric = declare("gauge", name, options);
      return {
        record: (value: number, attributes: Attributes = {}) =>
          metric?.set(value, toAttributeLabel(attributes)),
      };
    },
    createHistogram(name, options) {
      const metric = declare("histogram", name, options);
      return {
        record: (value: number, attributes: Attributes = {}) =>
          metric?.observe(value, toAttributeLabel(attributes)),
      };
    },
    createObservableCounter: (name, options) => observable("counter", name, options),
    createObservableUpDownCounter: (name, options) => observable("gauge", name, options),
    createObservableGauge: (name, options) => observable("gauge", name, options),
    addBatchObservableCallback: (callback, observables) =>
      void batches.set(callback as BatchObservableCallback, observables as Observable[]),
    removeBatchObservableCallback: (callback) =>
      void batches.delete(callback as BatchObservableCallback),
  };
}
