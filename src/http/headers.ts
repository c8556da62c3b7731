/**
 * The headers of DESIGN §7, ours and LiteLLM's, on answers and on errors. A header costs the runtime
 * 0.7 µs to make from an object, a template's copy 0.06 µs: so most are made once per deployment.
 */
import type { Deployment } from "../domain/model.ts";
import { type CallRecord, costOf, retriesOf } from "../pipeline/record.ts";
import type { Services } from "../pipeline/services.ts";
import { version } from "../std/version.ts";

export type HeaderTable = Record<string, string>;

/** Undefined takes a header away. */
type Put = (name: string, value: string | undefined) => void;

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
  writeCall(record, services, (name, value) => {
    if (value !== undefined) headers[name] = value;
  });
  return headers;
}

export interface HeaderTemplates {
  /** Valid until the next call of it: hand them to a Response, which copies them, at once. */
  of(record: CallRecord, services: Services): Headers;
}

export function createHeaderTemplates(): HeaderTemplates {
  const templates = new WeakMap<Deployment, Map<string, Template>>();

  function templateFor({ call, deployment }: CallRecord): Template {
    if (!deployment) return createTemplate(call.stream);
    const own = templates.getOrInsertComputed(deployment, () => new Map<string, Template>());
    const kind = `${call.dialect} ${call.stream}`;
    return own.getOrInsertComputed(kind, () => createTemplate(call.stream));
  }

  return {
    of(record, services) {
      const { headers, put } = templateFor(record);
      writeCall(record, services, put);
      return headers;
    },
  };
}

interface Template {
  readonly headers: Headers;
  readonly put: Put;
}

function createTemplate(stream: boolean): Template {
  const headers = new Headers({ "x-litellm-version": version });
  const last: Record<string, string | undefined> = {};
  const put: Put = (name, value) => {
    if (last[name] === value) return;
    last[name] = value;
    if (value === undefined) headers.delete(name);
    else headers.set(name, value);
  };
  put("content-type", stream ? "text/event-stream; charset=utf-8" : "application/json");
  if (stream) {
    put("cache-control", "no-cache");
    put("x-accel-buffering", "no"); // nginx would hold events back
  }
  return { headers, put };
}

/** Costs are in the headers of whole replies alone: a stream's headers leave before it is known. */
function writeCall(record: CallRecord, services: Services, put: Put): void {
  const { call, ranking, deployment } = record;
  put("x-request-id", call.requestId);
  put("x-routeiq-call-id", call.id);
  put("x-litellm-call-id", call.id);
  if (call.dialect === "anthropic") put("request-id", call.requestId);
  put("x-routeiq-attempts", String(attemptsOf(record)));
  put("x-routeiq-overhead-us", String(Math.round(record.overheadUs)));
  put("x-routeiq-cache", "off");
  put("x-litellm-attempted-retries", String(retriesOf(record)));
  put("x-litellm-attempted-fallbacks", String(record.fallbacks));
  put("x-litellm-model-group", toHeaderText(call.requestedModel));
  put("x-litellm-key-spend", usd(services.spend.of(call.caller.id)));
  if (ranking) {
    const { strategy, artifact, decisionUs } = ranking.decision;
    put("x-routeiq-strategy", strategy);
    put("x-routeiq-artifact", artifact);
    put("x-routeiq-decision-us", String(Math.round(decisionUs)));
  }
  if (deployment) writeDeployment(deployment, put);
  const cost = costInHeader(record);
  put("x-routeiq-cost-usd", cost);
  put("x-litellm-response-cost", cost);
}

/** A stream's own attempt is written down at its end, but it counts from the start. */
function attemptsOf({ attempts, outcome }: CallRecord): number {
  return attempts.length + (outcome === undefined ? 1 : 0);
}

function writeDeployment(deployment: Deployment, put: Put): void {
  put("x-routeiq-model", toHeaderText(deployment.candidate));
  put("x-routeiq-deployment", toHeaderText(deployment.id));
  put("x-litellm-model-id", toHeaderText(deployment.id));
  put("x-litellm-model-api-base", hostOf(deployment.apiBase));
}

function costInHeader(record: CallRecord): string | undefined {
  if (record.outcome === "failure") return "0";
  if (record.call.stream) return undefined;
  // Of sound that is still coming, what it costs is known.
  const cost = record.outcome === "success" || record.usage ? costOf(record) : 0;
  return cost === undefined ? undefined : usd(cost);
}

/** Whole micro-USD as USD. A double prints without an exponent down to a millionth. */
export function usd(microUsd: number): string {
  return String(microUsd / 1e6);
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
