/**
 * Where labels go: into the event log that the calls are in, or, where those are segments of a folder
 * or bucket, into segments of feedback beside them, which every reader joins.
 */
import { randomBytes } from "node:crypto";
import type { Feedback } from "../../domain/decision.ts";
import { openRepository, toS3Settings } from "../../learning/artifacts/open-repository.ts";
import { holdsSegments } from "../../learning/events/event-source.ts";
import { createOutbound } from "../../security/outbound.ts";
import { systemClock } from "../../std/clock.ts";
import { takePidLock } from "../../storage/file/pid-lock.ts";
import { toSegmentKey } from "../../storage/segments/segment-name.ts";
import { feedbackColumns } from "../../storage/segments/segment-row.ts";
import { writeSegment } from "../../storage/segments/write-segment.ts";
import { openEventStore } from "../../storage/sqlite/event-store.ts";
import { openEvents } from "../../storage/sqlite/read-events.ts";
import type { CommandContext } from "../command.ts";

export interface LabelSink {
  /** False where the call has such a label by now, or is gone. @throws GatewayError storage_failed */
  store(feedback: Feedback): Promise<boolean>;
  /** Everything stored is durable once it resolves. @throws GatewayError storage_failed */
  close(): Promise<void>;
}

/** @throws GatewayError not_found where there is no log; storage_failed where another labels it */
export function openLabelSink(source: string, { env }: Pick<CommandContext, "env">): LabelSink {
  return holdsSegments(source) ? toSegments(source, env) : toLog(source);
}

function toLog(source: string): LabelSink {
  const reader = openEvents(source);
  const { path } = reader;
  reader.close();
  const release = takePidLock(`${path}.label-lock`);
  const store = openEventStore(path);
  return {
    async store(feedback) {
      // Somebody may have been here meanwhile; a label is given once.
      const known = store.find(feedback.callId)?.feedback;
      if (!known || known.some((one) => one.source === feedback.source)) return false;
      return store.addFeedback(feedback);
    },
    async close() {
      store.close();
      release();
    },
  };
}

/** Labels of a segment: what a kill may cost, in money as well. */
const segmentLabels = 25;

function toSegments(source: string, env: CommandContext["env"]): LabelSink {
  const access = { outbound: createOutbound(), clock: systemClock, s3: toS3Settings(env) };
  const store = openRepository(source, access);
  /** Of this run: segments of two runs have two names. */
  const log = randomBytes(8).toString("hex");
  const seen = new Set<string>();
  let rows: Feedback[] = [];
  let written = 0;

  /** Labels that come while it writes begin the next segment. */
  async function flush(): Promise<void> {
    const [first] = rows;
    if (!first) return;
    const page = rows;
    rows = [];
    const span = { first: written + 1, last: written + page.length, atMs: first.atMs };
    written += page.length;
    const bytes = await writeSegment(page, feedbackColumns, "jsonl");
    await store.put(toSegmentKey({ kind: "feedback", log, ...span }, "jsonl"), bytes);
  }

  return {
    async store(feedback) {
      if (seen.has(feedback.callId)) return false;
      seen.add(feedback.callId);
      rows.push(feedback);
      if (rows.length >= segmentLabels) await flush();
      return true;
    },
    async close() {
      await flush().finally(() => store.close());
    },
  };
}
