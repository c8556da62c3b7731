/** What a decision tells of how its choice came about: probabilities, the order, what it will teach. */
import type { CandidateScore, Decision } from "../domain/decision.ts";
import type { Decided } from "./decide.ts";
import type { Drawn } from "./explore.ts";
import type { LearnedView } from "./learned-view.ts";
import type { Lesson } from "./online.ts";
import { chosenFirst } from "./static-ranking.ts";
import type { QueryScores, TrainedRouter } from "./trained-router.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A conversation's model in front, chosen for certain. */
export function keepFirst(
  scores: readonly CandidateScore[],
  model: string | undefined,
): readonly CandidateScore[] {
  const sure = scores.map((each) =>
    each.filtered ? each : { ...each, probability: each.model === model ? 1 : 0 },
  );
  return model === undefined ? sure : chosenFirst(sure, model);
}

/** What the outcome of the chosen one will teach; undefined where the router does not know it. */
export function toLesson(
  { identity }: TrainedRouter,
  of: {
    readonly scores: QueryScores;
    readonly inputs: Float32Array;
    readonly view: LearnedView;
    readonly chosen: string;
  },
): Lesson | undefined {
  const label = of.view.inputs.find(({ model }) => model === of.chosen)?.label ?? -1;
  if (label < 0) return undefined;
  const predicted = of.scores.quality[label] as number;
  return { artifact: identity.sha256, label, inputs: of.inputs, predicted };
}

/** An abstention may be explored: what is unlike all training data is what can be learnt. */
export function mayExplore({ reason }: Decided, { constant }: TrainedRouter): boolean {
  return !constant && (reason === "utility" || reason === "abstained");
}

/** The one that was drawn in front; every arm with its probability. */
export function tellDraw(decision: Mutable<Decision>, drawn: Drawn): void {
  const scores = decision.candidates as readonly Mutable<CandidateScore>[];
  for (const one of scores) one.probability = 0;
  drawn.arms.forEach((at, i) => {
    (scores[at] as Mutable<CandidateScore>).probability = drawn.probabilities[i] as number;
  });
  decision.exploration = drawn.exploration;
  if (drawn.chosen === 0) return;
  decision.reason = "explored";
  decision.candidates = chosenFirst(scores, scores[drawn.chosen]?.model ?? "");
}

/** No deployment of the first could be had: the next one answers, and that is no draw's doing. */
export function tellDiverted(decision: Mutable<Decision>, chosen: string): void {
  decision.reason = "fallback";
  decision.candidates = keepFirst(decision.candidates, chosen);
  delete (decision as { exploration?: unknown }).exploration;
}
