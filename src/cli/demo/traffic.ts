/**
 * Traffic for the demo: prompts go through the gateway as any client's would, and a simulated user
 * says how good each answer was. Only here is the hidden truth known; the gateway never sees it.
 */
import { isObject } from "../../domain/json.ts";
import type { Outbound } from "../../security/outbound.ts";
import { sleep, systemClock } from "../../std/clock.ts";
import type { Random } from "../../std/random.ts";
import type { Prompt } from "./prompts.ts";
import { simulatedModels, trueQuality } from "./simulated-models.ts";

export interface Target {
  readonly outbound: Outbound;
  /** `http://127.0.0.1:<port>` of the gateway. */
  readonly url: string;
  readonly seed: number;
}

/** What one call came to. */
export interface CallResult {
  readonly prompt: Prompt;
  readonly status: number;
  /** The simulated model that answered; empty where none did. */
  readonly model: string;
  readonly quality: number;
  readonly costUsd: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly callId: string;
  readonly artifact: string;
  readonly latencyMs: number;
  /** What a failed call was answered with. */
  readonly error?: string;
}

export interface TrafficOptions {
  /** Model to ask for: `auto`, or one by name. */
  readonly model: string;
  readonly tradeoff?: number;
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Who asks, call after call; nobody is named where missing. */
  readonly nextUser?: () => string;
  /** Between an answer and the same user's next question. Default: none. */
  readonly thinkMs?: number;
  /** When it aborts, calls in flight end well and no more are sent. */
  readonly enough?: AbortSignal;
  /** Where set, users send feedback on this share of the answers. */
  readonly feedback?: { readonly share: number; readonly random: Random };
  readonly onResult?: (result: CallResult, done: number) => void;
}

/** Sends every prompt once, so many at a time; gives the results of those sent, in order. */
export async function sendTraffic(
  prompts: readonly Prompt[],
  target: Target,
  options: TrafficOptions,
): Promise<readonly CallResult[]> {
  const results = new Array<CallResult>(prompts.length);
  let next = 0;
  let done = 0;
  const work = async () => {
    while (next < prompts.length && !options.enough?.aborted) {
      options.signal.throwIfAborted();
      const at = next++;
      const prompt = prompts[at];
      if (!prompt) return;
      const result = await sendPrompt(prompt, target, options);
      results[at] = result;
      await giveFeedback(result, target, options);
      options.onResult?.(result, ++done);
      if (options.thinkMs) await sleep(systemClock, options.thinkMs, options.signal);
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, work));
  return results.filter((result) => result !== undefined);
}

async function sendPrompt(
  prompt: Prompt,
  { outbound, url, seed }: Target,
  { model, tradeoff, signal, nextUser }: TrafficOptions,
): Promise<CallResult> {
  const startedMs = performance.now();
  const response = await outbound.fetch({
    url: `${url}/v1/chat/completions`,
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(tradeoff === undefined ? {} : { "x-routeiq-tradeoff": String(tradeoff) }),
    },
    body: JSON.stringify({
      model,
      user: nextUser?.(), // JSON leaves it out where nobody is named
      messages: [{ role: "user", content: prompt.text }],
    }),
    signal,
    trust: "operator",
  });
  const text = await response.text();
  const body: unknown = response.ok ? JSON.parse(text) : undefined;
  const header = (name: string) => response.headers.get(name) ?? "";
  const answered = simulatedModels.find(({ name }) => header("x-routeiq-model").endsWith(name));
  const usage = isObject(body) && isObject(body["usage"]) ? body["usage"] : {};
  return {
    prompt,
    status: response.status,
    model: answered?.name ?? "",
    quality: answered && response.ok ? trueQuality(answered, prompt, seed) : 0,
    costUsd: Number(header("x-routeiq-cost-usd")) || 0,
    inputTokens: Number(usage["prompt_tokens"]) || 0,
    outputTokens: Number(usage["completion_tokens"]) || 0,
    callId: header("x-routeiq-call-id"),
    artifact: header("x-routeiq-artifact"),
    latencyMs: performance.now() - startedMs,
    ...(response.ok ? {} : { error: text.slice(0, 300) }),
  };
}

/** A user's thumb: up as often as the answer is good. */
async function giveFeedback(
  result: CallResult,
  { outbound, url }: Target,
  { feedback, signal }: TrafficOptions,
): Promise<void> {
  if (!feedback || result.status !== 200) return;
  if (feedback.random.next() >= feedback.share) return;
  const thumbs = feedback.random.next() < result.quality ? "up" : "down";
  const response = await outbound.fetch({
    url: `${url}/v1/feedback`,
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ call_id: result.callId, thumbs, source: "simulated-user" }),
    signal,
    trust: "operator",
  });
  const text = await response.text();
  if (response.status !== 202) {
    throw new Error(`feedback on ${result.callId} was answered ${response.status}: ${text}`);
  }
}

/** Means over calls; a failed call counts with quality 0. */
export interface Summary {
  readonly calls: number;
  readonly failed: number;
  readonly quality: number;
  /** USD for 1,000 calls like these. */
  readonly costPer1000Usd: number;
  readonly latencyMs: number;
  /** Calls per simulated model. */
  readonly models: Readonly<Record<string, number>>;
}

export function summarise(results: readonly CallResult[]): Summary {
  const calls = results.length;
  const mean = (of: (result: CallResult) => number) =>
    results.reduce((sum, result) => sum + of(result), 0) / Math.max(1, calls);
  const models: Record<string, number> = {};
  for (const { model } of results) if (model) models[model] = (models[model] ?? 0) + 1;
  return {
    calls,
    failed: results.filter(({ status }) => status !== 200).length,
    quality: mean(({ quality }) => quality),
    costPer1000Usd: mean(({ costUsd }) => costUsd) * 1000,
    latencyMs: mean(({ latencyMs }) => latencyMs),
    models,
  };
}
