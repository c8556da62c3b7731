/** Bytes back into events (event-layout.ts), on whatever thread wants to know. */
import type {
  AttemptRecord,
  CandidateScore,
  Decision,
  Dial,
  Exploration,
  Floor,
  Receipt,
  Stay,
} from "../domain/decision.ts";
import type { CallEvent, CallTrace, UnreadQuery } from "../domain/event.ts";
import type { RawFeatures } from "../domain/features.ts";
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
import type { RecordRest } from "./write-record.ts";

/** Names by their number; number 0 is none. */
export type NamesOf = readonly (string | undefined)[];

/**
 * The record at `start`, whole. Fields that it has not are undefined or missing; typed arrays are
 * views of the page.
 */
export function readRecord(page: Page, start: number, dictionary: NamesOf): CallEvent {
  const { u32, f64 } = page;
  const w = start >> 2;
  const n = (start + words * 4) >> 1;
  const m = (start + words * 4 + names * 2) >> 3;
  const flags = u32[w + word.flags] as number;
  const nameAt = (slot: number) => dictionary[page.u16[n + slot] as number];
  const attemptCount = page.u16[n + name.attempts] ?? 0;
  let at = start + fixedBytes;
  const attempts: AttemptRecord[] = [];
  for (let i = 0; i < attemptCount; i++, at += attemptBytes) {
    attempts.push(readAttempt(page, at, dictionary));
  }
  let decision: Decision | undefined;
  if (flags & flag.decision) {
    const candidates: CandidateScore[] = [];
    const candidateCount = page.u16[n + name.candidates] ?? 0;
    for (let i = 0; i < candidateCount; i++, at += candidateBytes) {
      candidates.push(readCandidate(page, at, dictionary));
    }
    const neighbourCount = (page.u16[n + name.neighbours] ?? 0) - 1;
    const neighbours = neighbourCount < 0 ? undefined : readNeighbours(page, at, neighbourCount);
    at += Math.max(0, neighbourCount) * neighbourBytes;
    decision = present<Decision>({
      strategy: nameAt(name.strategy) ?? "",
      artifact: nameAt(name.artifact) ?? "",
      reason: nameAt(name.reason) as Decision["reason"],
      candidates,
      chosen: nameAt(name.chosen) ?? "",
      dial: flags & flag.dial ? readDial(f64, m, nameAt(name.floorModel)) : undefined,
      arm: undefined, // in the rest
      exploration: readExploration(f64, m, nameAt(name.explorationMode), nameAt(name.greedy)),
      stay: readStay(f64, m, nameAt(name.stayModel)),
      online: toNumber(f64[m + measure.online]),
      novelty: toNumber(f64[m + measure.novelty]),
      neighbours,
      decisionUs: f64[m + measure.decidedUs] as number,
      note: undefined, // the last text has these two, where there are any
      verification: undefined,
    });
  }
  let features: RawFeatures | undefined;
  if (flags & flag.features) {
    features = readFeatures(page, w, at, nameAt(name.embedder) ?? "");
    at += featureBytes(features);
  }
  let trace: CallTrace | undefined;
  if (flags & flag.trace) {
    trace = readTrace(page, at, flags);
    at += traceBytes;
  }
  const text = (slot: number): string | undefined => {
    const length = u32[w + slot] as number;
    if (length === 0) return undefined;
    at += length - 1;
    return page.bytes.toString("utf8", at - length + 1, at);
  };
  // In the order in which they were written.
  const callId = text(word.callId) ?? "";
  const requestId = flags & flag.sameId ? callId : (text(word.requestId) ?? "");
  const queryHash = text(word.queryHash);
  const sessionHash = text(word.sessionHash);
  const userHash = text(word.userHash);
  const plain = (flags & flag.escaped) === 0;
  const prompt = unquote(text(word.prompt), plain);
  const unread = flags & flag.unread ? readUnread(text, u32, w, flags) : undefined;
  const restText = text(word.rest);
  const rest: RecordRest = restText === undefined ? {} : JSON.parse(restText);
  if (decision && rest.decision) decision = { ...decision, ...rest.decision };
  const receipt = present<Receipt>({
    callId,
    requestId,
    atMs: f64[m + measure.atMs] as number,
    caller: nameAt(name.caller) ?? "",
    requestedModel: nameAt(name.requestedModel) ?? "",
    operation: nameAt(name.operation) ?? "",
    stream: (flags & flag.stream) !== 0,
    decision,
    attempts,
    strategyCalls: rest.strategyCalls,
    deployment: nameAt(name.deployment),
    outcome: nameAt(name.outcome) as Receipt["outcome"],
    error: nameAt(name.error),
    finishReason: nameAt(name.finishReason),
    form: flags & flag.form ? readForm(flags) : undefined,
    usage: flags & flag.usage ? readUsage(f64, m, flags, rest.usage) : undefined,
    costMicroUsd: toNumber(f64[m + measure.costMicroUsd]),
    timings: present<Receipt["timings"]>({
      decisionUs: f64[m + measure.decisionUs] as number,
      overheadUs: f64[m + measure.overheadUs] as number,
      queuedMs: toNumber(f64[m + measure.queuedMs]),
      firstTokenMs: toNumber(f64[m + measure.firstTokenMs]),
      totalMs: f64[m + measure.totalMs] as number,
    }),
    feedback: rest.feedback ?? [],
  });
  return present<CallEvent>({
    receipt,
    tenant: nameAt(name.tenant) ?? "",
    queryHash,
    queryLength: toNumber(f64[m + measure.queryLength]),
    sessionHash,
    userHash,
    features,
    inputTokens: toNumber(f64[m + measure.countedTokens]),
    prompt,
    trace,
    unread,
  });
}

/** Every field of a type named, so that a new one cannot be forgotten; the absent ones undefined. */
function present<T>(all: { [K in keyof Required<T>]: T[K] | undefined }): T {
  return all as T;
}

function toNumber(value: number | undefined): number | undefined {
  return value === undefined || Number.isNaN(value) ? undefined : value;
}

function unquote(text: string | undefined, plain: boolean): string | undefined {
  return plain || text === undefined ? text : JSON.parse(text);
}

function readForm(flags: number): NonNullable<Receipt["form"]> {
  return {
    of: flags & flag.toolForm ? "tool_call" : "json",
    valid: (flags & flag.formValid) !== 0,
  };
}

function readUnread(
  text: (slot: number) => string | undefined,
  u32: Uint32Array,
  w: number,
  flags: number,
): UnreadQuery {
  const plain = (flags & flag.escaped) === 0;
  return present<UnreadQuery>({
    text: unquote(text(word.text), plain) ?? "",
    toolText: text(word.toolText) ?? "",
    session: text(word.session),
    user: text(word.user),
    toolCount: u32[w + word.toolCount] ?? 0,
    extract: (flags & flag.extract) !== 0,
    keep: (flags & flag.keep) !== 0,
  });
}

function readAttempt(page: Page, start: number, dictionary: NamesOf): AttemptRecord {
  const at = start >> 1;
  const nameAt = (slot: number) => dictionary[page.u16[at + slot] as number];
  const d = start >> 3;
  return present<AttemptRecord>({
    deployment: nameAt(0) ?? "",
    model: nameAt(1) ?? "",
    provider: nameAt(2) ?? "",
    startedAtMs: page.f64[d + 2] as number,
    durationMs: page.f64[d + 3] as number,
    status: page.u16[at + 6] as number,
    outcome: nameAt(3) as AttemptRecord["outcome"],
    error: nameAt(4),
    because: nameAt(5) as AttemptRecord["because"],
    costMicroUsd: toNumber(page.f64[d + 4]),
  });
}

function readCandidate({ u16, f64 }: Page, start: number, dictionary: NamesOf): CandidateScore {
  const at = start >> 1;
  const d = (start >> 3) + 1;
  const prior = u16[at + 3] as number;
  return present<CandidateScore>({
    model: dictionary[u16[at] as number] ?? "",
    group: dictionary[u16[at + 1] as number] ?? "",
    filtered: dictionary[u16[at + 2] as number] as CandidateScore["filtered"],
    prior: prior === 0 ? undefined : prior === 1,
    quality: toNumber(f64[d]),
    uncertainty: toNumber(f64[d + 1]),
    costUsd: toNumber(f64[d + 2]),
    outputTokens: toNumber(f64[d + 3]),
    latencyMs: toNumber(f64[d + 4]),
    utility: toNumber(f64[d + 5]),
    probability: f64[d + 6] as number,
  });
}

function readNeighbours(
  { f64 }: Page,
  start: number,
  count: number,
): NonNullable<Decision["neighbours"]> {
  const at = start >> 3;
  return Array.from({ length: count }, (_, i) => ({
    row: f64[at + 2 * i] as number,
    similarity: f64[at + 2 * i + 1] as number,
  }));
}

function readDial(f64: Float64Array, m: number, model: string | undefined): Dial {
  return present<Dial>({
    tradeoff: f64[m + measure.tradeoff] as number,
    floor: model === undefined ? undefined : readFloor(f64, m, model),
    latencyWeight: toNumber(f64[m + measure.latencyWeight]),
  });
}

function readFloor(f64: Float64Array, m: number, model: string): Floor {
  const share = f64[m + measure.floorShare] as number;
  return present<Floor>({ share, model, violations: toNumber(f64[m + measure.floorViolations]) });
}

function readExploration(
  f64: Float64Array,
  m: number,
  mode: string | undefined,
  greedy: string | undefined,
): Exploration | undefined {
  if (mode === undefined) return undefined;
  return present<Exploration>({
    mode: mode as Exploration["mode"],
    greedy: greedy ?? "",
    draw: f64[m + measure.draw] as number,
    rate: f64[m + measure.explorationRate] as number,
    width: f64[m + measure.explorationWidth] as number,
    arms: f64[m + measure.explorationArms] as number,
  });
}

function readStay(f64: Float64Array, m: number, model: string | undefined): Stay | undefined {
  return model === undefined ? undefined : { model, lostUsd: f64[m + measure.lostUsd] as number };
}

function readUsage(
  f64: Float64Array,
  m: number,
  flags: number,
  rest: RecordRest["usage"] = {},
): Usage {
  return present<Usage>({
    inputTokens: f64[m + measure.inputTokens] as number,
    outputTokens: f64[m + measure.outputTokens] as number,
    cachedInputTokens: toNumber(f64[m + measure.cachedInputTokens]),
    cacheWriteTokens: toNumber(f64[m + measure.cacheWriteTokens]),
    reasoningTokens: toNumber(f64[m + measure.reasoningTokens]),
    modal: rest.modal,
    units: rest.units,
    service: rest.service,
    estimated:
      flags & (flag.estimated | flag.notEstimated) ? (flags & flag.estimated) !== 0 : undefined,
  });
}

function readFeatures(page: Page, w: number, start: number, embedderId: string): RawFeatures {
  const { u32, bytes } = page;
  const { buffer } = bytes;
  const embedding = new Float32Array(buffer, start, u32[w + word.embedding]);
  const shapeAt = start + embedding.byteLength;
  const shape = new Float32Array(buffer, shapeAt, u32[w + word.shape]);
  const bucketsAt = shapeAt + shape.byteLength;
  const lexicalBuckets = new Uint16Array(buffer, bucketsAt, u32[w + word.buckets]);
  const countsAt = bucketsAt + lexicalBuckets.byteLength;
  const lexicalCounts = new Uint8Array(buffer, countsAt, u32[w + word.counts]);
  return { embedderId, embedding, lexicalBuckets, lexicalCounts, shape };
}

function featureBytes(features: RawFeatures): number {
  const { embedding, shape, lexicalBuckets, lexicalCounts } = features;
  return (
    embedding.byteLength + shape.byteLength + lexicalBuckets.byteLength + lexicalCounts.byteLength
  );
}

function readTrace({ bytes }: Page, start: number, flags: number): CallTrace {
  const parent = (flags & flag.parent) !== 0;
  return present<CallTrace>({
    traceId: bytes.toString("latin1", start, start + 32),
    spanId: bytes.toString("latin1", start + 32, start + 48),
    parentSpanId: parent ? bytes.toString("latin1", start + 48, start + 64) : undefined,
    sampled: (flags & flag.sampled) !== 0,
  });
}
