/**
 * Counters, histograms and gauges in flat arrays: counting finds a slot and adds, nothing is
 * allocated for labels seen before.
 */
import { assert } from "../std/assert.ts";
import type {
  Counter,
  CounterSeries,
  Gauge,
  Histogram,
  HistogramSeries,
  Labels,
} from "./telemetry.ts";

export type MetricKind = "counter" | "histogram" | "gauge";

export interface MetricDeclaration {
  readonly name: string;
  readonly help: string;
  readonly kind: MetricKind;
  readonly labels: Labels;
  readonly unit: string;
  /** Upper bounds, ascending; histograms only. */
  readonly buckets: readonly number[];
  /**
   * Labels that differ from one use to the next (OpenTelemetry's API): declared as one label whose
   * value is `toAttributeLabel(attributes)`.
   */
  readonly dynamic?: true;
}

/** A metric as it stands: read by the exposition and by OTLP. */
export interface MetricSnapshot extends MetricDeclaration {
  readonly series: readonly SeriesSnapshot[];
}

export interface SeriesSnapshot {
  /** Set where they differ from the metric's. */
  readonly labels?: readonly string[];
  readonly labelValues: readonly string[];
  /** Counter, gauge: one. Histogram: a count per bucket and one above the last, then the sum. */
  readonly values: readonly number[];
}

export interface MetricRegistry {
  declare(declaration: MetricDeclaration): Metric;
  snapshot(): readonly MetricSnapshot[];
}

export interface Metric extends Counter, Histogram, Gauge {
  of(...labelValues: string[]): CounterSeries & HistogramSeries;
  readonly declaration: MetricDeclaration;
  snapshot(): MetricSnapshot;
}

/** Distinct label values a metric keeps; what comes later is counted as one, under `otherLabel`. */
export const seriesLimit = 500;
export const otherLabel = "_other";
/** Label values are cut to this length. */
const labelCharLimit = 128;

export function createMetricRegistry(): MetricRegistry {
  const metrics = new Map<string, Metric>();
  return {
    declare(declaration) {
      const held = metrics.get(declaration.name);
      if (held) {
        const same = isSame(held.declaration, declaration);
        assert(same, `metric ${declaration.name} is declared once, or the same way again`);
        return held;
      }
      const metric = createMetric(declaration);
      metrics.set(declaration.name, metric);
      return metric;
    },
    snapshot: () => [...metrics.values()].map((metric) => metric.snapshot()),
  };
}

function isSame(a: MetricDeclaration, b: MetricDeclaration): boolean {
  return (
    a.kind === b.kind &&
    a.labels.join() === b.labels.join() &&
    a.buckets.join() === b.buckets.join()
  );
}

/** Label value → the next label's, or at the last one the first slot of the series. */
interface Branch {
  readonly next: Map<string, Branch>;
  slot: number;
}

export function createMetric(declaration: MetricDeclaration): Metric {
  const { kind, labels, buckets, dynamic } = declaration;
  const width = kind === "histogram" ? buckets.length + 2 : 1;
  const bounds = Float64Array.from(buckets);
  const root: Branch = { next: new Map(), slot: -1 };
  const series: { readonly labelValues: readonly string[]; readonly slot: number }[] = [];
  let values = new Float64Array(width * 4);

  function slotOf(labelValues: readonly string[]): number {
    let branch: Branch | undefined = root;
    for (let i = 0; i < labels.length; i++) {
      branch = branch.next.get(labelValues[i] as string);
      if (!branch) return addSeries(labelValues);
    }
    return branch.slot >= 0 ? branch.slot : addSeries(labelValues);
  }

  function addSeries(given: readonly string[]): number {
    assert(given.length === labels.length, `${declaration.name} has ${labels.length} labels`);
    const cut = dynamic ? given : given.map((value) => value.slice(0, labelCharLimit));
    const room = series.length < seriesLimit;
    const labelValues = room ? cut : labels.map(() => otherLabel);
    const branch = branchOf(labelValues);
    if (branch.slot >= 0) return branch.slot;
    branch.slot = series.length * width;
    series.push({ labelValues, slot: branch.slot });
    if (branch.slot + width > values.length) {
      const grown = new Float64Array(values.length * 2);
      grown.set(values);
      values = grown;
    }
    return branch.slot;
  }

  function branchOf(labelValues: readonly string[]): Branch {
    let branch = root;
    for (const value of labelValues) {
      let next = branch.next.get(value);
      if (!next) {
        next = { next: new Map(), slot: -1 };
        branch.next.set(value, next);
      }
      branch = next;
    }
    return branch;
  }

  function bucketOf(value: number): number {
    let at = 0;
    while (at < bounds.length && value > (bounds[at] as number)) at++;
    return at;
  }

  /** A counter never goes back, and NaN would stay for ever. */
  function isCountable(value: number): boolean {
    return value >= 0 || (kind !== "counter" && !Number.isNaN(value));
  }

  function addAt(slot: number, value: number): void {
    values[slot] = (values[slot] as number) + value;
  }

  function observeAt(slot: number, value: number): void {
    addAt(slot + bucketOf(value), 1);
    addAt(slot + width - 1, value);
  }

  if (labels.length === 0) addSeries([]); // a metric without labels shows its zero
  return {
    declaration,
    add(value, ...labelValues) {
      if (!isCountable(value)) return;
      addAt(slotOf(labelValues), value);
    },
    set(value, ...labelValues) {
      values[slotOf(labelValues)] = value;
    },
    observe(value, ...labelValues) {
      if (!Number.isNaN(value)) observeAt(slotOf(labelValues), value);
    },
    of(...labelValues) {
      let slot = -1; // found at the first use, so that what never happens shows no zero
      const find = () => {
        if (slot < 0) slot = slotOf(labelValues);
        return slot;
      };
      return {
        add(value) {
          if (isCountable(value)) addAt(find(), value);
        },
        observe(value) {
          if (!Number.isNaN(value)) observeAt(find(), value);
        },
      };
    },
    snapshot: () => ({
      ...declaration,
      series: series.map(({ labelValues, slot }) => ({
        ...(dynamic ? fromAttributeLabel(labelValues[0] ?? "") : { labelValues }),
        values: Array.from(values.subarray(slot, slot + width)),
      })),
    }),
  };
}

/** Attributes of any names as one label value: the same attributes in any order give the same. */
export function toAttributeLabel(attributes: Readonly<Record<string, unknown>>): string {
  const pairs = Object.entries(attributes).map(
    ([name, value]) => [name, String(value).slice(0, labelCharLimit)] as const,
  );
  return JSON.stringify(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

function fromAttributeLabel(
  label: string,
): Pick<SeriesSnapshot, "labelValues"> & { labels: string[] } {
  if (label === otherLabel) return { labels: ["otel.metric.overflow"], labelValues: ["true"] };
  const pairs = JSON.parse(label) as [string, string][];
  return { labels: pairs.map(([name]) => name), labelValues: pairs.map(([, value]) => value) };
}
