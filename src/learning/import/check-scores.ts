/**
 * An imported router held against what the original said of the same embeddings: JSON Lines of
 * `{"embedding": […], "scores": …, "predicted"?}`, scores as `predict_proba` or `decision_function`
 * gives them, in the order of the labels.
 */
import { GatewayError } from "../../domain/errors.ts";
import { shapeNames } from "../../embedding/shape.ts";
import type { TrainedRouter } from "../../routing/trained-router.ts";
import { openLocalFile, readLines } from "../data/input-file.ts";
import type { ImportedRouter } from "./imported-router.ts";

export interface ScoreCheck {
  readonly rows: number;
  /** Between a score here and the original's, at most. */
  readonly largestDifference: number;
  /** Rows that say what the original predicted, and those of them where the best score is another's. */
  readonly predicted: number;
  readonly otherwise: number;
}

export const checkTolerance = 1e-5;

/** @throws GatewayError invalid_request with file and line for a row that is none */
export async function checkScores(
  router: TrainedRouter,
  imported: Pick<ImportedRouter, "said" | "inputs">,
  path: string,
): Promise<ScoreCheck> {
  const { labels, embedderId } = router;
  const check = { rows: 0, largestDifference: 0, predicted: 0, otherwise: 0 };
  for await (const { text, line } of readLines(await openLocalFile(path))) {
    if (text.trim() === "") continue;
    const row = toRow(text, `${path}:${line}`, labels.length, imported);
    const { quality } = await router.scoreFeatures({
      embedderId,
      embedding: row.embedding,
      lexicalBuckets: new Uint16Array(),
      lexicalCounts: new Uint8Array(),
      shape: new Float32Array(shapeNames.length),
    });
    check.rows++;
    quality.forEach((score, j) => {
      const difference = Math.abs(score - (row.wanted[j] ?? Number.NaN));
      // NaN is no small difference.
      if (!(difference <= check.largestDifference)) check.largestDifference = difference;
    });
    if (row.predicted === undefined) continue;
    check.predicted++;
    const best = labels[quality.indexOf(Math.max(...quality))];
    if (best !== row.predicted) check.otherwise++;
  }
  if (check.rows > 0) return check;
  throw new GatewayError("invalid_request", `${path} has no rows`);
}

function toRow(
  text: string,
  where: string,
  m: number,
  { said, inputs }: Pick<ImportedRouter, "said" | "inputs">,
) {
  const fail = (why: string): never => {
    throw new GatewayError("invalid_request", `${where}: ${why}`);
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail("it is no JSON");
  }
  const { embedding, scores, predicted } = Object(value) as Record<string, unknown>;
  if (!isNumbers(embedding) || embedding.length !== (inputs || embedding.length)) {
    return fail(`it has no "embedding" of ${inputs} numbers`);
  }
  const given = typeof scores === "number" ? [scores] : scores;
  if (!isNumbers(given)) return fail('it has no "scores"');
  const wanted = toShares(given, m, said);
  if (wanted.length !== m) return fail(`it has ${given.length} scores for ${m} labels`);
  return {
    embedding: Float32Array.from(embedding),
    wanted,
    predicted: predicted === undefined || predicted === null ? undefined : String(predicted),
  };
}

const isNumbers = (value: unknown): value is readonly number[] =>
  Array.isArray(value) && value.every((number) => typeof number === "number");

const logistic = (z: number) => 1 / (1 + Math.exp(-z));
const clamp = (x: number) => Math.max(0, Math.min(1, x));

/** The original's numbers as the scores in 0..1 that an import has. */
function toShares(
  given: readonly number[],
  m: number,
  said: ImportedRouter["said"],
): readonly number[] {
  const [only = 0] = given;
  if (said === "regression") return [clamp(only), 1 - clamp(only)];
  // scikit-learn gives one number for two classes: the second one's.
  if (given.length === 1 && m === 2) return [logistic(-only), logistic(only)];
  if (said === "decision") return given.map(logistic);
  if (said === "votes") return given.map((d) => (d + 1 / 3) / (m - 1 + 2 / 3));
  return given;
}
