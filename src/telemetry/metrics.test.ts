/** Counting, its bounds, and how Prometheus and OTLP see it. */
import { describe, expect, test } from "bun:test";
import { readMetrics } from "../../test/support/otlp.ts";
import { createProtoBuffer } from "../std/proto-buffer.ts";
import { createMetricRegistry, otherLabel, seriesLimit, toAttributeLabel } from "./metrics.ts";
import { writeMetrics } from "./otlp-encode.ts";
import { toPrometheus, toPrometheusName } from "./prometheus.ts";

const source = {
  resource: { "service.name": "routeiq" },
  scope: { name: "routeiq", version: "0" },
};

function setUp() {
  const registry = createMetricRegistry();
  const declare = (kind: "counter" | "gauge" | "histogram", labels: string[] = [], unit = "") =>
    registry.declare({ name: `a.${kind}`, help: "Help.", kind, labels, unit, buckets: [0.1, 1] });
  const text = () => toPrometheus(registry.snapshot());
  return { registry, declare, text };
}

describe("metrics", () => {
  test("a counter goes up, never down", () => {
    const { declare, text } = setUp();
    const counter = declare("counter", ["model", "outcome"]);
    counter.add(1, "m", "ok");
    counter.add(2.5, "m", "ok");
    counter.add(-5, "m", "ok");
    counter.add(Number.NaN, "m", "ok");
    counter.add(1, "m", "failed");
    expect(text()).toBe(
      '# HELP a_counter_total Help.\n# TYPE a_counter_total counter\na_counter_total{model="m",outcome="ok"} 3.5\na_counter_total{model="m",outcome="failed"} 1\n',
    );
  });

  test("a series found once counts like any other, and shows no zero before it does", () => {
    const { declare, text } = setUp();
    const counter = declare("counter", ["model"]);
    const series = counter.of("m");
    const idle = counter.of("idle");
    counter.add(1, "m");
    series.add(2);
    series.add(-5);
    for (let n = 0; n < 100; n++) counter.add(1, `other ${n}`); // the array of values grows
    series.add(4);
    expect(text()).toContain('a_counter_total{model="m"} 7\n');
    expect(text()).not.toContain("idle");
    idle.add(0);
    expect(text()).toContain('a_counter_total{model="idle"} 0\n');
  });

  test("a histogram puts a bound's own value in its bucket and sums up", () => {
    const { declare, text } = setUp();
    const histogram = declare("histogram", ["model"], "s");
    for (const value of [0.1, 0.5, 7, Number.NaN]) histogram.observe(value, "m");
    expect(text().split("\n").slice(2, -1)).toEqual([
      'a_histogram_seconds_bucket{model="m",le="0.1"} 1',
      'a_histogram_seconds_bucket{model="m",le="1"} 2',
      'a_histogram_seconds_bucket{model="m",le="+Inf"} 3',
      'a_histogram_seconds_sum{model="m"} 7.6',
      'a_histogram_seconds_count{model="m"} 3',
    ]);
  });

  test("a metric without labels shows its zero; a gauge shows its last value", () => {
    const { declare, text } = setUp();
    expect(declare("gauge")).toBe(declare("gauge"));
    expect(text()).toEndWith("a_gauge 0\n");
    declare("gauge").set(-4);
    expect(text()).toEndWith("a_gauge -4\n");
  });

  test("labels that grow without end are counted together", () => {
    const { declare, text } = setUp();
    const counter = declare("counter", ["caller"]);
    for (let n = 0; n < seriesLimit + 50; n++) counter.add(1, `caller ${n}`);
    counter.add(1, "caller 0");
    expect(text()).toContain('{caller="caller 0"} 2');
    expect(text()).toContain(`{caller="${otherLabel}"} 50`);
    expect(text().split("\n")).toHaveLength(2 + seriesLimit + 1 + 1);
  });

  test("label values are escaped and cut", () => {
    const { declare, text } = setUp();
    declare("counter", ["x"]).add(1, `a"b\\c\nd${"e".repeat(500)}`);
    declare("counter", ["x"]).add(1, `a"b\\c\nd${"e".repeat(500)}`);
    expect(text()).toMatch(/\{x="a\\"b\\\\c\\nde{121}"\} 2\n$/);
  });

  test("one name is one metric", () => {
    const { declare, registry } = setUp();
    declare("counter");
    const other = { name: "a.counter", help: "", labels: [], unit: "", buckets: [] };
    expect(() => registry.declare({ ...other, kind: "gauge" })).toThrow("declared once");
  });

  test.each([
    [
      "gen_ai.client.operation.duration",
      "histogram",
      "s",
      "gen_ai_client_operation_duration_seconds",
    ],
    ["gateway.request.total", "counter", "", "gateway_request_total"],
    ["gateway.request.error", "counter", "", "gateway_request_error_total"],
    ["gateway.cost.total", "counter", "USD", "gateway_cost_usd_total"],
    ["gen_ai.client.token.usage", "histogram", "{token}", "gen_ai_client_token_usage"],
    ["9lives", "gauge", "", "_9lives"],
  ] as const)("%s is %s", (name, kind, unit, expected) => {
    expect(toPrometheusName({ name, kind, unit })).toBe(expected);
  });

  test("attributes of any names, in any order, are one series", () => {
    const { registry, text } = setUp();
    const metric = registry.declare({
      name: "plugin.hits",
      help: "",
      kind: "counter",
      labels: ["attributes"],
      unit: "",
      buckets: [],
      dynamic: true,
    });
    metric.add(1, toAttributeLabel({ b: 2, "a.b": "x" }));
    metric.add(1, toAttributeLabel({ "a.b": "x", b: 2 }));
    metric.add(1, toAttributeLabel({}));
    expect(text()).toContain('plugin_hits_total{a_b="x",b="2"} 2\nplugin_hits_total 1\n');
  });

  test("OTLP has sums with their start, buckets as texts, attributes by name", () => {
    const { declare, registry } = setUp();
    declare("histogram", ["model"], "s").observe(0.5, "m");
    declare("counter").add(3);
    const body = createProtoBuffer();
    writeMetrics(body, registry.snapshot(), source, { startMs: 1_000, atMs: 2_000.5 });
    const times = { startTimeUnixNano: "1000000000", timeUnixNano: "2000500000" };
    expect(readMetrics(body.view())).toEqual([
      {
        name: "a.histogram",
        description: "Help.",
        unit: "s",
        histogram: {
          aggregationTemporality: 2,
          dataPoints: [
            {
              attributes: [{ key: "model", value: { stringValue: "m" } }],
              ...times,
              count: "1",
              sum: 0.5,
              bucketCounts: ["0", "1", "0"],
              explicitBounds: [0.1, 1],
            },
          ],
        },
      },
      {
        name: "a.counter",
        description: "Help.",
        unit: "",
        sum: {
          aggregationTemporality: 2,
          isMonotonic: true,
          dataPoints: [{ attributes: [], ...times, asDouble: 3 }],
        },
      },
    ]);
  });
});
