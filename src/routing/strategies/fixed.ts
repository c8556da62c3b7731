/**
 * `llmrouter-smallest` and `llmrouter-largest`: always the same candidate, by parameters, by price
 * where no candidate's size is known, by what they cost where there is no price. They ignore the
 * query and the dial, as in LLMRouter.
 */
import { Type } from "@sinclair/typebox";
import { GatewayError } from "../../domain/errors.ts";
import { defineStrategy, type Examples, type Strategy } from "./strategy.ts";

const none = Type.Object({});

export const smallest = defineFixed("llmrouter-smallest", "Always the smallest model.", 1);
export const largest = defineFixed("llmrouter-largest", "Always the largest model.", -1);

function defineFixed(name: string, summary: string, sign: 1 | -1): Strategy<typeof none> {
  return defineStrategy({
    name,
    summary,
    options: none,
    fit(examples, _options, context) {
      context.progress(1);
      return { tensors: {}, json: { choice: pickBySize(examples, sign) ?? 0 } };
    },
    load({ json }, { m }) {
      const choice = Number(json["choice"]);
      if (!Number.isSafeInteger(choice) || choice < 0 || choice >= m) {
        throw new GatewayError("artifact_refused", `${name}: the choice is not one of the models`);
      }
      const uncertainty = new Float32Array(m);
      return {
        sync: true,
        constant: true,
        score: () => ({
          quality: Float32Array.from({ length: m }, (_, j) => (j === choice ? 1 : 0)),
          uncertainty,
        }),
        close: () => undefined,
      };
    },
  });
}

/**
 * The smallest (1) or largest (−1) model; undefined where no size, price or cost is known. Ties go
 * to the first in the list. Models of unknown size lose to those of a known one.
 */
export function pickBySize(
  { sizeB, priceUsdPerMtok, meanCostUsd, models }: Examples,
  sign: 1 | -1,
): number | undefined {
  const measure = [sizeB, priceUsdPerMtok, meanCostUsd].find((values) =>
    values?.some(Number.isFinite),
  );
  if (!measure) return undefined;
  const rank = (j: number) => {
    const value = measure[j] ?? Number.NaN;
    return Number.isFinite(value) ? sign * value : Number.POSITIVE_INFINITY;
  };
  return models.reduce((best, _, j) => (rank(j) < rank(best) ? j : best), 0);
}
