/** What this binary serves by name, for configuration to be held against. */
import type { KnownNames } from "../config/check.ts";
import { balancerNames } from "./balancers/registry.ts";
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

export const knownNames: KnownNames = {
  strategies: strategyNames,
  untrained: strategyNames.filter((name) => balancerNames.includes(name)),
  balancers: balancerNames,
  notServed: predecessorStrategies.filter((name) => !strategyNames.includes(name)),
};
