/**
 * Traces from Jaeger's query service: `http://host:16686?service=NAME`, with `&hours=24` (or `start`
 * and `end` as ISO times), `&operation=`, `&limit=`. A window of time that fills the limit is read
 * again in halves, so that nothing is lost to it.
 * Source: https://www.jaegertracing.io/docs/latest/architecture/apis/ (`/api/traces`)
 */
import { isObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import type { Clock } from "../../std/clock.ts";
import { fromBytes, type InputFile } from "./input-file.ts";
import { type DataProblems, unreadable } from "./problems.ts";

export const jaegerLimits = {
  /** Traces of one answer. */
  traces: 1_500,
  answerBytes: 256 * 1024 * 1024,
  /** A window is not halved below this. */
  leastWindowMs: 1_000,
  hours: 24,
  timeoutMs: 60_000,
} as const;

export interface JaegerAccess {
  readonly outbound: Outbound;
  readonly clock: Clock;
  readonly problems: DataProblems;
}

export function isJaegerAddress(address: string): boolean {
  return /^https?:\/\//i.test(address);
}

interface Wanted {
  readonly base: string;
  readonly params: URLSearchParams;
  readonly limit: number;
}

/** An answer of the service at a time. @throws GatewayError invalid_request */
export async function* readJaeger(
  address: string,
  access: JaegerAccess,
): AsyncGenerator<InputFile> {
  const url = new URL(address);
  const given = url.searchParams;
  const service = given.get("service");
  if (!service) {
    throw unreadable(address, `name the service: ${url.origin}?service=litellm-gateway&hours=24`);
  }
  const now = access.clock.now();
  const end = toTime(given.get("end"), now, address);
  const hours = Number(given.get("hours") ?? jaegerLimits.hours);
  if (!(hours > 0 && hours <= 24 * 366)) throw unreadable(address, `hours=${given.get("hours")}?`);
  const start = toTime(given.get("start"), end - hours * 3_600_000, address);
  const params = new URLSearchParams({ service });
  for (const name of ["operation", "tags"]) {
    const value = given.get(name);
    if (value) params.set(name, value);
  }
  const limit = Math.min(Number(given.get("limit")) || jaegerLimits.traces, 100_000);
  const path = url.pathname.replace(/\/(api\/traces)?\/?$/, "");
  yield* readWindow({ base: `${url.origin}${path}`, params, limit }, { start, end }, access);
}

/** An ISO time, or milliseconds or microseconds since 1970. */
function toTime(text: string | null, fallback: number, address: string): number {
  if (text === null) return fallback;
  const number = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (!Number.isFinite(number)) throw unreadable(address, `${text} is no time`);
  return number > 1e14 ? number / 1000 : number;
}

interface Window {
  readonly start: number;
  readonly end: number;
}

async function* readWindow(
  wanted: Wanted,
  { start, end }: Window,
  access: JaegerAccess,
): AsyncGenerator<InputFile> {
  const { bytes, traces, name } = await ask(wanted, { start, end }, access);
  const full = traces >= wanted.limit;
  if (full && end - start > 2 * jaegerLimits.leastWindowMs) {
    const middle = Math.floor((start + end) / 2);
    yield* readWindow(wanted, { start, end: middle }, access);
    yield* readWindow(wanted, { start: middle, end }, access);
    return;
  }
  if (full)
    access.problems.add(`${name}: more than ${wanted.limit} traces in a second; some are missing`);
  if (traces > 0) yield fromBytes(name, bytes);
}

async function ask({ base, params, limit }: Wanted, { start, end }: Window, access: JaegerAccess) {
  const query = new URLSearchParams(params);
  query.set("start", String(Math.round(start * 1000)));
  query.set("end", String(Math.round(end * 1000)));
  query.set("limit", String(limit));
  const url = `${base}/api/traces?${query}`;
  const name = `${base} ${new Date(start).toISOString()}`;
  const response = await access.outbound
    .fetch({
      url,
      method: "GET",
      headers: { accept: "application/json" },
      trust: "operator",
      signal: AbortSignal.timeout(jaegerLimits.timeoutMs),
    })
    .catch((cause: unknown) => {
      throw unreadable(name, `Jaeger does not answer: ${String(cause)}`, cause);
    });
  const bytes = await readUpTo(response, jaegerLimits.answerBytes, name);
  if (response.status !== 200) {
    const said = new TextDecoder().decode(bytes.subarray(0, 200)).trim();
    throw unreadable(name, `Jaeger answered ${response.status}: ${said}`);
  }
  return { bytes, traces: countTraces(bytes, name), name };
}

function countTraces(bytes: Uint8Array, name: string): number {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw unreadable(name, "the answer is not JSON; is this Jaeger's query service?", cause);
  }
  const data = isObject(value) ? value["data"] : undefined;
  if (data === null) return 0;
  if (!Array.isArray(data)) {
    throw unreadable(name, `the answer has no "data"; is this Jaeger's query service?`);
  }
  return data.length;
}

async function readUpTo(response: Response, limit: number, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > limit) throw unreadable(name, `an answer over ${limit >> 20} MiB; give a limit`);
  }
  return Buffer.concat(chunks, size);
}
