/** The learned strategies by name. A new one is a file and a line here. */

import { automix } from "./automix.ts";
import { linucb, thompson } from "./bandits.ts";
import { withLabel } from "./best-name.ts";
import { clusterTable } from "./cluster-table.ts";
import { elo } from "./elo.ts";
import { ensemble } from "./ensemble.ts";
import { largest, smallest } from "./fixed.ts";
import { forest } from "./forest.ts";
import { graph } from "./graph.ts";
import { hybrid } from "./hybrid.ts";
import { importedStrategies } from "./imported/imported.ts";
import { irt } from "./irt.ts";
import { knn } from "./knn.ts";
import { knnMultiRound } from "./knn-multi-round.ts";
import { linear } from "./linear.ts";
import { mf } from "./mf.ts";
import { mlp } from "./mlp.ts";
import { personal } from "./personal.ts";
import { routerdc } from "./routerdc.ts";
import type { ServedStrategy, Strategy } from "./strategy.ts";
import { svm } from "./svm.ts";

export const strategies: readonly Strategy[] = [
  withLabel(knn),
  knnMultiRound,
  automix,
  withLabel(mlp),
  withLabel(svm),
  linear,
  withLabel(mf),
  elo,
  routerdc,
  hybrid,
  withLabel(graph),
  irt,
  clusterTable,
  linucb,
  thompson,
  personal,
  forest,
  ensemble,
  smallest,
  largest,
] as unknown as readonly Strategy[];

export const strategyNames: readonly string[] = strategies.map(({ name }) => name);

export function findStrategy(name: string): Strategy | undefined {
  return strategies.find((strategy) => strategy.name === name);
}

/** Of an artifact: trained by this program, or imported. */
export function findServed(name: string): ServedStrategy | undefined {
  return findStrategy(name) ?? importedStrategies.find((strategy) => strategy.name === name);
}
