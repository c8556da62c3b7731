/**
 * scikit-learn's estimators, by the attributes that fitting leaves. Attribute names are those of its
 * releases since 0.22; where they changed, both are read.
 * Source: https://scikit-learn.org/stable/api/ and sklearn/svm/_base.py, neighbors/_base.py
 */
import type { ImportedKnn } from "../../routing/strategies/imported/imported-knn.ts";
import type { ImportedNetwork } from "../../routing/strategies/imported/imported-network.ts";
import type { ImportedStep } from "../../routing/strategies/imported/imported-steps.ts";
import type { ImportedSvc } from "../../routing/strategies/imported/imported-svc.ts";
import type { Tensor } from "../../routing/strategies/strategy.ts";
import { readable } from "./globals.ts";
import {
  checkLabels,
  type ImportedRouter,
  type ImportOptions,
  toDoubles,
  toSingles,
} from "./imported-router.ts";
import { toFloats, toTexts } from "./numpy.ts";
import { readSteps, type StepsRead, tensorOf } from "./sklearn-steps.ts";
import { Instance, importLimits, NumericArray, refuseImport, type Value } from "./values.ts";

/** @throws GatewayError artifact_refused for an estimator that is not read, or not fitted */
export function fromEstimator(estimator: Instance, options: ImportOptions): ImportedRouter {
  const { steps, last } = openPipeline(estimator);
  const read = readers[last.className];
  if (!read) return refuseImport(`a ${last.className} is no router that is read: ${readable}`);
  const before = readSteps(steps);
  const found = read(last, options);
  const inputs = before.inputs ?? found.inputs;
  if (inputs < 1 || inputs > importLimits.features) {
    refuseImport(`it takes ${inputs} features; 1 to ${importLimits.features} are read`);
  }
  return {
    ...found,
    inputs,
    labels: checkLabels(found.labels),
    origin: [...steps, last].map(({ className }) => className).join(", "),
    learned: { ...found.learned, steps: before.steps },
    tensors: { ...found.tensors, ...before.tensors },
  };
}

/** A search keeps the best estimator; a pipeline is a list of (name, estimator). */
function openPipeline(estimator: Instance): { steps: Instance[]; last: Instance } {
  const { className } = estimator;
  if (className === "GridSearchCV" || className === "RandomizedSearchCV") {
    const best = estimator.get("best_estimator_");
    return best instanceof Instance
      ? openPipeline(best)
      : refuseImport(`the ${className} keeps no best estimator (refit=False)`);
  }
  if (className !== "Pipeline") return { steps: [], last: estimator };
  const list = estimator.get("steps");
  if (!Array.isArray(list)) return refuseImport("the pipeline has no steps");
  const parts = (list as readonly Value[]).flatMap((step) => {
    const part = Array.isArray(step) ? (step as readonly Value[])[1] : undefined;
    if (part === "passthrough" || part === null) return [];
    return part instanceof Instance ? [part] : refuseImport("a step of the pipeline is none");
  });
  const last = parts.pop();
  return last ? { steps: parts, last } : refuseImport("the pipeline has no classifier");
}

type Found = Omit<ImportedRouter, "origin">;
type ReadEstimator = (estimator: Instance, options: ImportOptions) => Found;

const readers: Readonly<Record<string, ReadEstimator>> = {
  KNeighborsClassifier: fromKnn,
  SVC: fromSvc,
  LinearSVC: (estimator) => fromLinear(estimator, "logistic"),
  LogisticRegression: (estimator) => fromLinear(estimator, logisticOutput(estimator)),
  MLPClassifier: fromMlp,
  MLPRegressor: fromMlp,
};

/** An attribute of an estimator, under one of its names over the years. */
function attribute(estimator: Instance, ...names: readonly string[]): Value {
  for (const name of names) {
    const value = estimator.get(name);
    if (value !== undefined) return value;
  }
  return refuseImport(`the ${estimator.className} has no ${names[0]}: it was never fitted`);
}

function shapeOf(value: Value, what: string): readonly [number, number] {
  const shape = value instanceof NumericArray ? value.shape : [];
  const [rows, columns] = shape;
  return shape.length === 2 && rows !== undefined && columns !== undefined
    ? [rows, columns]
    : refuseImport(`${what} is no matrix of numbers`);
}

const classesOf = (estimator: Instance) => toTexts(attribute(estimator, "classes_"));

function fromKnn(estimator: Instance): Found {
  const rows = attribute(estimator, "_fit_X");
  const [n, inputs] = shapeOf(rows, "_fit_X (a sparse matrix?)");
  const labels = classesOf(estimator);
  const numbers = toFloats(attribute(estimator, "_y"));
  const counts = new Array<number>(labels.length).fill(0);
  for (const number of numbers) {
    if (counts[number] === undefined) refuseImport("a training row is of a class without a name");
    counts[number] += 1;
  }
  if (numbers.length !== n) refuseImport("the KNeighborsClassifier predicts more than one label");
  const metric = metricOf(estimator);
  const weights = estimator.get("weights") ?? "uniform";
  if (weights !== "uniform" && weights !== "distance") {
    return refuseImport("its weights are neither uniform nor by distance");
  }
  const k = Number(attribute(estimator, "n_neighbors"));
  if (!Number.isSafeInteger(k) || k < 1 || k > n) refuseImport("n_neighbors is more than the rows");
  const learned: ImportedKnn = { n_neighbors: k, weights, ...metric };
  return {
    strategy: "imported-knn",
    inputs,
    labels,
    shares: counts.map((count) => count / n),
    said: "shares",
    learned,
    tensors: {
      "knn.rows": tensorOf(toSingles(toFloats(rows), "_fit_X"), n, inputs),
      "knn.labels": { dtype: "I32", shape: [n], values: Int32Array.from(numbers) },
    },
  };
}

const metrics: Readonly<Record<string, ImportedKnn["metric"]>> = {
  euclidean: "euclidean",
  l2: "euclidean",
  sqeuclidean: "sqeuclidean",
  cosine: "cosine",
  manhattan: "manhattan",
  cityblock: "manhattan",
  l1: "manhattan",
  chebyshev: "chebyshev",
  infinity: "chebyshev",
  minkowski: "minkowski",
};

function metricOf(estimator: Instance): Pick<ImportedKnn, "metric" | "p"> {
  const name = attribute(estimator, "effective_metric_", "metric");
  const params = estimator.get("effective_metric_params_");
  const given = params instanceof Map ? params : new Map<Value, Value>();
  const metric = typeof name === "string" && Object.hasOwn(metrics, name) ? metrics[name] : null;
  const p = Number(given.get("p") ?? 2);
  const weighted = given.get("w") !== undefined && given.get("w") !== null;
  if (!metric || !(p >= 1 && p <= 64) || weighted) {
    return refuseImport(
      `its metric (${typeof name === "string" ? name.slice(0, 40) : "of one's own"}) is not among ` +
        "euclidean, sqeuclidean, cosine, manhattan, chebyshev and unweighted minkowski",
    );
  }
  return { metric, p };
}

const svcKernels = ["linear", "rbf", "poly", "sigmoid"] as const;

function fromSvc(estimator: Instance): Found {
  if (estimator.get("_sparse") === true) refuseImport("the SVC was trained on a sparse matrix");
  const kernel = svcKernels.find((name) => name === estimator.get("kernel"));
  if (!kernel) return refuseImport(`the SVC's kernel is not among ${svcKernels.join(", ")}`);
  const labels = classesOf(estimator);
  const vectors = attribute(estimator, "support_vectors_");
  const [n, inputs] = shapeOf(vectors, "support_vectors_");
  // libsvm's own signs; of two classes scikit-learn shows the others.
  const turned = labels.length === 2 && estimator.get("_dual_coef_") === undefined ? -1 : 1;
  const own = (value: Value) => toFloats(value).map((number) => turned * number);
  const coefficients = own(attribute(estimator, "_dual_coef_", "dual_coef_"));
  if (coefficients.length !== (labels.length - 1) * n) refuseImport("the SVC's parts do not fit");
  const learned: ImportedSvc = {
    kernel,
    gamma: numberOf(estimator.get("_gamma") ?? estimator.get("gamma"), "gamma"),
    coef0: numberOf(estimator.get("coef0") ?? 0, "coef0"),
    degree: numberOf(estimator.get("degree") ?? 3, "degree"),
    support: toDoubles(toFloats(attribute(estimator, "_n_support", "n_support_")), "_n_support"),
    intercepts: toDoubles(own(attribute(estimator, "_intercept_", "intercept_")), "intercept_"),
    probA: toDoubles(toFloats(attribute(estimator, "_probA", "probA_")), "probA_"),
    probB: toDoubles(toFloats(attribute(estimator, "_probB", "probB_")), "probB_"),
  };
  return {
    strategy: "imported-svc",
    inputs,
    labels,
    said: learned.probA.length > 0 ? "shares" : "votes",
    learned,
    tensors: {
      "svc.vectors": tensorOf(toSingles(toFloats(vectors), "support_vectors_"), n, inputs),
      "svc.coefficients": tensorOf(toSingles(coefficients, "dual_coef_"), labels.length - 1, n),
    },
  };
}

function numberOf(value: Value | undefined, what: string): number {
  const number = value instanceof NumericArray ? toFloats(value)[0] : value;
  return typeof number === "number" && Number.isFinite(number)
    ? number
    : refuseImport(`its ${what} is no number`);
}

/** One against the rest, or all at once: by the options of its release. */
function logisticOutput(estimator: Instance): ImportedNetwork["output"] {
  const mode = estimator.get("multi_class") ?? "auto";
  const rest = mode === "ovr" || mode === "warn" || estimator.get("solver") === "liblinear";
  return rest && mode !== "multinomial" ? "shares" : "softmax";
}

function fromLinear(estimator: Instance, output: ImportedNetwork["output"]): Found {
  const labels = classesOf(estimator);
  const coefficients = attribute(estimator, "coef_");
  const [rows, inputs] = shapeOf(coefficients, "coef_");
  const two = labels.length === 2;
  if (rows !== (two ? 1 : labels.length)) refuseImport("its coefficients do not fit its classes");
  // Of two classes, a softmax over −z and z is the logistic of 2z.
  const factor = two && estimator.get("multi_class") === "multinomial" ? 2 : 1;
  const scaled = (value: Value) => toFloats(value).map((number) => factor * number);
  const found = scaled(attribute(estimator, "intercept_"));
  const bias = found.length === rows ? found : new Float64Array(rows).fill(found[0] ?? 0);
  const learned: ImportedNetwork = {
    layers: [{ bias: toDoubles(bias, "intercept_"), activation: "identity" }],
    output: two ? "two" : output,
  };
  const weight = tensorOf(toSingles(scaled(coefficients), "coef_"), rows, inputs);
  return {
    strategy: "imported-network",
    inputs,
    labels,
    said: output === "logistic" ? "decision" : "shares",
    learned,
    tensors: { "layer.0": weight },
  };
}

const activations = ["identity", "relu", "tanh", "logistic"] as const;

function fromMlp(estimator: Instance, options: ImportOptions): Found {
  const weights = attribute(estimator, "coefs_");
  const biases = attribute(estimator, "intercepts_");
  const hidden = activations.find((name) => name === estimator.get("activation"));
  if (!Array.isArray(weights) || !Array.isArray(biases) || !hidden) {
    return refuseImport(`the ${estimator.className} has no sound layers`);
  }
  if (weights.length === 0 || weights.length > 16 || weights.length !== biases.length) {
    return refuseImport(`the ${estimator.className} has no sound layers`);
  }
  const tensors: Record<string, Tensor> = {};
  const layers = (weights as readonly Value[]).map((weight, i) => {
    const [inputs, outputs] = shapeOf(weight, `coefs_[${i}]`);
    const turned = transpose(toSingles(toFloats(weight), "coefs_"), inputs, outputs);
    tensors[`layer.${i}`] = tensorOf(turned, outputs, inputs);
    const bias = toDoubles(toFloats((biases as readonly Value[])[i]), "intercepts_");
    return { bias, activation: i === weights.length - 1 ? ("identity" as const) : hidden };
  });
  const [inputs] = shapeOf(weights[0] as Value, "coefs_[0]");
  const outputs = layers.at(-1)?.bias.length ?? 0;
  const base = { strategy: "imported-network", inputs, tensors };
  if (estimator.className === "MLPRegressor") {
    return {
      ...base,
      ...regressionOf(outputs, options),
      said: "regression",
      learned: learnedOf(layers, options),
    };
  }
  const labels = classesOf(estimator);
  const output = estimator.get("out_activation_") === "softmax" ? "softmax" : "two";
  if (outputs !== (output === "two" ? 1 : labels.length)) {
    refuseImport("the MLPClassifier predicts several labels at once");
  }
  const learned: ImportedNetwork = { layers, output };
  return { ...base, labels, said: "shares", learned };
}

function regressionOf(outputs: number, { labels = [] }: ImportOptions) {
  if (outputs === 1 && labels.length === 2) return { labels };
  return refuseImport(
    "an MLPRegressor is read as HybridLLM's: one score, which the small model answers at and above " +
      "the threshold. Name the two models: --labels SMALL,LARGE",
  );
}

const learnedOf = (layers: ImportedNetwork["layers"], { threshold = 0.5 }: ImportOptions) =>
  ({ layers, output: "regression", threshold }) satisfies ImportedNetwork;

function transpose(values: Float32Array, rows: number, columns: number): Float32Array {
  const turned = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) {
      turned[c * rows + r] = values[r * columns + c] as number;
    }
  }
  return turned;
}

export type { ImportedStep, StepsRead };
