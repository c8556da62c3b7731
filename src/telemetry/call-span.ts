/**
 * The spans of a call, written from its event in the background thread, so that the serving thread
 * pays for neither. Attribute names: OpenTelemetry's gen_ai conventions and the predecessor's.
 * Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/
 *
 * Calls of one deployment that end alike differ in ids, times and numbers only. What they have in
 * common is encoded once (`CallShape`) and copied: a call's spans cost 4 µs instead of 37.
 */
import type { AttemptRecord, Decision, Receipt } from "../domain/decision.ts";
import type { CallEvent, CallTrace } from "../domain/event.ts";
import { withoutPrefix } from "../domain/model.ts";
import { createProtoBuffer, type ProtoBuffer } from "../std/proto-buffer.ts";
import {
  createFillPayload,
  decisionEventName,
  decisionPayloadKey,
  type FillPayload,
  hasFallback,
  providerOf,
  toPayloadPieces,
} from "./decision-event.ts";
import {
  attributeField,
  eventField,
  type SlotKind,
  type SpanFacts,
  spanField,
  spanInScope,
  valueField,
  writeAttribute,
  writeSlot,
  writeSpanFacts,
  writeTime,
} from "./otlp-encode.ts";
import type { Attributes } from "./telemetry.ts";

export interface SpanIds {
  /** 16 hex digits. */
  readonly newSpanId: () => string;
  /** A UUID of version 4. */
  readonly newEventId: () => string;
}

/** Writes the spans of a call as fields of their scope; says how many: none where not sampled. */
export type WriteCallSpans = (out: ProtoBuffer, event: CallEvent) => number;

/** What calls that are alike have in common. */
interface CallShape {
  /** The first of them. */
  readonly like: Alike;
  readonly call: Uint8Array;
  /** Where in `call` the numbers of a call go. */
  readonly slots: Slots;
  readonly decision?: Uint8Array;
  readonly attempts: readonly Uint8Array[];
  readonly payload?: readonly string[];
}

/** Offsets in the encoded facts; missing where a call has no such number. */
interface Slots {
  readonly callId: number;
  readonly overheadUs: number;
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly firstToken?: number;
  readonly cost?: number;
  readonly candidates?: number;
  readonly latency?: number;
  readonly score?: number;
}

type Alike = Pick<CallEvent, "receipt" | "tenant">;

/** Shapes that are kept: models that are asked for, and of each the latest ways to end. */
const modelLimit = 256;
const shapeLimit = 32;

export function createCallSpans(ids: SpanIds): WriteCallSpans {
  const shapes = new Map<string, CallShape[]>();
  const fill = createFillPayload();

  function shapeOf(event: CallEvent): CallShape {
    const { requestedModel, attempts } = event.receipt;
    if (attempts.length > 1) return toShape(event); // each has a story of its own
    const held = shapes.get(requestedModel);
    const known = held?.find(({ like }) => isAlike(like, event));
    if (known) return known;
    const shape = toShape(event);
    if (!held && shapes.size >= modelLimit) shapes.clear();
    shapes.set(requestedModel, [shape, ...(held ?? []).slice(0, shapeLimit - 1)]);
    return shape;
  }

  return (out, event) => {
    const { receipt, trace } = event;
    if (!trace?.sampled) return 0;
    const shape = shapeOf(event);
    const { decision, attempts } = receipt;
    writeCall(out, event, trace, shape, fill, ids.newEventId);
    if (decision && shape.decision)
      writeDecision(out, receipt, decision, trace, shape.decision, ids);
    for (const [at, facts] of shape.attempts.entries()) {
      const { startedAtMs, durationMs } = attempts[at] as AttemptRecord;
      const mark = beginChild(out, trace, ids, startedAtMs, startedAtMs + durationMs);
      out.raw(facts);
      out.end(mark);
    }
    return 1 + (shape.decision ? 1 : 0) + shape.attempts.length;
  };
}

/** Equal in all that a shape says. */
function isAlike(a: Alike, b: Alike): boolean {
  const [one, other] = [a.receipt, b.receipt];
  return (
    one.deployment === other.deployment &&
    one.outcome === other.outcome &&
    one.finishReason === other.finishReason &&
    one.operation === other.operation &&
    one.stream === other.stream &&
    one.error === other.error &&
    one.caller === other.caller &&
    one.callId.length === other.callId.length &&
    (one.usage === undefined) === (other.usage === undefined) &&
    (one.costMicroUsd === undefined) === (other.costMicroUsd === undefined) &&
    (one.timings.firstTokenMs === undefined) === (other.timings.firstTokenMs === undefined) &&
    a.tenant === b.tenant &&
    isAlikeDecision(one.decision, other.decision) &&
    one.attempts.length === other.attempts.length &&
    isAlikeAttempt(one.attempts[0], other.attempts[0])
  );
}

function isAlikeDecision(one: Decision | undefined, other: Decision | undefined): boolean {
  if (!one || !other) return one === other;
  return (
    one.strategy === other.strategy &&
    one.artifact === other.artifact &&
    one.reason === other.reason &&
    one.chosen === other.chosen &&
    isAlikeArm(one.arm, other.arm) &&
    (scoreOf(one) === undefined) === (scoreOf(other) === undefined)
  );
}

/** But for where the unit's hash fell. */
function isAlikeArm(one: Decision["arm"], other: Decision["arm"]): boolean {
  if (!one || !other) return one === other;
  return (
    one.experiment === other.experiment &&
    one.variant === other.variant &&
    one.probability === other.probability &&
    one.buckets === other.buckets &&
    one.keyType === other.keyType
  );
}

function isAlikeAttempt(one: AttemptRecord | undefined, other: AttemptRecord | undefined): boolean {
  if (!one || !other) return one === other;
  return (
    one.deployment === other.deployment &&
    one.model === other.model &&
    one.provider === other.provider &&
    one.outcome === other.outcome &&
    one.status === other.status &&
    one.error === other.error &&
    one.because === other.because
  );
}

/** Predicted quality of the chosen candidate. */
function scoreOf({ candidates, chosen }: Decision): number | undefined {
  for (const { model, quality } of candidates) if (model === chosen) return quality;
  return undefined;
}

function toShape(event: CallEvent): CallShape {
  const { receipt } = event;
  const { decision } = receipt;
  return {
    like: { receipt, tenant: event.tenant },
    ...encodeCall(receipt),
    ...(decision && {
      payload: toPayloadPieces(event, decision),
      decision: encode({
        name: "llm.routing.decision",
        kind: "internal",
        attributes: { "llm.routing.strategy": decision.strategy },
      }),
    }),
    attempts: receipt.attempts.map((attempt) => encode(toAttemptFacts(receipt, attempt))),
  };
}

function encodeCall(receipt: Receipt): Pick<CallShape, "call" | "slots"> {
  const { decision, usage, costMicroUsd, timings } = receipt;
  const out = createProtoBuffer(2048);
  writeSpanFacts(out, {
    name: `${operationOf(receipt)} ${receipt.requestedModel}`,
    kind: "server",
    ...(receipt.outcome !== "success" && { error: receipt.error ?? receipt.outcome }),
    attributes: {
      ...callAttributes(receipt),
      ...(decision && routerAttributes(receipt, decision)),
    },
  });
  const slot = (key: string, kind: SlotKind) => writeSlot(out, spanField.attributes, key, kind);
  const slots: Slots = {
    callId: slot("routeiq.call_id", receipt.callId.length),
    overheadUs: slot("routeiq.overhead_us", "int"),
    ...(usage && {
      inputTokens: slot("gen_ai.usage.input_tokens", "int"),
      outputTokens: slot("gen_ai.usage.output_tokens", "int"),
    }),
    ...(timings.firstTokenMs !== undefined && {
      firstToken: slot("gen_ai.response.time_to_first_chunk", "double"),
    }),
    ...(costMicroUsd !== undefined && { cost: slot("llm.cost.total", "double") }),
    ...(decision && {
      candidates: slot("router.candidates_evaluated", "int"),
      latency: slot("router.latency_ms", "double"),
    }),
    ...(decision && scoreOf(decision) !== undefined && { score: slot("router.score", "double") }),
  };
  return { call: out.take(), slots };
}

function encode(facts: SpanFacts): Uint8Array {
  const out = createProtoBuffer(1024);
  writeSpanFacts(out, facts);
  return out.take();
}

function beginSpan(
  out: ProtoBuffer,
  traceId: string,
  spanId: string,
  startMs: number,
  endMs: number,
) {
  const mark = out.begin(spanInScope);
  out.hex(spanField.traceId, traceId);
  out.hex(spanField.spanId, spanId);
  writeTime(out, spanField.start, startMs);
  writeTime(out, spanField.end, endMs);
  return mark;
}

function beginChild(
  out: ProtoBuffer,
  trace: CallTrace,
  ids: SpanIds,
  startMs: number,
  endMs: number,
) {
  const mark = beginSpan(out, trace.traceId, ids.newSpanId(), startMs, endMs);
  out.hex(spanField.parentSpanId, trace.spanId);
  return mark;
}

function writeCall(
  out: ProtoBuffer,
  event: CallEvent,
  trace: CallTrace,
  shape: CallShape,
  fill: FillPayload,
  newEventId: () => string,
): void {
  const { receipt } = event;
  const { usage, timings, costMicroUsd, decision, atMs } = receipt;
  const mark = beginSpan(out, trace.traceId, trace.spanId, atMs, atMs + timings.totalMs);
  if (trace.parentSpanId !== undefined) out.hex(spanField.parentSpanId, trace.parentSpanId);
  const at = out.length;
  const { slots } = shape;
  out.raw(shape.call);
  out.patchText(at + slots.callId, receipt.callId);
  out.patchInt(at + slots.overheadUs, timings.overheadUs);
  if (usage && slots.inputTokens !== undefined && slots.outputTokens !== undefined) {
    out.patchInt(at + slots.inputTokens, usage.inputTokens);
    out.patchInt(at + slots.outputTokens, usage.outputTokens);
  }
  if (slots.firstToken !== undefined) {
    out.patchDouble(at + slots.firstToken, (timings.firstTokenMs ?? 0) / 1000);
  }
  if (slots.cost !== undefined) out.patchDouble(at + slots.cost, (costMicroUsd ?? 0) / 1e6);
  if (decision && slots.candidates !== undefined && slots.latency !== undefined) {
    let able = 0;
    for (const { filtered } of decision.candidates) if (filtered === undefined) able++;
    out.patchInt(at + slots.candidates, able);
    out.patchDouble(at + slots.latency, decision.decisionUs / 1000);
    if (slots.score !== undefined) out.patchDouble(at + slots.score, scoreOf(decision) ?? 0);
  }
  if (decision && shape.payload) {
    const inside = out.begin(spanField.events);
    writeTime(out, eventField.time, atMs + timings.overheadUs / 1000);
    out.text(eventField.name, decisionEventName);
    const attribute = out.begin(eventField.attributes);
    out.text(attributeField.key, decisionPayloadKey);
    const value = out.begin(attributeField.value);
    out.text(valueField.text, fill(shape.payload, event, decision, newEventId()));
    out.end(value);
    out.end(attribute);
    out.end(inside);
  }
  out.end(mark);
}

function writeDecision(
  out: ProtoBuffer,
  { atMs, timings }: Receipt,
  { candidates, decisionUs }: Decision,
  trace: CallTrace,
  facts: Uint8Array,
  ids: SpanIds,
): void {
  const endMs = atMs + timings.overheadUs / 1000;
  const mark = beginChild(out, trace, ids, Math.max(atMs, endMs - decisionUs / 1000), endMs);
  out.raw(facts);
  writeAttribute(out, spanField.attributes, "llm.routing.model_count", candidates.length);
  out.end(mark);
}

const operations: Readonly<Record<string, string>> = {
  chat: "chat",
  responses: "chat",
  embedding: "embeddings",
};

const operationOf = ({ operation }: Receipt) => operations[operation] ?? operation;

function callAttributes(receipt: Receipt): Attributes {
  const { error, deployment } = receipt;
  const answered = receipt.attempts.findLast((attempt) => attempt.outcome === "ok");
  return {
    "gen_ai.operation.name": operationOf(receipt),
    "gen_ai.request.model": receipt.requestedModel,
    "routeiq.outcome": receipt.outcome,
    "routeiq.stream": receipt.stream,
    "routeiq.attempts": receipt.attempts.length,
    ...(answered && {
      "gen_ai.system": answered.provider,
      "gen_ai.provider.name": answered.provider,
      "gen_ai.response.model": withoutPrefix(answered.model),
    }),
    ...(receipt.finishReason !== undefined && {
      "gen_ai.response.finish_reasons": [receipt.finishReason],
    }),
    ...(deployment !== undefined && { "routeiq.deployment": deployment }),
    ...(error !== undefined && { "error.type": error }),
  };
}

function routerAttributes(receipt: Receipt, decision: Decision): Attributes {
  const version = decision.artifact === "none" ? undefined : decision.artifact;
  return {
    "router.strategy": decision.strategy,
    "router.model_selected": decision.chosen,
    "router.decision_outcome": receipt.outcome,
    "router.decision_reason": decision.reason,
    "router.fallback_triggered": hasFallback(receipt),
    "routing.strategy_name": decision.strategy,
    ...(version !== undefined && {
      "router.strategy_version": version,
      "routing.strategy_version": version,
    }),
    ...(decision.arm && {
      "routing.variant": decision.arm.variant,
      ...(decision.arm.experiment !== undefined && {
        "routing.experiment": decision.arm.experiment,
      }),
    }),
    ...(receipt.error !== undefined && { "router.error_type": receipt.error }),
  };
}

function toAttemptFacts(receipt: Receipt, attempt: AttemptRecord): SpanFacts {
  const model = withoutPrefix(attempt.model);
  const provider = providerOf(attempt.model, receipt);
  return {
    name: `${operationOf(receipt)} ${model}`,
    kind: "client",
    ...(attempt.outcome !== "ok" && { error: attempt.error ?? attempt.outcome }),
    attributes: {
      "gen_ai.operation.name": operationOf(receipt),
      "gen_ai.request.model": model,
      "gen_ai.system": provider,
      "gen_ai.provider.name": provider,
      "routeiq.deployment": attempt.deployment,
      "routeiq.attempt.because": attempt.because,
      "http.response.status_code": attempt.status,
      ...(attempt.error !== undefined && { "error.type": attempt.error }),
    },
  };
}
