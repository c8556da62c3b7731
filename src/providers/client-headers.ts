/** The headers of a request that differ from call to call, as a table or as text. */
import type { Call } from "../domain/call.ts";
import type { CallTrace } from "../domain/event.ts";
import { headerLine } from "../security/destination.ts";
import { toTraceparent } from "../telemetry/trace-context.ts";
import type { Provider } from "./provider.ts";

/** What a deployment's requests say anyway. */
export interface SaidHeaders {
  readonly headers: Readonly<Record<string, string>>;
  readonly provider: Provider;
}

/** Anthropic's callers choose beta features by header; they reach a provider of that dialect. */
export function withCallerHeaders(
  headers: Readonly<Record<string, string>>,
  call: Pick<Call, "dialect" | "headers">,
  provider: Provider,
): Readonly<Record<string, string>> {
  const beta =
    call.dialect === "anthropic" && provider.dialect.name === "anthropic"
      ? call.headers.get("anthropic-beta")
      : null;
  if (beta === null) return headers;
  const configured = headers["anthropic-beta"];
  return { ...headers, "anthropic-beta": configured ? `${configured},${beta}` : beta };
}

/** The header of `withCallerHeaders`, as text. */
export function betaLine(call: Call, { headers, provider }: SaidHeaders): string {
  if (provider.dialect.name !== "anthropic") return "";
  const configured = Object.entries(headers).find(([name]) => isBeta(name))?.[1];
  const asked = call.dialect === "anthropic" ? call.headers.get("anthropic-beta") : null;
  if (configured === undefined && asked === null) return "";
  const all = [configured, asked].filter((beta) => beta !== undefined && beta !== null);
  return headerLine("anthropic-beta", all.join(","));
}

export const isBeta = (name: string) => name.toLowerCase() === "anthropic-beta";

/** LiteLLM forwards what begins with `x-`; the SDKs' own marks, gateways' and proxies' are not the provider's. */
const notForwarded =
  /^x-(stainless|litellm|routeiq|forwarded|real-ip|request-id|api-key|goog-api-key|amz|admin)/;
const forwardedLimit = 32;

/** The caller's own headers as text, for deployments that forward them. */
export function callerLines({ headers }: Call, said: SaidHeaders): string {
  let lines = "";
  let left = forwardedLimit;
  for (const [name, value] of headers.entries()) {
    if (!name.startsWith("x-") || notForwarded.test(name) || name in said.headers) continue;
    if (left === 0) break;
    left -= 1;
    lines += headerLine(name, value);
  }
  return lines;
}

/** The headers of `withTrace`, as text. */
export function traceLines(call: Call, trace: CallTrace | undefined): string {
  const traceparent = trace ? toTraceparent(trace) : call.traceparent;
  if (traceparent === undefined) return "";
  const state = call.traceparent === undefined ? null : call.headers.get("tracestate");
  const line = `traceparent: ${traceparent}\r\n`;
  return state === null ? line : line + headerLine("tracestate", state);
}

/** Our span where spans are on, else the caller's own; a `tracestate` belongs to the caller's trace. */
export function withTrace(
  headers: Readonly<Record<string, string>>,
  call: Call,
  trace: CallTrace | undefined,
): Readonly<Record<string, string>> {
  const traceparent = trace ? toTraceparent(trace) : call.traceparent;
  if (traceparent === undefined) return headers;
  const state = call.traceparent === undefined ? null : call.headers.get("tracestate");
  return { ...headers, traceparent, ...(state === null ? {} : { tracestate: state }) };
}
