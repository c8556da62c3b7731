/** What `train` learns from: data files, event logs, or both, as one table with its report. */
import { GatewayError } from "../domain/errors.ts";
import type { Embedder } from "../embedding/embedder.ts";
import { createFeatureExtractor } from "../embedding/features.ts";
import type { ReadContext } from "../learning/data/read-rows.ts";
import { defaultMaxRows } from "../learning/data/row-pool.ts";
import { type ModelPrice, readPrices } from "../learning/dataset.ts";
import { readSource } from "../learning/events/event-source.ts";
import { addEvents, type EventCounts } from "../learning/events/from-events.ts";
import { robustnessSample } from "../learning/robustness/measure.ts";
import { createRowSample, type RowSample } from "../learning/robustness/sample.ts";
import { createTableBuilder, type Table } from "../learning/table.ts";
import type { CommandContext, Flag } from "./command.ts";
import {
  addData,
  createReading,
  labelsFlag,
  listFlag,
  nothingRead,
  readLabelFiles,
  seedFlag,
  textFlag,
  withStoreAccess,
} from "./learning-inputs.ts";
import { UsageError } from "./parse.ts";

export const dataFlags: Readonly<Record<string, Flag>> = {
  data: {
    description: "Rows: files, folders, s3://bucket/prefix, http://jaeger:16686?service=NAME.",
    value: "FILE…",
    many: true,
  },
  events: {
    description: "Event logs: a data folder, sqlite:PATH, or segments (a folder, s3://…).",
    value: "SRC…",
    many: true,
    repeat: true,
  },
  labels: labelsFlag,
  "max-rows": {
    description: "Rows that are learnt from; more are condensed. Default: 40000.",
    value: "N",
  },
};

export interface TrainingData {
  readonly table: Table;
  readonly reading: ReadContext;
  /** A few rows with their text; none where only event logs were read. */
  readonly sample: RowSample;
  /** When the latest call came that was learnt from; −∞ without event logs. */
  readonly eventsUntilMs: number;
}

/** @throws UsageError without a source; GatewayError invalid_request where nothing is to be learnt */
export async function readTraining(
  context: CommandContext,
  embedder: Embedder,
): Promise<TrainingData> {
  const { flags, out, env } = context;
  const paths = listFlag(flags, "data");
  const events = listFlag(flags, "events");
  const prices = textFlag(flags, "prices");
  if (paths.length === 0 && events.length === 0) {
    throw new UsageError("Give --data FILE…, --events SRC, or both.");
  }
  const labels = await readLabelFiles(context);
  const reading = createReading(out, labels);
  const builder = createTableBuilder({ maxRows: maxRowsFlag(flags), seed: seedFlag(flags) });
  const list = new Map<string, ModelPrice>();
  const sample = createRowSample(robustnessSample, seedFlag(flags));
  if (paths.length > 0) {
    const extractor = createFeatureExtractor(embedder);
    const input = { paths, prices, extractor, models: "all", out, env, reading, sample } as const;
    for (const [model, price] of await addData(builder, input)) list.set(model, price);
  } else if (prices !== undefined) {
    for (const [model, price] of await readPrices(prices, prices)) list.set(model, price);
  }
  let eventsUntilMs = Number.NEGATIVE_INFINITY;
  await withStoreAccess(env, async (store) => {
    for (const source of events) {
      const counts = await addEvents(builder, {
        events: readSource(source, { store, onProblem: reading.problems.add }),
        embedderId: embedder.id,
        labels,
        onRow: (count) => {
          if (count % 500 === 0) out.progress("read", count / (count + 2000));
        },
      });
      eventsUntilMs = Math.max(eventsUntilMs, counts.untilMs);
      tellEvents(context, source, counts);
    }
  });
  out.progress("read", 1);
  if (builder.size === 0) {
    if (events.length === 0) throw nothingRead(paths, reading);
    throw new GatewayError(
      "invalid_request",
      `${events.join(", ")}: no call has both features and an outcome; send feedback to /v1/feedback first`,
    );
  }
  return { table: builder.finish(list, "all"), reading, sample, eventsUntilMs };
}

/** @throws UsageError */
function maxRowsFlag(flags: CommandContext["flags"]): number {
  const text = textFlag(flags, "max-rows");
  if (text === undefined) return defaultMaxRows;
  const rows = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  if (rows < 1_000) throw new UsageError(`--max-rows ${text} is not a whole number from 1000 on.`);
  return rows;
}

function tellEvents({ out }: CommandContext, source: string, counts: EventCounts): void {
  const { used, unlabelled, foreign } = counts;
  out.note(
    `${source}: ${used} calls to learn from; ${unlabelled} without features or outcome left out`,
  );
  if (foreign > 0) out.note(`${foreign} calls of another embedder left out`);
}
