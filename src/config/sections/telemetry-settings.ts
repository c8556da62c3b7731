/** `routeiq_settings.telemetry`: what the gateway remembers of calls and exports. */
import { Type } from "@sinclair/typebox";
import { defaultRetention } from "../../storage/event-log.ts";

export const TelemetrySettings = Type.Object(
  {
    store_prompts: Type.Boolean({
      default: false,
      description: "Keep prompt texts in the event log. Training works without them.",
    }),
    events: Type.Boolean({
      default: true,
      description: "Write a row per call to the event log.",
    }),
    event_retention: Type.Object(
      {
        max_rows: Type.Integer({
          default: defaultRetention.maxRows,
          minimum: 1,
          description: "Calls that the event log keeps.",
        }),
        max_age_days: Type.Number({
          default: defaultRetention.maxAgeDays,
          exclusiveMinimum: 0,
          description: "Days that it keeps them.",
        }),
        max_bytes: Type.Integer({
          default: defaultRetention.maxBytes,
          minimum: 1_048_576,
          description: "Bytes that its file may fill.",
        }),
      },
      { default: {}, description: "Whichever limit is met first; the oldest calls go." },
    ),
    export: Type.Optional(
      Type.Object(
        {
          to: Type.String({
            minLength: 1,
            description: "A folder, or s3://bucket/prefix; several gateways may share it.",
          }),
          format: Type.Union([Type.Literal("parquet"), Type.Literal("jsonl")], {
            default: "parquet",
            description: "Parquet, or JSON lines packed with gzip.",
          }),
          interval_seconds: Type.Integer({
            default: 300,
            minimum: 5,
            maximum: 86_400,
            description: "Seconds between two exports.",
          }),
        },
        {
          description:
            "Copies the event log as segments that `routeiq train --events`, DuckDB, Spark and ClickHouse read, in a thread of its own.",
        },
      ),
    ),
    otlp_endpoint: Type.Optional(
      Type.String({
        description:
          "OTLP/HTTP endpoint, such as http://localhost:4318. Default: OTEL_EXPORTER_OTLP_ENDPOINT; unset: off.",
      }),
    ),
    otlp_headers: Type.Record(Type.String(), Type.String(), {
      default: {},
      description: "Headers of every OTLP request.",
      expected: "a map of texts",
    }),
    sample_ratio: Type.Number({
      default: 1,
      minimum: 0,
      maximum: 1,
      description: "Share of calls whose spans are exported; the event log has all.",
    }),
    service_name: Type.String({
      default: "routeiq",
      description: "`service.name` of spans and metrics.",
    }),
  },
  { default: {}, description: "What the gateway remembers and exports." },
);
