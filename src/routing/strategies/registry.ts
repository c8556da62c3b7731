/** The learned strategies by name. A new one is a file and a line here. */
import { ensemble } from "./ensemble.ts";
import { largest, smallest } from "./fixed.ts";
import { knn } from "./knn.ts";
import { linear } from "./linear.ts";
import { mlp } from "./mlp.ts";
import type { Strategy } from "./strategy.ts";
import { svm } from "./svm.ts";

export const strategies: readonly Strategy[] = [
  knn,
  mlp,
  svm,
  linear,
  ensemble,
  smallest,
  largest,
] as unknown as readonly Strategy[];

export const strategyNames: readonly string[] = strategies.map(({ name }) => name);

export function findStrategy(name: string): Strategy | undefined {
  return strategies.find((strategy) => strategy.name === name);
}
