/**
 * W3C trace context: continues a caller's trace or begins one, and tells upstreams.
 * Source: https://www.w3.org/TR/trace-context/
 */
import type { CallTrace } from "../domain/event.ts";
import { nextInt, type Random } from "../std/random.ts";

interface Parent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

const form = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const zeros = /^0+$/;

/** Undefined where the header is not valid: a new trace begins then, as the recommendation says. */
export function parseTraceparent(header: string | undefined): Parent | undefined {
  if (header === undefined || header.length > 256) return undefined;
  const [, version = "", traceId = "", spanId = "", flags = "", more] = form.exec(header) ?? [];
  if (version === "" || version === "ff" || zeros.test(traceId) || zeros.test(spanId)) {
    return undefined;
  }
  if (version === "00" && more !== undefined) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** The call's place: in the caller's trace where it sent one, whose sampling decision then holds. */
export function beginTrace(
  traceparent: string | undefined,
  ratio: number,
  random: Random,
): CallTrace {
  const parent = parseTraceparent(traceparent);
  const spanId = newSpanId(random);
  if (parent) {
    return {
      traceId: parent.traceId,
      spanId,
      parentSpanId: parent.spanId,
      sampled: parent.sampled && ratio > 0,
    };
  }
  return { traceId: hex(random, 4), spanId, sampled: random.next() < ratio };
}

/** The header for an upstream: the given span is its parent. */
export function toTraceparent(trace: CallTrace, spanId = trace.spanId): string {
  return `00-${trace.traceId}-${spanId}-${trace.sampled ? "01" : "00"}`;
}

export function newSpanId(random: Random): string {
  return hex(random, 2);
}

/** The two digits of every byte: `toString(16)` and padding cost three times as much. */
const digits = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/** Words of 32 bits, in hex, never all zero. */
function hex(random: Random, words: number): string {
  let text = "";
  let any = 0;
  for (let i = 0; i < words; i++) {
    const word = nextInt(random, 2 ** 32);
    any |= word;
    text += `${digits[word >>> 24]}${digits[(word >>> 16) & 255]}${digits[(word >>> 8) & 255]}${digits[word & 255]}`;
  }
  return any === 0 ? hex(random, words) : text;
}
