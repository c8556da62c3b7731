/** The catalog's prior over a table's models: what a gateway decides by before it has learnt anything. */
import { publishedSizeB } from "../providers/model-sizes.ts";
import {
  createPriorRouter,
  type PriorModel,
  type PriorOptions,
} from "../routing/prior/prior-router.ts";
import type { TrainedRouter } from "../routing/trained-router.ts";
import type { Table } from "./table.ts";

/**
 * Of a table's outcomes only the mean costs are looked at, as an operator knows what models cost; of
 * its qualities nothing is.
 */
export function createTablePrior(table: Table, options: PriorOptions = {}): TrainedRouter {
  return createPriorRouter(toPriorModels(table), options);
}

export function toPriorModels(table: Table): PriorModel[] {
  const { labels, priceUsdPerMtok, sizeB } = table;
  return labels.map((name, j): PriorModel => {
    const meanCostUsd = meanCost(table, j);
    const listed = priceUsdPerMtok[j] as number;
    const size = Number.isFinite(sizeB[j]) ? (sizeB[j] as number) : publishedSizeB(name);
    const price = toPrice(listed, meanCostUsd);
    return {
      name,
      facts: { ...(price ? { price } : {}), ...(size === undefined ? {} : { sizeB: size }) },
      ...(meanCostUsd === undefined ? {} : { meanCostUsd }),
    };
  });
}

/** Tokens of a call by which a price is guessed from what calls cost, where no price is listed. */
const guessedTokens = 1_000;
/** Output tokens cost more, on most price lists so much more. */
const outputRatio = 3;

function toPrice(inputUsdPerMtok: number, meanCostUsd: number | undefined) {
  const usual = meanCostUsd === undefined ? Number.NaN : meanCostUsd / guessedTokens;
  const input = Number.isFinite(inputUsdPerMtok) ? inputUsdPerMtok / 1e6 : usual;
  if (!Number.isFinite(input)) return undefined;
  const listed = Number.isFinite(inputUsdPerMtok);
  return { inputUsdPerToken: input, outputUsdPerToken: listed ? input * outputRatio : input };
}

function meanCost({ n, labels, costUsd }: Table, j: number): number | undefined {
  const m = labels.length;
  let sum = 0;
  let count = 0;
  for (let row = 0; row < n; row++) {
    const cost = costUsd[row * m + j] as number;
    if (Number.isNaN(cost)) continue;
    sum += cost;
    count++;
  }
  return count > 0 ? sum / count : undefined;
}
