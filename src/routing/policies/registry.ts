/** The policies by name: strategies that ask language models. A new one is a file and a line here. */
import { automix } from "./automix.ts";
import { causalLm } from "./causal-lm.ts";
import { knnMultiRound, llmMultiRound } from "./multi-round.ts";
import type { Policy } from "./policy.ts";
import { routerR1 } from "./router-r1.ts";

export const policies: readonly Policy[] = [
  causalLm,
  automix,
  routerR1,
  knnMultiRound,
  llmMultiRound,
];

export function findPolicy(name: string): Policy | undefined {
  return policies.find((policy) => policy.name === name);
}
