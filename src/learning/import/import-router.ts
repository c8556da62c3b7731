/** A file of scikit-learn, joblib, Torch or LLMRouter to a router's numbers. */
import { fromSeries } from "./elo.ts";
import { readable } from "./globals.ts";
import type { ImportedRouter, ImportOptions } from "./imported-router.ts";
import { readForeignFile } from "./read-file.ts";
import { fromEstimator } from "./sklearn.ts";
import { findStateDict, fromStateDict } from "./torch-state.ts";
import { Instance, refuseImport } from "./values.ts";

/** @throws GatewayError artifact_refused: what is wrong with it, and what would be read */
export function importRouter(bytes: Uint8Array, options: ImportOptions): ImportedRouter {
  const value = readForeignFile(bytes);
  if (value instanceof Instance) {
    if (value.className === "Series") return fromSeries(value);
    return fromEstimator(value, options);
  }
  const state = findStateDict(value);
  if (state) return fromStateDict(state, options);
  return refuseImport(
    `the file holds no router: neither an estimator (${readable}), nor a state dict, nor ratings`,
  );
}
