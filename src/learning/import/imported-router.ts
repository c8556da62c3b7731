/** What an import comes to, whatever it was read from: a strategy's numbers, and whom they score. */
import type { Tensor } from "../../routing/strategies/strategy.ts";
import type { RoutingLabels } from "./routing-labels.ts";
import { importLimits, refuseImport } from "./values.ts";

export interface ImportedRouter {
  /** `imported-knn` … */
  readonly strategy: string;
  /** The original's class, for the reader: `KNeighborsClassifier`. */
  readonly origin: string;
  /** Length of the embeddings that the original was trained on; 0: it never looks at one. */
  readonly inputs: number;
  /** The classes, by the names that the original has for them. */
  readonly labels: readonly string[];
  /** Share of the training rows per label, where the original still knows. */
  readonly shares?: readonly number[];
  /**
   * How the original speaks: shares of one; decisions, of which the logistic is taken; votes of a
   * one-against-one machine, moved to 0..1; the score of a regression.
   */
  readonly said: "shares" | "decision" | "votes" | "regression";
  readonly learned: Readonly<Record<string, unknown>>;
  readonly tensors: Readonly<Record<string, Tensor>>;
}

/** What a file does not say of itself. */
export interface ImportOptions {
  /** Names of a Torch network's outputs, in their order; of a regression: the small and the large. */
  readonly labels?: readonly string[];
  /** The same out of LLMRouter's routing data, where they are not named. */
  readonly routing?: RoutingLabels;
  /** Between a Torch network's layers; its file does not say. */
  readonly activation?: "identity" | "relu" | "tanh" | "logistic";
  /** HybridLLM's `router_threshold`. */
  readonly threshold?: number;
}

/** @throws GatewayError artifact_refused */
export function checkLabels(labels: readonly string[]): readonly string[] {
  if (labels.length < 2)
    refuseImport("it knows fewer than two models, so there is nothing to route");
  if (labels.length > importLimits.labels) {
    refuseImport(`it has ${labels.length} classes; at most ${importLimits.labels} are read`);
  }
  const bad = labels.find((label) => label === "" || label.length > 256);
  if (bad !== undefined) refuseImport("a class has no name, or one of more than 256 characters");
  if (new Set(labels).size !== labels.length) refuseImport("two of its classes have one name");
  return labels;
}

/** To single precision; what is not a finite number there is refused. */
export function toSingles(values: Float64Array, what: string): Float32Array {
  const singles = Float32Array.from(values);
  if (!singles.every(Number.isFinite)) refuseImport(`${what}: a number is not finite`);
  return singles;
}

export function toDoubles(values: Float64Array, what: string): number[] {
  if (!values.every(Number.isFinite)) refuseImport(`${what}: a number is not finite`);
  return Array.from(values);
}
