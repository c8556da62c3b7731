/**
 * The headers of DESIGN §7, ours and LiteLLM's, on answers and on errors. A header costs the runtime
 * 0.7 µs to make from an object, a template's copy 0.06 µs: so most are made once per deployment.
 */
import type { Deployment } from "../domain/model.ts";
import { mayContinue } from "../pipeline/continuation.ts";
import { type CallRecord, costOf, retriesOf } from "../pipeline/record.ts";
import type { Reply } from "../pipeline/reply.ts";
import type { Services } from "../pipeline/services.ts";
import { version } from "../std/version.ts";

export type HeaderTable = Record<string, string>;

/** What an answer has even when it never became a call. */
export function basicHeaders(requestId: string, callId: string): HeaderTable {
  return {
    "x-request-id": requestId,
    "x-routeiq-call-id": callId,
    "x-litellm-call-id": callId,
    "x-litellm-version": version,
  };
}

/** Headers of a call that failed, as a table. */
export function callHeaders(record: CallRecord, services: Services): HeaderTable {
  const headers: HeaderTable = { "x-litellm-version": version };
  const put: Put = (name, value) => {
    if (value !== undefined) headers[names[name]] = value;
  };
  if (record.deployment) writeDeployment(record.deployment, put);
  writeCall(record, services, put);
  return headers;
}

export interface HeaderTemplates {
  /** Valid until the next call of it: hand them to a Response, which copies them, at once. */
  of(record: CallRecord, services: Services): Headers;
}

export function createHeaderTemplates(): HeaderTemplates {
  const templates = new WeakMap<Deployment, Map<string, Template>>();

  function templateFor({ call, deployment }: CallRecord): Template {
    if (!deployment) return createTemplate(call.stream, undefined);
    const own = templates.get(deployment) ?? new Map<string, Template>();
    const kind = call.stream ? `${call.dialect} stream` : call.dialect;
    const known = own.get(kind);
    if (known) return known;
    const template = createTemplate(call.stream, deployment);
    templates.set(deployment, own.set(kind, template));
    return template;
  }

  return {
    of(record, services) {
      const { headers, put } = templateFor(record);
      writeCall(record, services, put);
      return headers;
    },
  };
}

/** A head up to its last field; what frames the body follows, and the empty line. */
export type HeadWriter = (reply: Reply, services: Services, close: boolean) => string;

/** Heads of answers as text, for a connection that is written to without the runtime's server. */
export function createHeadWriter(): HeadWriter {
  const fixed = new WeakMap<Deployment, string>();
  const date = createDateField();
  const lines = new FieldLines(); // one for all heads: nothing waits while one is written

  function fixedOf(deployment: Deployment): string {
    const known = fixed.get(deployment);
    if (known !== undefined) return known;
    const own = new FieldLines();
    writeDeployment(deployment, own.put);
    fixed.set(deployment, own.text);
    return own.text;
  }

  return ({ record, contentType }, services, close) => {
    const { call, deployment } = record;
    lines.text = call.stream ? streamStart : wholeStart;
    lines.text += date(services.clock.now());
    lines.text += contentType ? `\r\ncontent-type: ${contentType}` : typeLines[Number(call.stream)];
    if (deployment) lines.text += fixedOf(deployment);
    writeCall(record, services, lines.put);
    return lines.text + (close ? "\r\nconnection: close\r\n" : "\r\n");
  };
}

/** Each line begins with the end of the one before: so a field is two pieces of text and not four. */
class FieldLines {
  text = "";
  readonly put: Put = (name, value) => {
    if (value !== undefined) this.text += lineStarts[name] + value;
  };
}

const jsonType = "application/json";
const eventType = "text/event-stream; charset=utf-8";
/** nginx would hold events back. */
const wholeStart = `HTTP/1.1 200 OK\r\nx-litellm-version: ${version}`;
const streamStart = `${wholeStart}\r\ncache-control: no-cache\r\nx-accel-buffering: no`;
const typeLines = [jsonType, eventType].map((type) => `\r\ncontent-type: ${type}`);

/** `Date` (RFC 9110 §6.6.1), made anew once a second. */
function createDateField(): (nowMs: number) => string {
  let second = -1;
  let line = "";
  return (nowMs) => {
    const at = Math.floor(nowMs / 1000);
    if (at === second) return line;
    second = at;
    line = `\r\ndate: ${new Date(nowMs).toUTCString()}`;
    return line;
  };
}

interface Template {
  readonly headers: Headers;
  readonly put: Put;
}

/** The headers that differ between calls, by the place where a template keeps what it said last. */
const names = {
  requestId: "x-request-id",
  callId: "x-routeiq-call-id",
  litellmCallId: "x-litellm-call-id",
  anthropicRequestId: "request-id",
  attempts: "x-routeiq-attempts",
  overheadUs: "x-routeiq-overhead-us",
  overheadMs: "x-litellm-overhead-duration-ms",
  cache: "x-routeiq-cache",
  retries: "x-litellm-attempted-retries",
  fallbacks: "x-litellm-attempted-fallbacks",
  group: "x-litellm-model-group",
  keySpend: "x-litellm-key-spend",
  strategy: "x-routeiq-strategy",
  artifact: "x-routeiq-artifact",
  decisionUs: "x-routeiq-decision-us",
  model: "x-routeiq-model",
  deployment: "x-routeiq-deployment",
  modelId: "x-litellm-model-id",
  apiBase: "x-litellm-model-api-base",
  region: "x-litellm-model-region",
  continuation: "x-routeiq-continuation",
  cost: "x-routeiq-cost-usd",
  litellmCost: "x-litellm-response-cost",
} as const;

const lineStarts = Object.fromEntries(
  Object.entries(names).map(([key, name]) => [key, `\r\n${name}: `]),
) as Record<keyof typeof names, string>;

/** Undefined takes a header away. */
type Put = (name: keyof typeof names, value: string | undefined) => void;

function createTemplate(stream: boolean, deployment: Deployment | undefined): Template {
  const headers = new Headers({
    "x-litellm-version": version,
    "content-type": stream ? eventType : jsonType,
  });
  if (stream) {
    headers.set("cache-control", "no-cache");
    headers.set("x-accel-buffering", "no"); // nginx would hold events back
  }
  // All of them from the start, so that the runtime knows the object's shape.
  const last: Record<keyof typeof names, string | undefined> = mapValues(names, () => undefined);
  const put: Put = (name, value) => {
    if (last[name] === value) return;
    last[name] = value;
    if (value === undefined) headers.delete(names[name]);
    else headers.set(names[name], value);
  };
  if (deployment) writeDeployment(deployment, put);
  return { headers, put };
}

function mapValues<K extends string, T>(table: Readonly<Record<K, unknown>>, to: () => T) {
  return Object.fromEntries(Object.keys(table).map((key) => [key, to()])) as Record<K, T>;
}

/** Costs are in the headers of whole replies alone: a stream's headers leave before it is known. */
function writeCall(record: CallRecord, services: Services, put: Put): void {
  const { call, ranking } = record;
  put("requestId", call.requestId);
  put("callId", call.id);
  put("litellmCallId", call.id);
  if (call.dialect === "anthropic") put("anthropicRequestId", call.requestId);
  put("attempts", String(attemptsOf(record)));
  const overheadUs = Math.round(record.overheadUs);
  put("overheadUs", String(overheadUs));
  put("overheadMs", decimal(overheadUs, 3));
  put("cache", "off");
  put("retries", String(retriesOf(record)));
  put("fallbacks", String(record.fallbacks));
  put("group", toHeaderText(call.requestedModel));
  put("keySpend", usd(services.spend.of(call.caller.id)));
  if (ranking) {
    const { strategy, artifact, decisionUs } = ranking.decision;
    put("strategy", strategy);
    put("artifact", artifact);
    put("decisionUs", String(Math.round(decisionUs)));
  }
  if (services.continuation) {
    put("continuation", call.stream && mayContinue(call) ? "possible" : undefined);
  }
  const cost = costInHeader(record);
  put("cost", cost);
  put("litellmCost", cost);
}

/** A stream's own attempt is written down at its end, but it counts from the start. */
function attemptsOf({ attempts, outcome }: CallRecord): number {
  return attempts.length + (outcome === undefined ? 1 : 0);
}

function writeDeployment(deployment: Deployment, put: Put): void {
  put("model", toHeaderText(deployment.candidate));
  put("deployment", toHeaderText(deployment.id));
  put("modelId", toHeaderText(deployment.id));
  put("apiBase", hostOf(deployment.apiBase));
  if (deployment.region !== undefined) put("region", toHeaderText(deployment.region));
}

function costInHeader(record: CallRecord): string | undefined {
  if (record.outcome === "failure") return "0";
  if (record.call.stream) return undefined;
  // Of sound that is still coming, what it costs is known.
  const cost = record.outcome === "success" || record.usage ? costOf(record) : 0;
  return cost === undefined ? undefined : usd(cost);
}

/** Whole micro-USD as USD. */
export const usd = (microUsd: number): string => decimal(microUsd, 6);

/** A whole number of so many decimals, as its division prints it, for a tenth of what that costs. */
function decimal(units: number, digits: 3 | 6): string {
  const one = digits === 6 ? 1_000_000 : 1_000;
  // A double prints without an exponent down to a millionth.
  if (!Number.isSafeInteger(units) || units < 0) return String(units / one);
  const whole = Math.floor(units / one);
  // Its first digit, a 1, keeps its zeros. An integer: the remainder of a double is a call to C.
  let rest = (units - whole * one + one) | 0;
  if (rest === one) return String(whole);
  while (rest % 10 === 0) rest = (rest / 10) | 0;
  return `${whole}.${String(rest).slice(1)}`;
}

function hostOf(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.indexOf("/", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

const printable = /^[\x20-\x7e]*$/;

/** Names are the operator's or the caller's own text; a header takes printable ASCII. */
function toHeaderText(text: string): string {
  return printable.test(text) ? text : encodeURIComponent(text.toWellFormed());
}
