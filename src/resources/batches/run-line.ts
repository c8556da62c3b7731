/** One request of a batch, as a call like any other, and its answer as a line of the output. */

import type { Caller } from "../../domain/call.ts";
import { GatewayError, toGatewayError } from "../../domain/errors.ts";
import { CallFailed } from "../../pipeline/handle.ts";
import { runOwnCall } from "../../pipeline/own-call.ts";
import { type CallRecord, costOf } from "../../pipeline/record.ts";
import { isWhole } from "../../pipeline/reply.ts";
import type { Services } from "../../pipeline/services.ts";
import { sleep } from "../../std/clock.ts";
import type { LineUsage } from "./batch-output.ts";
import type { BatchEndpoint, BatchLine } from "./request-line.ts";

export interface LineRun {
  readonly line: BatchLine;
  readonly endpoint: BatchEndpoint;
  readonly caller: Caller;
  readonly services: () => Services;
  readonly signal: AbortSignal;
  /** LiteLLM's scale: the higher, the later. */
  readonly priority: number;
  /** Until then a line that found no room is tried again. Milliseconds since the epoch. */
  readonly untilMs: number;
}

export interface LineAnswer {
  readonly text: string;
  readonly failed: boolean;
  readonly usage: LineUsage;
}

const waitMs = { least: 1_000, most: 60_000 } as const;
/** Never throws but for the signal's reason and for the gateway's own end (draining). */
export async function runLine(of: LineRun): Promise<LineAnswer> {
  const { services, signal, untilMs } = of;
  for (let attempt = 0; ; attempt++) {
    signal.throwIfAborted();
    const now = services();
    try {
      return await ask(of, now);
    } catch (thrown) {
      signal.throwIfAborted();
      const failed = thrown instanceof CallFailed ? thrown : undefined;
      const error = failed?.error ?? toGatewayError(thrown);
      if (error.code === "draining") throw error;
      const pauseMs = Math.min(
        waitMs.most,
        Math.max(waitMs.least * 2 ** attempt, (error.retryAfterS ?? 0) * 1000),
      );
      // What passes by itself: too many at once, a provider that rests.
      const mayPass = error.status === 429 || error.status === 503;
      if (!mayPass || now.clock.now() + pauseMs >= untilMs)
        return toFailure(of, error, failed?.record);
      await sleep(now.clock, pauseMs, signal);
    }
  }
}

async function ask(of: LineRun, services: Services): Promise<LineAnswer> {
  const { line, endpoint, caller } = of;
  const { body: reply, record } = await runOwnCall(
    {
      ...endpoint,
      caller,
      body: { ...line.body, stream: undefined },
      signal: of.signal,
      headers: { "x-routeiq-priority": String(of.priority) },
    },
    services,
  );
  if (!isWhole(reply)) {
    reply.cancel("gone");
    throw new GatewayError("internal", "A batch was answered by a stream.");
  }
  const usage = usageOf(record);
  return { text: answerLine(line, record, asText(reply), usage), failed: false, usage };
}

const asText = (body: ArrayBuffer | Uint8Array | string) =>
  typeof body === "string" ? body : new TextDecoder().decode(body);

function answerLine(
  { customId }: BatchLine,
  { call }: CallRecord,
  reply: string,
  usage: LineUsage,
): string {
  // A reply that is written over several lines would be several lines of the output.
  const body = reply.includes("\n") ? JSON.stringify(JSON.parse(reply)) : reply;
  const head = JSON.stringify({ id: `batch_req_${call.id}`, custom_id: customId });
  const response = `{"status_code":200,"request_id":${JSON.stringify(call.requestId)},"body":${body}}`;
  return `${head.slice(0, -1)},"response":${response},"error":null,"usage":${usageText(usage)}}`;
}

function toFailure(
  { line, services }: LineRun,
  error: GatewayError,
  record: CallRecord | undefined,
): LineAnswer {
  const usage = usageOf(record);
  const requestId = record?.call.requestId ?? "";
  const body = services().getDialect("openai-chat").encodeError(error);
  const text = JSON.stringify({
    id: `batch_req_${record?.call.id ?? Bun.randomUUIDv7()}`,
    custom_id: line.customId,
    response: { status_code: error.status, request_id: requestId, body },
    error: { code: error.code, message: error.message },
  });
  return { text: `${text.slice(0, -1)},"usage":${usageText(usage)}}`, failed: true, usage };
}

/** A request that was never asked: its batch's time was over before. */
export function toExpired(customId: string): LineAnswer {
  const usage = usageOf(undefined);
  const message = "This request could not be executed before the completion window expired.";
  const text = JSON.stringify({
    id: `batch_req_${Bun.randomUUIDv7()}`,
    custom_id: customId,
    response: null,
    error: { code: "batch_expired", message },
  });
  return { text: `${text.slice(0, -1)},"usage":${usageText(usage)}}`, failed: true, usage };
}

function usageOf(record: CallRecord | undefined): LineUsage {
  const usage = record?.usage;
  return {
    inputTokens: usage?.inputTokens ?? 0,
    cachedTokens: usage?.cachedInputTokens ?? 0,
    outputTokens: usage?.outputTokens ?? 0,
    reasoningTokens: usage?.reasoningTokens ?? 0,
    costUsd: record ? (costOf(record) ?? 0) / 1e6 : 0,
  };
}

const usageText = (usage: LineUsage) =>
  JSON.stringify({
    input_tokens: usage.inputTokens,
    cached_tokens: usage.cachedTokens,
    output_tokens: usage.outputTokens,
    reasoning_tokens: usage.reasoningTokens,
    cost_usd: usage.costUsd,
  });
