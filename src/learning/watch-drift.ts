/** The event log, watched for drift: what each decided call was like, and what its scores say later. */
import type { CandidateScore, Receipt } from "../domain/decision.ts";
import { type ErrorCode, errorTable } from "../domain/errors.ts";
import { createLru } from "../std/lru.ts";
import type { EventLog } from "../storage/event-log.ts";
import type { Telemetry } from "../telemetry/telemetry.ts";
import type { DriftAlarm, DriftSample, DriftWatch } from "./drift.ts";

/** Calls whose prediction is remembered, so that a score that comes later finds it. */
const rememberedCalls = 20_000;

interface Predicted {
  readonly artifact: string;
  readonly model: string;
  readonly quality: number;
}

/** Calls that no trained router decided pass at the price of a look at their decision. */
export function watchDrift(events: EventLog, drift: () => DriftWatch | undefined): EventLog {
  const calls = createLru<string, Predicted>(rememberedCalls);
  return {
    ...events,
    append(event) {
      events.append(event);
      const watch = drift();
      const sample = watch && toSample(event.receipt);
      if (!sample) return;
      watch.observe(sample);
      if (!Number.isFinite(sample.predictedQuality)) return;
      const { artifact, model, predictedQuality: quality } = sample;
      calls.set(event.receipt.callId, { artifact, model, quality });
    },
    async addFeedback(feedback) {
      const known = await events.addFeedback(feedback);
      const predicted = known ? calls.get(feedback.callId) : undefined;
      if (predicted) drift()?.observeScore(predicted, feedback.score - predicted.quality);
      return known;
    },
  };
}

/** Of a call that a trained router decided and the caller did not break; undefined of any other. */
function toSample({
  decision,
  outcome,
  error,
  attempts,
  timings,
}: Receipt): DriftSample | undefined {
  if (decision?.novelty === undefined || outcome === "cancelled") return undefined;
  if (error !== undefined && errorTable[error as ErrorCode]?.fault === "caller") return undefined;
  const chosen = decision.candidates.find(({ model }) => model === decision.chosen);
  if (!chosen) return undefined;
  // What another attempt made good was no success of the chosen model's.
  const [first] = attempts;
  const ok = outcome === "success" && attempts.length <= 1 && first?.outcome !== "failed";
  return {
    artifact: decision.artifact,
    model: decision.chosen,
    novelty: decision.novelty,
    predictedQuality: predictedOf(chosen),
    predictedLatencyMs: chosen.latencyMs ?? Number.NaN,
    ok,
    latencyMs: ok ? timings.totalMs : Number.NaN,
  };
}

/** A prior is no prediction. */
function predictedOf({ quality, prior }: CandidateScore): number {
  return prior || quality === undefined ? Number.NaN : quality;
}

/** Counts, gauges, and the audit event of an alarm. */
export function createDriftReport(telemetry: Telemetry) {
  const raised = telemetry.counter("routeiq.drift.alarms", "Alarms of drift raised.", ["kind"]);
  const standing = telemetry.gauge("routeiq.drift.active", "Alarms of drift that stand.", ["kind"]);
  return {
    raised(alarm: DriftAlarm): void {
      const { kind, artifact, message, remedy, model } = alarm;
      raised.add(1, kind);
      telemetry.log("warn", `drift: ${message}`, {
        audit: `drift.${kind}`,
        artifact,
        ...(model === undefined ? {} : { model }),
        remedy,
      });
    },
    /** When metrics are read. */
    standing(kinds: readonly string[], alarms: readonly DriftAlarm[]): void {
      for (const kind of kinds) {
        standing.set(alarms.filter((alarm) => alarm.kind === kind).length, kind);
      }
    },
  };
}
