/** What stands before the classifier of a scikit-learn pipeline. */
import type { ImportedStep } from "../../routing/strategies/imported/imported-steps.ts";
import type { Tensor } from "../../routing/strategies/strategy.ts";
import { readable } from "./globals.ts";
import { toDoubles, toSingles } from "./imported-router.ts";
import { toFloats } from "./numpy.ts";
import { type Instance, NumericArray, refuseImport, type Value } from "./values.ts";

export interface StepsRead {
  readonly steps: readonly ImportedStep[];
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Length of what goes in, where a step says. */
  readonly inputs: number | undefined;
}

const mostSteps = 8;

/** @throws GatewayError artifact_refused for a step that is not read */
export function readSteps(estimators: readonly Instance[]): StepsRead {
  if (estimators.length > mostSteps) refuseImport(`the pipeline has more than ${mostSteps} steps`);
  const tensors: Record<string, Tensor> = {};
  const steps = estimators.map((estimator, number): ImportedStep => {
    const read = readers[estimator.className];
    if (!read) return refuseImport(`a ${estimator.className} is no step that is read: ${readable}`);
    const { step, matrix } = read(estimator);
    if (matrix) tensors[`step.${number}`] = matrix;
    return step;
  });
  const [first] = estimators;
  const inputs = first?.get("n_features_in_") ?? undefined;
  const sized = steps.find((step) => step.kind !== "norm");
  const length = typeof inputs === "number" ? inputs : sized?.shift.length;
  return { steps, tensors, inputs: length };
}

interface StepRead {
  readonly step: ImportedStep;
  readonly matrix?: Tensor;
}

const readers: Readonly<Record<string, (estimator: Instance) => StepRead>> = {
  StandardScaler: (e) => ({ step: scaleBy(e, vector(e, "mean_"), vector(e, "scale_")) }),
  RobustScaler: (e) => ({ step: scaleBy(e, vector(e, "center_"), vector(e, "scale_")) }),
  MaxAbsScaler: (e) => ({ step: scaleBy(e, undefined, vector(e, "scale_")) }),
  MinMaxScaler: fromMinMax,
  Normalizer(estimator) {
    const norm = estimator.get("norm");
    if (norm === "l1" || norm === "l2" || norm === "max") return { step: { kind: "norm", norm } };
    return refuseImport("the Normalizer's norm is not among l1, l2 and max");
  },
  PCA(estimator) {
    const whiten = estimator.get("whiten") === true;
    const variance = vector(estimator, "explained_variance_");
    const least = 2 ** -52; // numpy's eps: a component without variance is not blown up
    const scale = whiten ? variance?.map((value) => Math.max(Math.sqrt(value), least)) : undefined;
    return project(estimator, vector(estimator, "mean_"), scale);
  },
  TruncatedSVD: (estimator) => project(estimator, undefined, undefined),
};

/** An attribute that may be None: the scaler was told to leave that out. */
function vector(estimator: Instance, name: string): Float64Array | undefined {
  const value = estimator.get(name);
  return value === undefined || value === null ? undefined : toFloats(value);
}

function scaleBy(
  estimator: Instance,
  shift: Float64Array | undefined,
  scale: Float64Array | undefined,
): ImportedStep {
  const length = shift?.length ?? scale?.length ?? Number(estimator.get("n_features_in_"));
  if (!Number.isSafeInteger(length) || length < 1) {
    return refuseImport(`the ${estimator.className} was never fitted`);
  }
  return {
    kind: "scale",
    shift: toDoubles(shift ?? new Float64Array(length), "a scaler's mean"),
    scale: toDoubles(scale ?? new Float64Array(length).fill(1), "a scaler's scale"),
  };
}

/** x·scale_ + min_, as (x − shift) / scale. */
function fromMinMax(estimator: Instance): StepRead {
  const scale = vector(estimator, "scale_");
  const min = vector(estimator, "min_");
  if (!scale || !min) return refuseImport("the MinMaxScaler was never fitted");
  const shift = min.map((value, i) => -value / (scale[i] as number));
  const step = scaleBy(
    estimator,
    shift,
    scale.map((value) => 1 / value),
  );
  if (estimator.get("clip") !== true || step.kind !== "scale") return { step };
  const range = estimator.get("feature_range");
  const [low, high] = Array.isArray(range) ? (range as readonly Value[]) : [];
  if (typeof low !== "number" || typeof high !== "number") {
    return refuseImport("the MinMaxScaler has no feature_range");
  }
  return { step: { ...step, clip: [low, high] } };
}

function project(
  estimator: Instance,
  mean: Float64Array | undefined,
  scale: Float64Array | undefined,
): StepRead {
  const components = estimator.get("components_");
  const [rows, columns] = components instanceof NumericArray ? components.shape : [];
  if (rows === undefined || columns === undefined) {
    return refuseImport(`the ${estimator.className} was never fitted`);
  }
  return {
    step: {
      kind: "project",
      shift: toDoubles(mean ?? new Float64Array(columns), "mean_"),
      scale: toDoubles(scale ?? new Float64Array(rows).fill(1), "explained_variance_"),
    },
    matrix: tensorOf(toSingles(toFloats(components), "components_"), rows, columns),
  };
}

export const tensorOf = (values: Float32Array, ...shape: number[]): Tensor => ({
  dtype: "F32",
  shape,
  values,
});
