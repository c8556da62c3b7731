/** The calls of one round, run beside each other within limits; told of as each ends. */
import type { Caller } from "../../domain/call.ts";
import type { HostedEvent } from "../../domain/hosted-event.ts";
import type { HostedResult, HostedToolSettings } from "../../domain/hosted-tool.ts";
import { isObject, type JsonObject } from "../../domain/json.ts";
import type { Offered } from "./toolbox.ts";

export interface CallToRun {
  /** Which call of the turn. */
  readonly number: number;
  readonly offered: Offered;
  readonly args: string;
}

export interface RunOptions {
  readonly settings: HostedToolSettings;
  readonly caller: Caller;
  readonly requestId: string;
  readonly signal: AbortSignal;
  /** How many calls the turn may still make. */
  readonly left: number;
}

export interface RanCall {
  readonly call: CallToRun;
  readonly result: HostedResult;
}

export type RunEvent = { readonly event: HostedEvent } | { readonly ran: RanCall };

/** @throws the signal's reason */
export async function* runCalls(
  calls: readonly CallToRun[],
  options: RunOptions,
): AsyncGenerator<RunEvent> {
  const { settings, signal, left: mayRun } = options;
  const waiting = calls.map((call, i) => ({ call, over: i >= mayRun }));
  const running = new Map<CallToRun, Promise<RanCall>>();
  try {
    while (waiting.length > 0 || running.size > 0) {
      signal.throwIfAborted();
      while (running.size < settings.maxParallel) {
        const next = waiting.shift();
        if (!next) break;
        yield { event: { kind: "running", call: next.call.number } };
        running.set(next.call, runOne(next.call, next.over, options));
      }
      const ran = await Promise.race(running.values());
      running.delete(ran.call);
      yield { event: toEnded(ran) };
      yield { ran };
    }
  } finally {
    // Nobody waits for those any more; the signal has told them.
    for (const left of running.values()) left.catch(() => undefined);
  }
}

async function runOne(call: CallToRun, over: boolean, options: RunOptions): Promise<RanCall> {
  const { settings, caller, requestId, signal } = options;
  signal.throwIfAborted(); // whoever reads may have been slow
  if (over) return { call, result: refused(limitReached(settings)) };
  const args = parseArguments(call.args);
  if (!args) return { call, result: refused("The arguments are no JSON object.") };
  const gone = Promise.withResolvers<never>();
  const stop = () => gone.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    const running = call.offered.tool.run(args, { caller, requestId, signal });
    // A tool that does not listen is let go all the same.
    const result = await Promise.race([running, gone.promise]);
    return { call, result: cut(result, settings.maxResultBytes) };
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

const limitReached = ({ maxCalls }: HostedToolSettings) =>
  `This request has made all the tool calls that it may (${maxCalls}). Answer with what there is.`;

const invalidParams = -32602;

const refused = (message: string): HostedResult => ({
  text: message,
  failure: { kind: "protocol", code: invalidParams, message },
});

/** Some models write nothing where a tool takes nothing. */
function parseArguments(text: string): JsonObject | undefined {
  if (text.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined; // told to the model, which wrote it
  }
}

/** A result cut to its limit, and a word that says so. */
function cut(result: HostedResult, limitBytes: number): HostedResult {
  const bytes = new TextEncoder().encode(result.text);
  if (bytes.length <= limitBytes) return result;
  // A character that the cut goes through is left out.
  const kept = new TextDecoder().decode(bytes.subarray(0, limitBytes)).replace(/\uFFFD$/, "");
  return { ...result, text: `${kept}\n[cut: ${limitBytes} of ${bytes.length} bytes]` };
}

function toEnded({ call, result }: RanCall): HostedEvent {
  const { text: output, failure, search } = result;
  return {
    kind: "ended",
    call: call.number,
    output,
    ...(failure ? { failure } : {}),
    ...(search
      ? {
          queries: search.queries,
          results: search.passages.map(({ fileId, ...passage }) => ({
            file_id: fileId,
            ...passage,
          })),
        }
      : {}),
  };
}
