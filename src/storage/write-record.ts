/** Events into bytes (event-layout.ts), on the serving thread. */
import type { AttemptRecord, CandidateScore, Decision, Receipt } from "../domain/decision.ts";
import type { CallEvent, CallTrace } from "../domain/event.ts";
import { PackedFeatures, type RawFeatures } from "../domain/features.ts";
import type { Usage } from "../domain/usage.ts";
import {
  attemptBytes,
  candidateBytes,
  fixedBytes,
  flag,
  measure,
  name,
  names,
  neighbourBytes,
  type Page,
  traceBytes,
  word,
  words,
} from "./event-layout.ts";

/** Numbers names; undefined is 0. */
export type NumberOf = (text: string | undefined) => number;

/** Bytes that a record may take, at most: a UTF-16 unit is at most 3 of UTF-8, 6 in JSON. */
export function roomFor(event: CallEvent): number {
  const { receipt, features, unread } = event;
  const { decision, attempts } = receipt;
  const chars =
    receipt.callId.length +
    receipt.requestId.length +
    lengthOf(event.queryHash) +
    lengthOf(event.sessionHash) +
    lengthOf(event.userHash) +
    2 * (lengthOf(event.prompt) + lengthOf(unread?.text)) +
    lengthOf(unread?.toolText) +
    lengthOf(unread?.session) +
    lengthOf(unread?.user) +
    lengthOf(toRest(receipt));
  return (
    fixedBytes +
    traceBytes +
    attempts.length * attemptBytes +
    (decision?.candidates.length ?? 0) * candidateBytes +
    (decision?.neighbours?.length ?? 0) * neighbourBytes +
    (features ? sizeOf(features) : 0) +
    3 * chars +
    16
  );
}

const lengthOf = (text: string | undefined) => text?.length ?? 0;

function sizeOf(features: RawFeatures): number {
  if (features instanceof PackedFeatures) return features.packed.length;
  const { embedding, shape, lexicalBuckets, lexicalCounts } = features;
  return (
    embedding.byteLength + shape.byteLength + lexicalBuckets.byteLength + lexicalCounts.byteLength
  );
}

/**
 * Writes a record at `start`; says where the next one begins. There must be room (`roomFor`).
 * Cost: 1 µs for a plain call, 2 µs for a learned one; measured in test/bench/observation.bench.ts.
 */
export function writeRecord(
  page: Page,
  start: number,
  event: CallEvent,
  numberOf: NumberOf,
): number {
  const { receipt, features, unread, trace } = event;
  const w = start >> 2;
  page.u32.fill(0, w, w + words);
  writeNames(page, start + words * 4, event, numberOf);
  writeMeasures(page, start + words * 4 + names * 2, event);
  let flags = flagsOf(event);
  let at = start + fixedBytes;
  for (const attempt of receipt.attempts) at = writeAttempt(page, at, attempt, numberOf);
  const { decision } = receipt;
  if (decision) {
    for (const one of decision.candidates) at = writeCandidate(page, at, one, numberOf);
    if (decision.neighbours) at = writeNeighbours(page, at, decision.neighbours);
  }
  if (features) at = writeFeatures(page, w, at, features);
  if (trace) at = writeTrace(page, at, trace);

  const { bytes, u32 } = page;
  const put = (slot: number, text: string | undefined) => {
    if (text === undefined) return;
    const written = bytes.write(text, at, "utf8");
    u32[w + slot] = written + 1;
    at += written;
  };
  put(word.callId, receipt.callId);
  if (receipt.requestId === receipt.callId) flags |= flag.sameId;
  else put(word.requestId, receipt.requestId);
  put(word.queryHash, event.queryHash);
  put(word.sessionHash, event.sessionHash);
  put(word.userHash, event.userHash);
  const escaped = !isPlain(event.prompt) || !isPlain(unread?.text);
  if (escaped) flags |= flag.escaped;
  put(word.prompt, escaped ? JSON.stringify(event.prompt) : event.prompt);
  if (unread) {
    put(word.text, escaped ? JSON.stringify(unread.text) : unread.text);
    if (unread.toolText !== "") put(word.toolText, unread.toolText);
    put(word.session, unread.session);
    put(word.user, unread.user);
    u32[w + word.toolCount] = unread.toolCount;
  }
  put(word.rest, toRest(receipt));
  const end = (at + 7) & ~7;
  u32[w + word.flags] = flags;
  u32[w + word.size] = end - start;
  return end;
}

const isPlain = (text: string | undefined) => text === undefined || text.isWellFormed();

function flagsOf({ receipt, features, unread, trace }: CallEvent): number {
  const { usage, decision, form } = receipt;
  let flags = 0;
  if (form) {
    flags |= form.valid ? flag.form | flag.formValid : flag.form;
    if (form.of === "tool_call") flags |= flag.toolForm;
  }
  if (receipt.stream) flags |= flag.stream;
  if (decision) flags |= decision.dial ? flag.decision | flag.dial : flag.decision;
  if (usage) {
    flags |= flag.usage;
    if (usage.estimated !== undefined)
      flags |= usage.estimated ? flag.estimated : flag.notEstimated;
  }
  if (trace) {
    flags |= trace.sampled ? flag.trace | flag.sampled : flag.trace;
    if (trace.parentSpanId !== undefined) flags |= flag.parent;
  }
  if (features) flags |= flag.features;
  if (unread) {
    flags |= flag.unread;
    if (unread.extract) flags |= flag.extract;
    if (unread.keep) flags |= flag.keep;
  }
  return flags;
}

function writeNames({ u16 }: Page, start: number, event: CallEvent, numberOf: NumberOf): void {
  const { receipt, tenant, features } = event;
  const { decision } = receipt;
  const at = start >> 1;
  u16[at + name.tenant] = numberOf(tenant);
  u16[at + name.caller] = numberOf(receipt.caller);
  u16[at + name.requestedModel] = numberOf(receipt.requestedModel);
  u16[at + name.operation] = numberOf(receipt.operation);
  u16[at + name.outcome] = numberOf(receipt.outcome);
  u16[at + name.deployment] = numberOf(receipt.deployment);
  u16[at + name.error] = numberOf(receipt.error);
  u16[at + name.finishReason] = numberOf(receipt.finishReason);
  u16[at + name.strategy] = numberOf(decision?.strategy);
  u16[at + name.artifact] = numberOf(decision?.artifact);
  u16[at + name.reason] = numberOf(decision?.reason);
  u16[at + name.chosen] = numberOf(decision?.chosen);
  u16[at + name.floorModel] = numberOf(decision?.dial?.floor?.model);
  u16[at + name.embedder] = numberOf(features?.embedderId);
  u16[at + name.attempts] = receipt.attempts.length;
  u16[at + name.candidates] = decision?.candidates.length ?? 0;
  u16[at + name.neighbours] = decision?.neighbours ? decision.neighbours.length + 1 : 0;
  u16[at + name.explorationMode] = numberOf(decision?.exploration?.mode);
  u16[at + name.greedy] = numberOf(decision?.exploration?.greedy);
  u16[at + name.stayModel] = numberOf(decision?.stay?.model);
}

function writeMeasures({ f64 }: Page, start: number, event: CallEvent): void {
  const { receipt } = event;
  const { timings, usage, decision } = receipt;
  const at = start >> 3;
  f64[at + measure.atMs] = receipt.atMs;
  f64[at + measure.decisionUs] = timings.decisionUs;
  f64[at + measure.overheadUs] = timings.overheadUs;
  f64[at + measure.firstTokenMs] = toMeasure(timings.firstTokenMs);
  f64[at + measure.queuedMs] = toMeasure(timings.queuedMs);
  f64[at + measure.totalMs] = timings.totalMs;
  f64[at + measure.costMicroUsd] = toMeasure(receipt.costMicroUsd);
  f64[at + measure.countedTokens] = toMeasure(event.inputTokens);
  f64[at + measure.queryLength] = toMeasure(event.queryLength);
  f64[at + measure.inputTokens] = toMeasure(usage?.inputTokens);
  f64[at + measure.outputTokens] = toMeasure(usage?.outputTokens);
  f64[at + measure.cachedInputTokens] = toMeasure(usage?.cachedInputTokens);
  f64[at + measure.cacheWriteTokens] = toMeasure(usage?.cacheWriteTokens);
  f64[at + measure.reasoningTokens] = toMeasure(usage?.reasoningTokens);
  f64[at + measure.tradeoff] = toMeasure(decision?.dial?.tradeoff);
  f64[at + measure.floorShare] = toMeasure(decision?.dial?.floor?.share);
  f64[at + measure.novelty] = toMeasure(decision?.novelty);
  f64[at + measure.decidedUs] = toMeasure(decision?.decisionUs);
  f64[at + measure.floorViolations] = toMeasure(decision?.dial?.floor?.violations);
  f64[at + measure.latencyWeight] = toMeasure(decision?.dial?.latencyWeight);
  f64[at + measure.lostUsd] = toMeasure(decision?.stay?.lostUsd);
  const drawn = decision?.exploration;
  f64[at + measure.draw] = toMeasure(drawn?.draw);
  f64[at + measure.explorationRate] = toMeasure(drawn?.rate);
  f64[at + measure.explorationWidth] = toMeasure(drawn?.width);
  f64[at + measure.explorationArms] = toMeasure(drawn?.arms);
  f64[at + measure.online] = toMeasure(decision?.online);
}

/** JSON has neither NaN nor infinities, so what is no number is left out. */
function toMeasure(value: number | undefined): number {
  return value === undefined || !Number.isFinite(value) ? Number.NaN : value;
}

function writeAttempt(page: Page, start: number, one: AttemptRecord, numberOf: NumberOf): number {
  const { u16, f64 } = page;
  const at = start >> 1;
  u16[at] = numberOf(one.deployment);
  u16[at + 1] = numberOf(one.model);
  u16[at + 2] = numberOf(one.provider);
  u16[at + 3] = numberOf(one.outcome);
  u16[at + 4] = numberOf(one.error);
  u16[at + 5] = numberOf(one.because);
  u16[at + 6] = one.status;
  f64[(start >> 3) + 2] = one.startedAtMs;
  f64[(start >> 3) + 3] = one.durationMs;
  f64[(start >> 3) + 4] = toMeasure(one.costMicroUsd);
  return start + attemptBytes;
}

function writeCandidate(page: Page, start: number, one: CandidateScore, numberOf: NumberOf) {
  const { u16, f64 } = page;
  const at = start >> 1;
  u16[at] = numberOf(one.model);
  u16[at + 1] = numberOf(one.group);
  u16[at + 2] = numberOf(one.filtered);
  u16[at + 3] = one.prior === undefined ? 0 : one.prior ? 1 : 2;
  const d = (start >> 3) + 1;
  f64[d] = toMeasure(one.quality);
  f64[d + 1] = toMeasure(one.uncertainty);
  f64[d + 2] = toMeasure(one.costUsd);
  f64[d + 3] = toMeasure(one.outputTokens);
  f64[d + 4] = toMeasure(one.latencyMs);
  f64[d + 5] = toMeasure(one.utility);
  f64[d + 6] = toMeasure(one.probability);
  return start + candidateBytes;
}

function writeNeighbours(
  { f64 }: Page,
  start: number,
  neighbours: NonNullable<Decision["neighbours"]>,
): number {
  let at = start >> 3;
  for (const { row, similarity } of neighbours) {
    f64[at++] = row;
    f64[at++] = similarity;
  }
  return at << 3;
}

function writeFeatures(page: Page, w: number, start: number, features: RawFeatures): number {
  if (features instanceof PackedFeatures) {
    const { packed, dimensions, shapeSize, buckets } = features;
    page.u32[w + word.embedding] = dimensions;
    page.u32[w + word.shape] = shapeSize;
    page.u32[w + word.buckets] = buckets;
    page.u32[w + word.counts] = buckets;
    page.bytes.set(packed, start); // the order of a record is theirs
    return start + packed.length;
  }
  const { embedding, shape, lexicalBuckets, lexicalCounts } = features;
  const { u32 } = page;
  u32[w + word.embedding] = embedding.length;
  u32[w + word.shape] = shape.length;
  u32[w + word.buckets] = lexicalBuckets.length;
  u32[w + word.counts] = lexicalCounts.length;
  let at = start;
  page.f32.set(embedding, at >> 2);
  at += embedding.length * 4;
  page.f32.set(shape, at >> 2);
  at += shape.length * 4;
  page.u16.set(lexicalBuckets, at >> 1);
  at += lexicalBuckets.length * 2;
  page.bytes.set(lexicalCounts, at);
  return at + lexicalCounts.length;
}

function writeTrace({ bytes }: Page, start: number, trace: CallTrace): number {
  bytes.write(trace.traceId, start, 32, "latin1");
  bytes.write(trace.spanId, start + 32, 16, "latin1");
  if (trace.parentSpanId !== undefined) bytes.write(trace.parentSpanId, start + 48, 16, "latin1");
  return start + traceBytes;
}

/** What few calls have, in JSON; undefined for the many. */
export interface RecordRest {
  readonly usage?: Pick<Usage, "modal" | "units" | "service">;
  readonly feedback?: Receipt["feedback"];
  readonly strategyCalls?: Receipt["strategyCalls"];
  readonly decision?: Pick<Decision, "note" | "verification" | "arm">;
}

function toRest({ usage, feedback, decision, strategyCalls }: Receipt): string | undefined {
  const { modal, units, service } = usage ?? {};
  const counted = modal ?? units ?? service;
  const { note, verification, arm } = decision ?? {};
  const told = note ?? strategyCalls ?? arm;
  if (counted === undefined && feedback.length === 0 && told === undefined) return undefined;
  return JSON.stringify({
    usage: { modal, units, service },
    feedback,
    strategyCalls,
    decision: told && { note, verification, arm },
  } satisfies Rest);
}

type Rest = {
  usage: { [K in "modal" | "units" | "service"]: Usage[K] };
  feedback: unknown;
  strategyCalls: unknown;
  decision: unknown;
};
