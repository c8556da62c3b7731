/** Tokens and money. Money is whole micro-US-dollars, so that sums are exact. */

export interface Usage {
  /** All input tokens, cached ones included (OpenAI's `prompt_tokens`). */
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the input: read from the provider's prompt cache. */
  readonly cachedInputTokens?: number;
  /** Of the input: written to the provider's prompt cache. */
  readonly cacheWriteTokens?: number;
  /** Of the output: spent on reasoning. */
  readonly reasoningTokens?: number;
  /** True where the provider sent none and we counted ourselves. */
  readonly estimated?: boolean;
}

/** USD per token; a missing cache price means the input price. */
export interface Price {
  readonly inputUsdPerToken: number;
  readonly outputUsdPerToken: number;
  readonly cacheReadUsdPerToken?: number;
  readonly cacheWriteUsdPerToken?: number;
}

/** Cost in whole micro-USD, rounded half up. Undefined where there is no price: never free in silence. */
export function costMicroUsd(usage: Usage, price: Price | undefined): number | undefined {
  if (!price) return undefined;
  const cached = usage.cachedInputTokens ?? 0;
  const written = usage.cacheWriteTokens ?? 0;
  const plain = Math.max(0, usage.inputTokens - cached - written);
  const usd =
    plain * price.inputUsdPerToken +
    cached * (price.cacheReadUsdPerToken ?? price.inputUsdPerToken) +
    written * (price.cacheWriteUsdPerToken ?? price.inputUsdPerToken) +
    usage.outputTokens * price.outputUsdPerToken;
  return Math.round(usd * 1e6);
}
