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
  /** Of the tokens: those of sound and pictures, which have prices of their own. */
  readonly modal?: ModalTokens;
  /** What is counted otherwise than in tokens. */
  readonly units?: Units;
  /** The provider's word for how it served the call. */
  readonly service?: ServiceTier;
  /** True where the provider sent none and we counted ourselves. */
  readonly estimated?: boolean;
}

export interface ModalTokens {
  readonly audioInput?: number;
  readonly audioOutput?: number;
  readonly imageInput?: number;
  readonly imageOutput?: number;
}

export interface Units {
  readonly images?: number;
  /** Of all images together. */
  readonly pixels?: number;
  /** Of sound that was heard or made. */
  readonly seconds?: number;
  readonly characters?: number;
  /** A reranker's searches. */
  readonly queries?: number;
  readonly requests?: number;
}

export type ServiceTier = "batch" | "flex" | "priority";

/** USD per token; a missing cache price means the input price. */
export interface Price {
  readonly inputUsdPerToken: number;
  readonly outputUsdPerToken: number;
  readonly cacheReadUsdPerToken?: number;
  readonly cacheWriteUsdPerToken?: number;
  /** What most models have not. */
  readonly more?: FurtherPrices;
}

export interface FurtherPrices {
  /** The model is not sold by the token: a usage in tokens alone has no price. */
  readonly noTokens?: boolean;
  readonly reasoningUsdPerToken?: number;
  readonly audioInputUsdPerToken?: number;
  readonly audioOutputUsdPerToken?: number;
  readonly imageInputUsdPerToken?: number;
  readonly imageOutputUsdPerToken?: number;
  readonly usdPerUnit?: { readonly [unit in keyof Units]?: number };
  /** Prices that stand in for the ones above: beyond a length of input, or by service. */
  readonly variants?: readonly PriceVariant[];
}

type Rates = Pick<
  Price,
  "inputUsdPerToken" | "outputUsdPerToken" | "cacheReadUsdPerToken" | "cacheWriteUsdPerToken"
>;

/** With both conditions, both must hold. Beyond `aboveTokens` of input, all tokens cost so. */
export interface PriceVariant extends Partial<Rates> {
  readonly aboveTokens?: number;
  readonly service?: ServiceTier;
}

/** Cost in whole micro-USD, rounded half up. Undefined where there is no price: never free in silence. */
export function costMicroUsd(usage: Usage, price: Price | undefined): number | undefined {
  if (!price) return undefined;
  const usd =
    price.more || usage.units ? costInDetail(usage, price, price.more ?? {}) : costOf(usage, price);
  return usd === undefined ? undefined : Math.round(usd * 1e6);
}

function costOf(usage: Usage, price: Rates): number {
  const cached = usage.cachedInputTokens ?? 0;
  const written = usage.cacheWriteTokens ?? 0;
  const plain = Math.max(0, usage.inputTokens - cached - written);
  return (
    plain * price.inputUsdPerToken +
    cached * (price.cacheReadUsdPerToken ?? price.inputUsdPerToken) +
    written * (price.cacheWriteUsdPerToken ?? price.inputUsdPerToken) +
    usage.outputTokens * price.outputUsdPerToken
  );
}

/**
 * Tokens where they are counted and have a price, else the first other unit that has one: a
 * provider that reports both means the same work.
 */
function costInDetail(usage: Usage, price: Price, more: FurtherPrices): number | undefined {
  const tokens = usage.inputTokens + usage.outputTokens;
  const perRequest = more.usdPerUnit?.requests ?? 0;
  if (tokens > 0 && !more.noTokens) return perRequest + costOfTokens(usage, price, more);
  const perUnit = costOfUnits(usage.units ?? {}, more.usdPerUnit ?? {});
  if (perUnit !== undefined) return perRequest + perUnit;
  if (perRequest > 0) return perRequest;
  // Nothing was counted, by the token: nothing to pay. Anything else is work without a price.
  return tokens === 0 && !usage.units && !more.noTokens ? 0 : freeOrUnknown(price, more);
}

/** A model whose prices by the token are all zero is free, whatever else was counted. */
function freeOrUnknown(price: Price, more: FurtherPrices): number | undefined {
  return !more.noTokens && price.inputUsdPerToken === 0 && price.outputUsdPerToken === 0
    ? 0
    : undefined;
}

/** Which unit is sold, in order: the finer one first. */
const unitOrder = ["queries", "characters", "seconds", "pixels", "images"] as const;

function costOfUnits(
  units: Units,
  prices: NonNullable<FurtherPrices["usdPerUnit"]>,
): number | undefined {
  for (const unit of unitOrder) {
    const count = units[unit];
    const price = prices[unit];
    if (count !== undefined && price !== undefined) return count * price;
  }
  return undefined;
}

function costOfTokens(usage: Usage, price: Price, more: FurtherPrices): number {
  const rates = ratesFor(usage, price, more);
  const { audioInput = 0, audioOutput = 0, imageInput = 0, imageOutput = 0 } = usage.modal ?? {};
  const reasoning = more.reasoningUsdPerToken === undefined ? 0 : (usage.reasoningTokens ?? 0);
  const plain: Usage = {
    ...usage,
    // Sound in the cache is counted in both; no count below zero comes of it.
    inputTokens: Math.max(0, usage.inputTokens - audioInput - imageInput),
    outputTokens: Math.max(0, usage.outputTokens - audioOutput - imageOutput - reasoning),
  };
  return (
    costOf(plain, rates) +
    reasoning * (more.reasoningUsdPerToken ?? 0) +
    audioInput * (more.audioInputUsdPerToken ?? rates.inputUsdPerToken) +
    imageInput * (more.imageInputUsdPerToken ?? rates.inputUsdPerToken) +
    audioOutput * (more.audioOutputUsdPerToken ?? rates.outputUsdPerToken) +
    imageOutput * (more.imageOutputUsdPerToken ?? rates.outputUsdPerToken)
  );
}

/** Each rate from the variant that says most of this call: length and service, length, service. */
function ratesFor(usage: Usage, price: Price, { variants }: FurtherPrices): Rates {
  if (!variants) return price;
  const holding = variants
    .filter(
      ({ aboveTokens, service }) =>
        (aboveTokens === undefined || usage.inputTokens > aboveTokens) &&
        (service === undefined || service === usage.service),
    )
    .sort((a, b) => weight(a) - weight(b));
  return holding.length === 0 ? price : Object.assign({}, price, ...holding);
}

const weight = ({ aboveTokens, service }: PriceVariant) =>
  (aboveTokens ?? 0) + (service === undefined ? 0 : 0.5);
