/** `routeiq events export`: the event log as Parquet or JSON lines, for DuckDB, Spark, ClickHouse. */
import { exportOnce, followExport } from "../../learning/events/event-export.ts";
import { systemClock } from "../../std/clock.ts";
import { type Exported, exportLimits } from "../../storage/segments/export-events.ts";
import { type SegmentFormat, segmentFormats } from "../../storage/segments/write-segment.ts";
import { type CommandContext, defineCommand } from "../command.ts";
import { textFlag, withStoreAccess } from "../learning-inputs.ts";
import { UsageError } from "../parse.ts";

const defaultIntervalS = 300;

export const exportCommand = defineCommand({
  name: "events export",
  summary: "Copy what is new in an event log to a folder or bucket, as segments.",
  flags: {
    events: { description: "A data folder, or sqlite:PATH.", value: "SRC" },
    to: { description: "A folder, or s3://bucket/prefix.", value: "TARGET" },
    format: { description: "parquet, or jsonl (gzip). Default: parquet.", value: "NAME" },
    "segment-rows": { description: "Calls of a segment at most. Default: 20000.", value: "N" },
    follow: { description: "Go on, at an interval, until it is stopped." },
    interval: { description: "Seconds between two exports. Default: 300.", value: "S" },
    place: { description: "File of how far it came. Default: beside the log.", value: "FILE" },
  },
  example: "routeiq events export --events ./.routeiq --to s3://bucket/events",
  run: runExport,
});

async function runExport(context: CommandContext): Promise<number> {
  const { flags, out, env, signal } = context;
  const source = textFlag(flags, "events");
  const to = textFlag(flags, "to");
  if (!source) throw new UsageError("--events SRC is needed: a data folder, or sqlite:PATH.");
  if (!to) throw new UsageError("--to TARGET is needed: a folder, or s3://bucket/prefix.");
  const place = textFlag(flags, "place");
  const { min, max } = exportLimits.segmentRows;
  const request = {
    source,
    to,
    format: formatFlag(flags),
    segmentRows: numberFlag(flags, "segment-rows", exportLimits.segmentRows.default, { min, max }),
    ...(place === undefined ? {} : { placeFile: place }),
  };
  const intervalS = numberFlag(flags, "interval", defaultIntervalS, { min: 1, max: 86_400 });
  const onSegment = (key: string, rows: number) => out.line(`${key}: ${rows} rows`);
  return await withStoreAccess(env, async (access) => {
    if (flags["follow"] !== true) {
      tell(context, await exportOnce(request, access, { signal, onSegment }));
      return 0;
    }
    await followExport(request, access, {
      intervalMs: intervalS * 1000,
      clock: systemClock,
      signal,
      onSegment,
      onExport: (exported) => {
        if (exported.segments > 0 || exported.lost > 0) tell(context, exported);
      },
      onFailure: (message) => out.note(`not exported, and tried again: ${message}`),
    });
    return 0;
  });
}

function tell(
  { out }: CommandContext,
  { events, feedback, segments, lost, place }: Exported,
): void {
  out.line(`${events} calls and ${feedback} pieces of feedback in ${segments} segments`);
  if (lost > 0) out.note(`${lost} calls were no longer in the log when their turn came`);
  out.json({ ok: true, events, feedback, segments, lost, place });
}

function formatFlag(flags: CommandContext["flags"]): SegmentFormat {
  const text = textFlag(flags, "format") ?? "parquet";
  const format = segmentFormats.find((name) => name === text);
  if (!format) throw new UsageError(`--format ${text}: one of ${segmentFormats.join(", ")}.`);
  return format;
}

function numberFlag(
  flags: CommandContext["flags"],
  name: string,
  fallback: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  const text = textFlag(flags, name);
  if (text === undefined) return fallback;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < min || number > max) {
    throw new UsageError(`--${name} ${text} is not a whole number from ${min} to ${max}.`);
  }
  return number;
}
