/** What this binary serves by name, for configuration to be held against. */
import type { KnownNames } from "../config/check/rule.ts";
import { balancerNames } from "./balancers/registry.ts";
import { costAwareName } from "./cost-aware.ts";
import { customName, findModuleProblem } from "./custom/plan.ts";
import { automaticName, untrainedChoice } from "./in-force.ts";
import { findPolicy, policies } from "./policies/registry.ts";
import { strategyNames } from "./strategies/registry.ts";

/** The predecessor's learned strategies. Those that are served are in the registry of strategies. */
const predecessorStrategies = [
  "llmrouter-knn",
  "llmrouter-svm",
  "llmrouter-mlp",
  "llmrouter-mf",
  "llmrouter-elo",
  "llmrouter-routerdc",
  "llmrouter-hybrid",
  "llmrouter-causallm",
  "llmrouter-graph",
  "llmrouter-automix",
  "llmrouter-r1",
  "llmrouter-gmt",
  "llmrouter-knn-multiround",
  "llmrouter-llm-multiround",
  "llmrouter-smallest",
  "llmrouter-largest",
  "llmrouter-custom",
  "llmrouter-cost-aware",
] as const;

const served: readonly string[] = [
  ...new Set([automaticName, ...strategyNames, ...policies.map(({ name }) => name), customName]),
];
const untrainedPolicies = policies.filter(({ artifact }) => artifact !== "always");

export const knownNames: KnownNames = {
  strategies: served,
  untrained: [
    automaticName,
    ...strategyNames.filter((name) => balancerNames.includes(name)),
    ...untrainedPolicies.map(({ name }) => name),
    customName,
  ],
  maybeTrained: [
    automaticName,
    ...policies.filter(({ artifact }) => artifact === "maybe").map(({ name }) => name),
  ],
  untrainedChoice: (routingStrategy, routingStrategyArgs) =>
    untrainedChoice({ routingStrategy, routingStrategyArgs }),
  balancers: balancerNames,
  nesting: { name: costAwareName, inner: [...balancerNames, ...strategyNames] },
  notServed: predecessorStrategies.filter(
    (name) => !served.includes(name) && !balancerNames.includes(name),
  ),
  findProblem(strategy, args, { serves, exists }) {
    if (strategy === customName) return findModuleProblem(args, exists);
    return findPolicy(strategy)?.findProblem(args, serves);
  },
};
