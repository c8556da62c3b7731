/** What a pickle is read with: the names that it may use, and how much it may ask for. */
import type { Reader } from "./reader.ts";
import { importLimits, type Named, refuseImport, type Value } from "./values.ts";

export interface PickleOptions {
  readonly globals: Globals;
  /** What a persistent id stands for; without it there may be none. */
  readonly persistent?: (id: Value) => Value;
  /** Operations left for this file, over all pickles inside it. */
  readonly budget: Budget;
}

export interface Budget {
  operations: number;
  nested: number;
}

export const newBudget = (): Budget => ({
  operations: importLimits.operations,
  nested: importLimits.nested,
});

export interface Globals {
  /** @throws GatewayError artifact_refused with the name, where it is not in the list */
  find(module: string, name: string): Named;
  call(named: Named, args: readonly Value[], budget: Budget): Value;
  /** Gives an object its state; joblib's arrays lie in the file behind theirs. */
  build(target: Value, state: Value, reader: Reader, options: PickleOptions): Value;
}

/** Where a budget allows one more pickle inside the pickle. */
export function enter(budget: Budget): void {
  if (--budget.nested < 0) {
    refuseImport(`pickles lie ${importLimits.nested} deep inside each other`);
  }
}
