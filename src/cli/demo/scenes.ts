/**
 * The demo's scenes, in order: traffic without a router, a shadow set, training, the gate, signing
 * and publishing, the swap under load, and the same traffic with the router.
 */
import { writeFileSync } from "node:fs";
import { sleep, systemClock } from "../../std/clock.ts";
import { createRandom } from "../../std/random.ts";
import type { Output } from "../command.ts";
import type { Prompt } from "./prompts.ts";
import { labelOf, toPriceFile, toShadowRows } from "./shadow.ts";
import { simulatedModels } from "./simulated-models.ts";
import type { Stage } from "./stage.ts";
import {
  type CallResult,
  type Summary,
  sendTraffic,
  summarise,
  type Target,
  type TrafficOptions,
} from "./traffic.ts";

export interface Play {
  readonly stage: Stage;
  readonly target: Target;
  readonly out: Output;
  readonly seed: number;
  readonly signal: AbortSignal;
}

/** The bank's shares: what is logged, what teaches, what the gate judges, what is shown at the end. */
export interface Casting {
  readonly before: readonly Prompt[];
  readonly shadow: readonly Prompt[];
  readonly heldOut: readonly Prompt[];
  readonly after: readonly Prompt[];
}

export function cast(bank: readonly Prompt[]): Casting {
  const cut = (from: number, to: number) =>
    bank.slice(Math.round(from * bank.length), Math.round(to * bank.length));
  return {
    before: cut(0, 0.3),
    shadow: cut(0.3, 0.6),
    heldOut: cut(0.6, 0.75),
    after: cut(0.75, 1),
  };
}

const concurrency = 12;
/** Users who say what they thought of an answer. */
const feedbackShare = 0.6;

/** Calls with live figures in the progress line. */
async function perform(
  play: Play,
  label: string,
  prompts: readonly Prompt[],
  options: Pick<TrafficOptions, "model" | "tradeoff" | "feedback">,
): Promise<readonly CallResult[]> {
  const { out, target, signal } = play;
  let quality = 0;
  let costUsd = 0;
  return await sendTraffic(prompts, target, {
    ...options,
    concurrency,
    signal,
    onResult(result, done) {
      quality += result.quality;
      costUsd += result.costUsd;
      if (!out.terminal) return;
      const means = [
        `quality ${(quality / done).toFixed(3)}`,
        `$${((costUsd / done) * 1000).toFixed(2)} per 1,000 calls`,
      ];
      out.progress(`${label} · ${means.join(" · ")}`, done / prompts.length);
    },
  });
}

/** Scene 1: the static strategy answers, users give feedback, the event log fills. */
export async function sceneBefore(play: Play, { before }: Casting): Promise<Summary> {
  const random = createRandom(play.seed + 1);
  const feedback = { share: feedbackShare, random };
  return summarise(
    await perform(play, "traffic, no router yet", before, { model: "auto", feedback }),
  );
}

/** Every prompt on every model: the gateway's callers may ask for a model by name, too. */
async function askEveryModel(
  play: Play,
  label: string,
  prompts: readonly Prompt[],
): Promise<readonly (readonly CallResult[])[]> {
  const perModel: (readonly CallResult[])[] = [];
  for (const { name } of simulatedModels) {
    perModel.push(await perform(play, `${label}: ${name}`, prompts, { model: name }));
  }
  return perModel;
}

/** Scene 2: a sample answered by all models and judged, apart from the traffic. */
export async function sceneShadow(play: Play, { shadow, heldOut }: Casting): Promise<void> {
  const random = createRandom(play.seed + 2);
  const { path } = play.stage;
  writeFileSync(path("models.json"), toPriceFile());
  const rows = async (file: string, label: string, prompts: readonly Prompt[]) => {
    const results = await askEveryModel(play, label, prompts);
    writeFileSync(path(file), `${toShadowRows(results, random).join("\n")}\n`);
  };
  await rows("shadow.jsonl", "shadow set", shadow);
  await rows("held-out.jsonl", "held-out set", heldOut);
}

export interface SwapReport {
  readonly artifact: string;
  readonly calls: number;
  readonly failed: number;
  /** From `publish` to the first answer under the new router. */
  readonly seconds: number;
  /** Slowest call of all, before, at and after the swap. */
  readonly slowestMs: number;
  /** What a failed call said, if any failed. */
  readonly firstError?: string;
}

const swapTimeoutMs = 30_000;
/** Few, so that publishing has a processor to itself on a machine with two. */
const swapConcurrency = 4;

/** Scene 5: publish while calls go on, and watch the gateway take the router by itself. */
export async function sceneSwap(
  play: Play,
  { before }: Casting,
  publish: () => Promise<void>,
): Promise<SwapReport> {
  const { signal, target } = play;
  const ended = new AbortController();
  const calls: CallResult[] = [];
  const loop = async () => {
    while (!ended.signal.aborted) {
      await sendTraffic(before, target, {
        model: "auto",
        concurrency: swapConcurrency,
        signal,
        enough: ended.signal,
        onResult: (result) => calls.push(result),
      });
    }
  };
  const load = loop();
  // Its failure is met below, at `await load`; until then it must not count as unhandled.
  load.catch(() => ended.abort());
  try {
    const startedMs = performance.now();
    await publish();
    const seen = () => calls.find(({ artifact }) => artifact !== "" && artifact !== "none");
    while (!seen() && !ended.signal.aborted) {
      if (performance.now() - startedMs > swapTimeoutMs) {
        const { text } = await play.stage.readiness();
        throw new Error(`the gateway took no router in ${swapTimeoutMs / 1000} s: ${text}`);
      }
      await sleep(systemClock, 25, signal);
    }
    const seconds = (performance.now() - startedMs) / 1000;
    await sleep(systemClock, 500, signal);
    ended.abort();
    await load;
    const failed = calls.filter(({ status }) => status !== 200);
    const firstError = failed[0]?.error;
    return {
      artifact: seen()?.artifact ?? "none",
      calls: calls.length,
      failed: failed.length,
      seconds,
      slowestMs: Math.max(...calls.map(({ latencyMs }) => latencyMs)),
      ...(firstError === undefined ? {} : { firstError }),
    };
  } finally {
    ended.abort();
  }
}

export interface DialResult extends Summary {
  readonly tradeoff: number;
}

export const dialSettings = [0, 0.25, 0.5, 0.75, 0.9, 1] as const;

/** Scene 6: fresh prompts, by the router at several settings of the dial, and by each model alone. */
export async function sceneAfter(play: Play, { after }: Casting) {
  const dial: DialResult[] = [];
  for (const tradeoff of dialSettings) {
    const label = `traffic, router, dial ${tradeoff}`;
    const results = await perform(play, label, after, { model: "auto", tradeoff });
    dial.push({ tradeoff, ...summarise(results) });
  }
  const perModel = await askEveryModel(play, "same prompts, one model", after);
  const singles = simulatedModels.map(({ name }, at) => ({
    model: name,
    label: labelOf(name),
    ...summarise(perModel[at] ?? []),
  }));
  return { dial, singles };
}
