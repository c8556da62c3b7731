/**
 * How steady a router's decisions are: the share that flips when a request is worded otherwise, and
 * what that costs in quality where outcomes are known. 1 is steady, 0 turns at every whim.
 */
import type { RoutingTool } from "../../domain/features.ts";
import type { FeatureExtractor } from "../../embedding/embedder.ts";
import { type CandidateInput, decide } from "../../routing/decide.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import type { Outcome } from "../data/row.ts";
import { type Perturbation, perturb, perturbations } from "./perturb.ts";
import { phrases } from "./phrases.ts";

export interface SampledQuery {
  readonly query: string;
  readonly tools: readonly RoutingTool[];
  /** Empty where nothing is known. */
  readonly outcomes: ReadonlyMap<string, Pick<Outcome, "score">>;
}

export interface Steadiness {
  /** Share of the decisions that a perturbation changes. */
  readonly flips: number;
  /** Mean quality lost by that; NaN where no outcome is known. */
  readonly qualityLost: number;
}

export interface Robustness {
  /** Queries that were worded otherwise; our own phrases where no text was at hand. */
  readonly queries: number;
  readonly own: boolean;
  /** 1 − the mean share of flips over the kinds. */
  readonly score: number;
  readonly kinds: Readonly<Record<Perturbation, Steadiness>>;
  /** Of our own phrases: the share of decisions that differ between English and five languages. */
  readonly translated: number;
}

/** Where on the dial decisions are looked at. */
const tradeoffs = [0.25, 0.5, 0.75];
const seed = 11;
/** Queries that are looked at: about a second. */
export const robustnessSample = 200;

export async function measureRobustness(
  router: TrainedRouter,
  sample: readonly SampledQuery[],
  extractor: FeatureExtractor,
): Promise<Robustness> {
  const candidates = router.labels.map((model, label) => ({ model, group: model, label }));
  const choose = (query: string, tools: readonly RoutingTool[]) =>
    choices(router, candidates, query, tools, extractor);
  const own = sample.length === 0;
  const queries = own
    ? phrases.map(([query = ""]): SampledQuery => ({ query, tools: [], outcomes: new Map() }))
    : sample.slice(0, robustnessSample);
  const before = [];
  for (const { query, tools } of queries) before.push(await choose(query, tools));
  const kinds = {} as Record<Perturbation, Steadiness>;
  for (const kind of perturbations) {
    const tally = createTally();
    for (const [at, { query, tools, outcomes }] of queries.entries()) {
      const changed = await choose(perturb(kind, query, seed), tools);
      tally.add(before[at] ?? [], changed, outcomes);
    }
    kinds[kind] = tally.result();
  }
  const flips = perturbations.reduce((sum, kind) => sum + kinds[kind].flips, 0);
  return {
    queries: queries.length,
    own,
    score: 1 - flips / perturbations.length,
    kinds,
    translated: await translatedFlips(choose),
  };
}

async function choices(
  router: TrainedRouter,
  candidates: readonly CandidateInput[],
  text: string,
  tools: readonly RoutingTool[],
  extractor: FeatureExtractor,
): Promise<readonly string[]> {
  const scores = await router.scoreFeatures(await extractor.extract({ text, tools }));
  return tradeoffs.map(
    (tradeoff) => decide({ router, scores, candidates, inputTokens: 0, dial: { tradeoff } }).chosen,
  );
}

function createTally() {
  let [seen, flipped, known, lost] = [0, 0, 0, 0];
  return {
    add(
      before: readonly string[],
      after: readonly string[],
      outcomes: SampledQuery["outcomes"],
    ): void {
      before.forEach((model, i) => {
        const other = after[i] ?? model;
        seen++;
        if (other !== model) flipped++;
        const [had, has] = [outcomes.get(model)?.score, outcomes.get(other)?.score];
        if (had === undefined || has === undefined) return;
        known++;
        lost += had - has;
      });
    },
    result: (): Steadiness => ({
      flips: flipped / Math.max(1, seen),
      qualityLost: known > 0 ? lost / known : Number.NaN,
    }),
  };
}

async function translatedFlips(
  choose: (query: string, tools: readonly RoutingTool[]) => Promise<readonly string[]>,
): Promise<number> {
  const tally = createTally();
  for (const [english = "", ...others] of phrases) {
    const before = await choose(english, []);
    for (const other of others) tally.add(before, await choose(other, []), new Map());
  }
  return tally.result().flips;
}
