/** What this binary serves, for configuration to be held against. */
import type { KnownNames } from "../config/check.ts";

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

const strategies = [
  "llmrouter-knn",
  "llmrouter-mlp",
  "llmrouter-svm",
  "llmrouter-linear",
  "llmrouter-smallest",
  "llmrouter-largest",
];

export const knownNames: KnownNames = {
  strategies,
  untrained: ["llmrouter-smallest", "llmrouter-largest"],
  balancers: [
    "simple-shuffle",
    "least-busy",
    "latency-based-routing",
    "latency-based",
    "usage-based-routing",
    "usage-based-routing-v2",
    "usage-based",
    "cost-based-routing",
    "cost-based",
  ],
  notServed: predecessorStrategies.filter((name) => !strategies.includes(name)),
};
