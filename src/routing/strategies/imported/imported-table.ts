/** One score per model, whatever is asked: EloRouter's ratings. Cost: none. */
import { GatewayError } from "../../../domain/errors.ts";
import { takeF32 } from "../../safetensors.ts";
import type { Fitted, Scorer, ScorerShape, ServedStrategy } from "../strategy.ts";

/** Tensor `table.scores` (m), in 0..1. */
export const importedTable: ServedStrategy = {
  name: "imported-table",
  summary: "The ratings of LLMRouter's EloRouter: the same ranking for every query.",
  load: loadTable,
};

function loadTable({ tensors }: Fitted, { m }: ScorerShape): Scorer {
  const quality = takeF32(tensors, "table.scores", [m]);
  if (!quality.every((score) => score >= 0 && score <= 1)) {
    throw new GatewayError("artifact_refused", "imported-table: a score is not within 0 and 1");
  }
  const scores = { quality, uncertainty: new Float32Array(m).fill(Number.NaN) };
  return { sync: true, constant: true, score: () => scores, close: () => undefined };
}
