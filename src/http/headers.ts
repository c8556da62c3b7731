/** The headers of DESIGN §7, ours and LiteLLM's, on answers and on errors. */
import type { Call } from "../domain/call.ts";
import type { Deployment } from "../domain/model.ts";
import { type CallRecord, costOf, retriesOf } from "../pipeline/record.ts";
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

/** Costs are in the headers of whole replies alone: a stream's headers leave before it is known. */
export function callHeaders(record: CallRecord, services: Services): HeaderTable {
  const { call, ranking, deployment } = record;
  const headers = basicHeaders(call.requestId, call.id);
  if (call.dialect === "anthropic") headers["request-id"] = call.requestId;
  headers["x-routeiq-attempts"] = String(attemptsOf(record));
  headers["x-routeiq-overhead-us"] = String(Math.round(record.overheadUs));
  headers["x-routeiq-cache"] = "off";
  headers["x-litellm-attempted-retries"] = String(retriesOf(record));
  headers["x-litellm-attempted-fallbacks"] = String(record.fallbacks);
  headers["x-litellm-model-group"] = toHeaderText(call.requestedModel);
  headers["x-litellm-key-spend"] = usd(services.spend.of(call.caller.id));
  if (ranking) {
    const { strategy, artifact, decisionUs } = ranking.decision;
    headers["x-routeiq-strategy"] = strategy;
    headers["x-routeiq-artifact"] = artifact;
    headers["x-routeiq-decision-us"] = String(Math.round(decisionUs));
  }
  if (deployment) addDeployment(headers, deployment);
  addCost(headers, record, call);
  return headers;
}

/** A stream's own attempt is written down at its end, but it counts from the start. */
function attemptsOf({ attempts, outcome }: CallRecord): number {
  return attempts.length + (outcome === undefined ? 1 : 0);
}

function addDeployment(headers: HeaderTable, deployment: Deployment): void {
  headers["x-routeiq-model"] = toHeaderText(deployment.candidate);
  headers["x-routeiq-deployment"] = toHeaderText(deployment.id);
  headers["x-litellm-model-id"] = toHeaderText(deployment.id);
  headers["x-litellm-model-api-base"] = hostOf(deployment.apiBase);
}

function addCost(headers: HeaderTable, record: CallRecord, { stream }: Call): void {
  if (stream && record.outcome !== "failure") return;
  const cost = record.outcome === "success" ? costOf(record) : 0;
  if (cost === undefined) return;
  headers["x-routeiq-cost-usd"] = usd(cost);
  headers["x-litellm-response-cost"] = usd(cost);
}

const usd = (microUsd: number) => (microUsd === 0 ? "0" : (microUsd / 1e6).toFixed(6));

function hostOf(url: string): string {
  const start = url.indexOf("//") + 2;
  const end = url.indexOf("/", start);
  return end < 0 ? url.slice(start) : url.slice(start, end);
}

/** Names are the operator's or the caller's own text; a header takes printable ASCII. */
function toHeaderText(text: string): string {
  return /^[\x20-\x7e]*$/.test(text) ? text : encodeURIComponent(text);
}
