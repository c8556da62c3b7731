/**
 * OpenTelemetry's public API on top of ours: what a plugin or an embedding program traces and counts
 * through `@opentelemetry/api` goes the way of our own spans and metrics. No SDK is needed.
 * Source: https://opentelemetry.io/docs/specs/otel/trace/api/, …/metrics/api/
 */
import { AsyncLocalStorage } from "node:async_hooks";
import {
  type Attributes as ApiAttributes,
  type AttributeValue as ApiValue,
  type Context,
  type ContextManager,
  context,
  type Exception,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  type TextMapPropagator,
  type TimeInput,
  TraceFlags,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { Clock } from "../std/clock.ts";
import type { Random } from "../std/random.ts";
import type { GatewayTelemetry } from "./create.ts";
import { createMeter } from "./otel-meter.ts";
import type { AttributeValue, SpanEvent, SpanRecord } from "./telemetry.ts";
import { beginTrace, newSpanId, parseTraceparent, toTraceparent } from "./trace-context.ts";

export interface OtelApiOptions {
  readonly telemetry: GatewayTelemetry;
  readonly clock: Clock;
  readonly random: Random;
  /** Share of traces without a parent that are recorded. */
  readonly sampleRatio: number;
}

/** Attributes and events a span keeps; more are left out. */
const attributeLimit = 128;
const eventLimit = 128;

/** Makes ours the API's global providers. The answer takes them away again. */
export function registerOtelApi(options: OtelApiOptions): () => void {
  const tracer = createTracer(options);
  trace.setGlobalTracerProvider({ getTracer: () => tracer });
  const meter = createMeter(options.telemetry);
  metrics.setGlobalMeterProvider({ getMeter: () => meter });
  context.setGlobalContextManager(createContextManager());
  propagation.setGlobalPropagator(w3cPropagator);
  return () => {
    for (const api of [trace, metrics, context, propagation]) api.disable();
  };
}

function createTracer(options: OtelApiOptions): Tracer {
  const { random, sampleRatio } = options;

  function startSpan(name: string, given: SpanOptions = {}, within = context.active()): Span {
    const parent = given.root ? undefined : trace.getSpanContext(within);
    const begun = parent
      ? {
          traceId: parent.traceId,
          spanId: newSpanId(random),
          parentSpanId: parent.spanId,
          sampled: (parent.traceFlags & TraceFlags.SAMPLED) !== 0,
        }
      : beginTrace(undefined, sampleRatio, random);
    const spanContext: SpanContext = {
      traceId: begun.traceId,
      spanId: begun.spanId,
      traceFlags: begun.sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    };
    return createSpan(name, given, spanContext, begun.parentSpanId, options);
  }

  return {
    startSpan,
    // Three overloads: (name, fn), (name, options, fn), (name, options, context, fn).
    startActiveSpan<F extends (span: Span) => unknown>(name: string, ...rest: unknown[]) {
      const run = rest.at(-1) as (span: Span) => ReturnType<F>;
      const given = rest.length > 1 ? (rest[0] as SpanOptions) : {};
      const within = rest.length > 2 ? (rest[1] as Context) : context.active();
      const span = startSpan(name, given, within);
      return context.with(trace.setSpan(within, span), run, undefined, span);
    },
  };
}

const kindNames: Readonly<Record<SpanKind, SpanRecord["kind"]>> = {
  [SpanKind.INTERNAL]: "internal",
  [SpanKind.SERVER]: "server",
  [SpanKind.CLIENT]: "client",
  [SpanKind.PRODUCER]: "producer",
  [SpanKind.CONSUMER]: "consumer",
};

function createSpan(
  givenName: string,
  given: SpanOptions,
  spanContext: SpanContext,
  parentSpanId: string | undefined,
  { telemetry, clock }: OtelApiOptions,
): Span {
  const sampled = spanContext.traceFlags === TraceFlags.SAMPLED && telemetry.spansOn;
  const startMs = toMs(given.startTime, clock);
  const attributes: Record<string, AttributeValue> = {};
  const events: SpanEvent[] = [];
  let name = givenName;
  let error: string | undefined;
  let ended = false;

  const set = (key: string, value: ApiValue | undefined) => {
    const known = Object.hasOwn(attributes, key);
    if (ended || value === undefined) return;
    if (known || Object.keys(attributes).length < attributeLimit) attributes[key] = toValue(value);
  };

  const span: Span = {
    spanContext: () => spanContext,
    isRecording: () => sampled && !ended,
    setAttribute(key, value) {
      set(key, value);
      return span;
    },
    setAttributes(all) {
      for (const [key, value] of Object.entries(all)) set(key, value);
      return span;
    },
    addEvent(event, second, time) {
      const isTime = second === undefined || isTimeInput(second);
      if (ended || events.length >= eventLimit) return span;
      events.push({
        name: event,
        atMs: toMs(isTime ? second : time, clock),
        attributes: isTime ? {} : toValues(second),
      });
      return span;
    },
    addLink: () => span, // links are not exported: our traces are trees
    addLinks: () => span,
    setStatus(status) {
      error = status.code === SpanStatusCode.ERROR ? (status.message ?? "error") : undefined;
      return span;
    },
    updateName(next) {
      name = next;
      return span;
    },
    recordException(exception, time) {
      span.addEvent("exception", describe(exception), time);
    },
    end(time) {
      if (ended) return;
      ended = true;
      if (!sampled) return;
      telemetry.span({
        name,
        traceId: spanContext.traceId,
        spanId: spanContext.spanId,
        ...(parentSpanId !== undefined && { parentSpanId }),
        kind: kindNames[given.kind ?? SpanKind.INTERNAL],
        startMs,
        endMs: toMs(time, clock),
        ...(error !== undefined && { error }),
        attributes,
        ...(events.length > 0 && { events }),
      });
    },
  };
  return given.attributes ? span.setAttributes(given.attributes) : span;
}

function describe(exception: Exception): ApiAttributes {
  if (typeof exception === "string") return { "exception.message": exception };
  return {
    "exception.type": String(exception.name ?? exception.code ?? "Error"),
    "exception.message": exception.message ?? "",
    "exception.stacktrace": exception.stack ?? "",
  };
}

function toValues(attributes: ApiAttributes): Record<string, AttributeValue> {
  const values: Record<string, AttributeValue> = {};
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) values[key] = toValue(value);
  }
  return values;
}

function toValue(value: ApiValue): AttributeValue {
  return Array.isArray(value) ? value.map(String) : (value as string | number | boolean);
}

function isTimeInput(value: ApiAttributes | TimeInput): value is TimeInput {
  return typeof value === "number" || value instanceof Date || Array.isArray(value);
}

/** The API's times: milliseconds, a Date, or [seconds, nanoseconds]. */
function toMs(time: TimeInput | undefined, clock: Clock): number {
  if (time === undefined) return clock.now();
  if (time instanceof Date) return time.getTime();
  return typeof time === "number" ? time : time[0] * 1000 + time[1] / 1e6;
}

function createContextManager(): ContextManager {
  const storage = new AsyncLocalStorage<Context>();
  const manager: ContextManager = {
    active: () => storage.getStore() ?? ROOT_CONTEXT,
    with: (within, run, self, ...args) => storage.run(within, () => run.apply(self as never, args)),
    bind<T>(within: Context, target: T): T {
      if (typeof target !== "function") return target;
      return ((...args: unknown[]) => storage.run(within, () => target(...args))) as T;
    },
    enable: () => manager,
    disable: () => manager,
  };
  return manager;
}

const header = "traceparent";
const stateHeader = "tracestate";

const w3cPropagator: TextMapPropagator = {
  inject(within, carrier, setter) {
    const spanContext = trace.getSpanContext(within);
    if (!spanContext) return;
    const { traceId, spanId, traceFlags } = spanContext;
    const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
    setter.set(carrier, header, toTraceparent({ traceId, spanId, sampled }));
    const state = spanContext.traceState?.serialize();
    if (state !== undefined && state !== "") setter.set(carrier, stateHeader, state);
  },
  extract(within, carrier, getter) {
    const found = getter.get(carrier, header);
    const parent = parseTraceparent(Array.isArray(found) ? found[0] : found);
    if (!parent) return within;
    const { traceId, spanId, sampled } = parent;
    const traceFlags = sampled ? TraceFlags.SAMPLED : TraceFlags.NONE;
    return trace.setSpanContext(within, { traceId, spanId, traceFlags, isRemote: true });
  },
  fields: () => [header, stateHeader],
};
