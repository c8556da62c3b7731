/**
 * What a trained router and a list of candidates have in common, worked out once and kept as long as
 * both live: labels, priors, the dial's setting, the options to try.
 */
import type { Dial } from "../domain/decision.ts";
import { type Deployment, withoutPrefix } from "../domain/model.ts";
import type { Balancer } from "./balancers/balancer.ts";
import type { Candidate } from "./candidates.ts";
import { type CandidateInput, type Setting, toSetting, withPriors } from "./decide.ts";
import { createCapabilities } from "./prior/capability.ts";
import { toNotes } from "./prior/prior-router.ts";
import type { TrainedRouter } from "./trained-router.ts";

/** Deployments to try, in order of preference; within one, the balancer chooses. */
export interface Option {
  readonly group: string;
  readonly deployments: readonly Deployment[];
  readonly balancer: Balancer;
}

export interface LearnedView {
  /** `name@version` of the router. */
  readonly artifact: string;
  /** Of the configured dial. */
  readonly setting: Setting;
  /** Per candidate, in their order; none is filtered. */
  readonly inputs: readonly CandidateInput[];
  readonly options: readonly Option[];
}

export interface LearnedViewOptions {
  readonly dial: Dial;
  /** Balances the deployments of a chosen candidate. */
  readonly balancer: Balancer;
  /** Label of an artifact → `litellm_params.model`. */
  readonly labelMapping: Readonly<Record<string, string>>;
}

/** Cost: two look-ups in weak maps; the first time, work per candidate. */
export function createLearnedViews(
  options: LearnedViewOptions,
): (router: TrainedRouter, candidates: readonly Candidate[]) => LearnedView {
  const known = new WeakMap<TrainedRouter, WeakMap<readonly Candidate[], LearnedView>>();
  return (router, candidates) => {
    let views = known.get(router);
    if (!views) {
      views = new WeakMap();
      known.set(router, views);
    }
    let view = views.get(candidates);
    if (view) return view;
    view = toView(router, candidates, options);
    views.set(candidates, view);
    return view;
  };
}

function toView(
  router: TrainedRouter,
  candidates: readonly Candidate[],
  { dial, balancer, labelMapping }: LearnedViewOptions,
): LearnedView {
  const labelOf = toLabelIndex(router.labels, labelMapping);
  const { name, version } = router.identity;
  const inputs = candidates.map(({ model, group, deployments }): CandidateInput => {
    const price = deployments[0]?.facts.price;
    return { model, group, label: labelOf(model), ...(price ? { price } : {}) };
  });
  const placed = inputs.some(({ label }) => label < 0) ? withAbilities(inputs, candidates) : inputs;
  return {
    artifact: router.prior ? name : `${name}@${version}`,
    setting: toSetting(router, dial),
    inputs: withPriors(router, placed),
    options: candidates.map(({ group, deployments }) => ({ group, deployments, balancer })),
  };
}

function withAbilities(
  inputs: readonly CandidateInput[],
  candidates: readonly Candidate[],
): readonly CandidateInput[] {
  const capabilityOf = createCapabilities();
  return inputs.map((input, i) => {
    const deployment = candidates[i]?.deployments[0];
    if (!deployment) return input;
    const { candidate: name, upstreamModel, facts } = deployment;
    return { ...input, ability: capabilityOf(toNotes({ name, upstreamModel, facts })).index };
  });
}

/** Label number of a candidate: by its name, without its prefix, by `label_mapping`; −1: unknown. */
export function toLabelIndex(
  labels: readonly string[],
  mapping: Readonly<Record<string, string>>,
): (model: string) => number {
  const numbers = new Map(labels.map((label, number) => [label, number]));
  const mapped = new Map<string, number>();
  for (const [label, model] of Object.entries(mapping)) {
    const number = numbers.get(label);
    if (number !== undefined) mapped.set(model, number);
  }
  return (model) =>
    numbers.get(model) ?? numbers.get(withoutPrefix(model)) ?? mapped.get(model) ?? -1;
}
