/**
 * Metrics as Prometheus reads them.
 * Source: https://prometheus.io/docs/instrumenting/exposition_formats/ (text format 0.0.4), names by
 * https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
 */
import type { MetricSnapshot, SeriesSnapshot } from "./metrics.ts";

export const prometheusContentType = "text/plain; version=0.0.4; charset=utf-8";

export function toPrometheus(metrics: readonly MetricSnapshot[]): string {
  return metrics.map(toFamily).join("");
}

function toFamily(metric: MetricSnapshot): string {
  const name = toPrometheusName(metric);
  const lines = [
    `# HELP ${name} ${escapeText(metric.help)}`,
    `# TYPE ${name} ${metric.kind}`,
    ...metric.series.flatMap((series) =>
      metric.kind === "histogram"
        ? histogramLines(name, metric, series)
        : [`${name}${braces(metric, series)} ${toNumber(series.values[0] ?? 0)}`],
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function histogramLines(name: string, metric: MetricSnapshot, series: SeriesSnapshot): string[] {
  let count = 0;
  const lines = [...metric.buckets, Number.POSITIVE_INFINITY].map((bound, at) => {
    count += series.values[at] ?? 0;
    return `${name}_bucket${braces(metric, series, `le="${toNumber(bound)}"`)} ${toNumber(count)}`;
  });
  const sum = series.values.at(-1) ?? 0;
  const own = braces(metric, series);
  return [...lines, `${name}_sum${own} ${toNumber(sum)}`, `${name}_count${own} ${toNumber(count)}`];
}

const unitWords: Readonly<Record<string, string>> = {
  s: "seconds",
  ms: "milliseconds",
  us: "microseconds",
  By: "bytes",
  USD: "usd",
  "1": "ratio",
};

/** `gen_ai.client.operation.duration` in "s" → `gen_ai_client_operation_duration_seconds`. */
export function toPrometheusName(metric: Pick<MetricSnapshot, "name" | "kind" | "unit">): string {
  const total = metric.kind === "counter" ? "total" : "";
  const unit = unitWords[metric.unit] ?? ""; // "{token}" is a note, not a unit
  const words = toIdentifier(metric.name).replace(/_total$/, total === "" ? "_total" : "");
  const named = unit === "" || words.split("_").includes(unit) ? words : `${words}_${unit}`;
  return total === "" ? named : `${named}_${total}`;
}

function toIdentifier(name: string): string {
  return name.replace(/[^a-zA-Z0-9_:]/g, "_").replace(/^(?=[0-9])/, "_");
}

function braces(metric: MetricSnapshot, series: SeriesSnapshot, extra?: string): string {
  const pairs = (series.labels ?? metric.labels).map(
    (label, at) => `${toIdentifier(label)}="${escapeLabel(series.labelValues[at] ?? "")}"`,
  );
  if (extra !== undefined) pairs.push(extra);
  return pairs.length === 0 ? "" : `{${pairs.join(",")}}`;
}

function escapeText(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
}

function escapeLabel(text: string): string {
  return escapeText(text).replaceAll('"', '\\"');
}

function toNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return "+Inf";
  if (value === Number.NEGATIVE_INFINITY) return "-Inf";
  return String(value); // NaN is written so
}
