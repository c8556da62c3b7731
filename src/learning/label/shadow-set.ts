/**
 * A shadow set: a sample of queries, stratified by what they are about, that every model answers, off
 * the request path; a judge grades the answers side by side. Its rows are what routers learn best from.
 */
import type { Kernels } from "../../kernels/kernels.ts";
import { createRandom, shuffle } from "../../std/random.ts";
import { toClusters } from "./choose-calls.ts";
import { answerCostUsd, answerTokens, askFor, type LabelParts } from "./label-calls.ts";
import type { Share } from "./purse.ts";
import type { Done } from "./work.ts";

export interface ShadowQuery {
  readonly id: string;
  readonly text: string;
  readonly embedding: Float32Array;
}

/**
 * Round by round one of every cluster, so that a sample of any size has each kind of query: small
 * kinds more than their share, which is what a router knows least of.
 */
export function orderQueries(
  queries: readonly ShadowQuery[],
  kernels: (bytes: number) => Kernels,
  seed: number,
): readonly ShadowQuery[] {
  const random = createRandom(seed);
  const clusters = toClusters(queries, kernels, seed).map((members) => shuffle(members, random));
  const result: ShadowQuery[] = [];
  for (let round = 0; result.length < queries.length; round++) {
    for (const members of clusters) {
      const query = members[round];
      if (query) result.push(query);
    }
  }
  return result;
}

export interface ShadowParts extends Pick<LabelParts, "gateway" | "priceOf" | "purse" | "judge"> {
  readonly models: readonly string[];
  /** One line of JSON, kept for good before the next query is begun. */
  readonly write: (line: string) => Promise<void>;
}

/** A query on every model. Where one cannot answer, there is no row: half a row would compare unfairly. */
export async function shadowQuery(query: ShadowQuery, parts: ShadowParts): Promise<Done> {
  const share = await parts.purse.open(
    shadowCostUsd(query, parts, answerTokens),
    shadowCostUsd(query, parts),
  );
  if (!share) return "no money";
  try {
    return await shadowFrom(share, query, parts);
  } finally {
    share.close();
  }
}

async function shadowFrom(share: Share, query: ShadowQuery, parts: ShadowParts): Promise<Done> {
  const answers = [];
  for (const model of parts.models) {
    const asked = await askFor(query.text, model, share, parts);
    if (!asked) return "no money";
    answers.push({ model, ...asked });
  }
  const grades = await parts.judge.grade(query.text, answers, share);
  if (!grades) return "no money";
  const models = Object.fromEntries(
    answers.map(({ model, inputTokens, outputTokens, costUsd, latencyMs }, at) => [
      model,
      {
        score: Number((grades[at]?.score ?? 0).toFixed(4)),
        orders: grades[at]?.orders,
        ...(inputTokens === undefined ? {} : { input_tokens: inputTokens }),
        ...(outputTokens === undefined ? {} : { output_tokens: outputTokens }),
        cost_usd: costUsd,
        latency_ms: Math.round(latencyMs),
      },
    ]),
  );
  const row = { id: query.id, query: query.text, source: parts.judge.source, models };
  await parts.write(`${JSON.stringify(row)}\n`);
  return "done";
}

const usualTokens = 256;
const charsPerToken = 4;

/** What a row is expected to cost, or would with so many tokens in each answer. */
export function shadowCostUsd(
  { text }: Pick<ShadowQuery, "text">,
  { models, priceOf, judge }: Pick<ShadowParts, "models" | "priceOf" | "judge">,
  tokens = usualTokens,
): number {
  const answers = models.reduce((sum, model) => {
    const price = priceOf(model);
    return sum + (price ? answerCostUsd(price, text.length, tokens) : 0);
  }, 0);
  return (
    answers +
    judge.estimateUsd(
      text.length,
      models.map(() => tokens * charsPerToken),
    )
  );
}
