/** EloRouter's ratings: a pandas Series of numbers by model. */
import { checkLabels, type ImportedRouter } from "./imported-router.ts";
import { toFloats, toTexts } from "./numpy.ts";
import { tensorOf } from "./sklearn-steps.ts";
import { Instance, NumericArray, refuseImport, type Value } from "./values.ts";

/** Points for which the better model wins ten times of eleven. */
const scale = 400;

/** A score is the chance to win against a model of the mean rating; so the order is the ratings'. */
export function fromSeries(series: Instance): ImportedRouter {
  const manager = series.get("_mgr") ?? series.get("_data");
  const state = manager instanceof Instance ? manager.state : null;
  const [axes, blocks] = Array.isArray(state) ? (state as readonly Value[]) : [];
  const values = findArray(blocks, "f");
  const index = findArray(axes, "O") ?? findArray(axes, "U");
  if (!values || !index) return refuseImport("the Series is no list of ratings by model");
  const ratings = toFloats(values);
  const labels = toTexts(index);
  if (labels.length !== ratings.length || !ratings.every(Number.isFinite)) {
    return refuseImport("the Series is no list of ratings by model");
  }
  const mean = ratings.reduce((sum, rating) => sum + rating, 0) / ratings.length;
  const scores = Float32Array.from(ratings, (r) => 1 / (1 + 10 ** ((mean - r) / scale)));
  return {
    strategy: "imported-table",
    origin: "a pandas Series (LLMRouter's EloRouter)",
    inputs: 0,
    labels: checkLabels(labels),
    said: "shares",
    learned: { ratings: Object.fromEntries(labels.map((label, i) => [label, ratings[i]])) },
    tensors: { "table.scores": tensorOf(scores, labels.length) },
  };
}

const deepest = 6;

/** The first array of a kind, however deep pandas has put it this year. */
function findArray(value: Value | undefined, kind: string, depth = 0): NumericArray | undefined {
  if (depth > deepest || value === undefined || value === null) return undefined;
  if (value instanceof NumericArray) return value.dtype.kind === kind ? value : undefined;
  const parts = Array.isArray(value)
    ? (value as readonly Value[])
    : value instanceof Instance
      ? [...value.args, value.state]
      : value instanceof Map
        ? [...value.values()]
        : [];
  for (const part of parts) {
    const found = findArray(part, kind, depth + 1);
    if (found) return found;
  }
  return undefined;
}
