/**
 * The demo's scenes but for the loop's turns (turns.ts): traffic without a router, a shadow set, and
 * fresh traffic with the router.
 */
import { writeFileSync } from "node:fs";
import { createRandom } from "../../std/random.ts";
import type { Output } from "../command.ts";
import type { Prompt } from "./prompts.ts";
import { labelOf, makeShadowSet, type ShadowSet, toPriceFile } from "./shadow.ts";
import { simulatedModels } from "./simulated-models.ts";
import type { Stage } from "./stage.ts";
import type { Topic } from "./topics.ts";
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
  /** What users ask while the loop is at work. */
  readonly meanwhile: readonly Prompt[];
}

export function cast(bank: readonly Prompt[], spare: readonly Prompt[]): Casting {
  const cut = (from: number, to: number) =>
    bank.slice(Math.round(from * bank.length), Math.round(to * bank.length));
  return {
    before: cut(0, 0.1),
    shadow: cut(0.1, 0.5),
    heldOut: cut(0.5, 0.86),
    after: cut(0.86, 1),
    meanwhile: [...spare, ...cut(0, 0.1)],
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

/**
 * A pilot, which the first turn learns from: rows about some topics, and a few about the others. The
 * second has them all, users' words and a judge's, so that it has much to learn and the gate can be
 * sure. Half of the pilot's topics are the dear model's: what it knows nothing of it rather pays for,
 * so that a router that knows better is not the dearer one as well.
 */
export const pilotTopics: readonly Topic[] = ["code", "facts", "law", "writing"];
const pilotOthers = 4;
export const rowFiles = { pilot: "pilot.jsonl", all: "shadow.jsonl", heldOut: "held-out.jsonl" };

/** Scene 2: a sample answered by all models and judged, apart from the traffic. */
export async function sceneShadow(play: Play, { shadow, heldOut }: Casting): Promise<ShadowSet> {
  const { stage, out } = play;
  const { path } = stage;
  writeFileSync(path("models.json"), toPriceFile());
  const set = await makeShadowSet(stage, [...shadow, ...heldOut], (line) => out.line(line));
  const write = (file: string, prompts: readonly Prompt[]) => {
    const lines = prompts.flatMap(({ id }) => set.lines.get(id) ?? []);
    writeFileSync(path(file), lines.map((line) => `${line}\n`).join(""));
  };
  const known = shadow.filter(({ topic }) => pilotTopics.includes(topic));
  const others = shadow.filter(({ topic }) => !pilotTopics.includes(topic));
  write(rowFiles.pilot, [...known, ...others.slice(0, pilotOthers)]);
  write(rowFiles.all, shadow);
  write(rowFiles.heldOut, heldOut);
  return set;
}

export interface DialResult extends Summary {
  readonly tradeoff: number;
}

export const dialSettings = [0, 0.25, 0.5, 0.75, 0.9, 1] as const;

/** Scene 5: fresh prompts, by the router at several settings of the dial, and by each model alone. */
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
