/**
 * The operator's own terms over list prices: LiteLLM's `cost_discount_config` and
 * `cost_margin_config`. They are worked into a deployment's price once, when it is made, so that a
 * decision, a receipt and a header all mean the same money and no call pays for it.
 */
import type { CostTerms } from "../config/config.ts";
import type { FurtherPrices, Price, PriceVariant } from "../domain/usage.ts";

/** The discount first, then the margin, as LiteLLM has it. A provider's own margin stands above `global`. */
export function withTerms(price: Price, provider: string, terms: CostTerms): Price {
  const margin = terms.margins[provider] ?? terms.margins["global"];
  const discount = terms.discounts[provider] ?? 0;
  const factor = (1 - discount) * (1 + (margin?.share ?? 0));
  const fixedUsd = margin?.fixedUsd ?? 0;
  if (factor === 1 && fixedUsd === 0) return price;
  const { more, ...rates } = price;
  const further = furtherPrices(more, factor, fixedUsd);
  return { ...scaled(rates, factor), ...(further ? { more: further } : {}) };
}

function furtherPrices(
  more: FurtherPrices | undefined,
  factor: number,
  fixedUsd: number,
): FurtherPrices | undefined {
  if (!more && fixedUsd === 0) return undefined;
  const { noTokens, usdPerUnit, variants, ...rates } = more ?? {};
  const units = scaled(usdPerUnit ?? {}, factor);
  const perUnit = fixedUsd === 0 ? units : { ...units, requests: (units.requests ?? 0) + fixedUsd };
  return {
    ...scaled(rates, factor),
    ...(noTokens === undefined ? {} : { noTokens }),
    ...(usdPerUnit || fixedUsd > 0 ? { usdPerUnit: perUnit } : {}),
    ...(variants ? { variants: variants.map((each) => scaledVariant(each, factor)) } : {}),
  };
}

function scaledVariant(variant: PriceVariant, factor: number): PriceVariant {
  const { aboveTokens, service, ...rates } = variant;
  return {
    ...scaled(rates, factor),
    ...(aboveTokens === undefined ? {} : { aboveTokens }),
    ...(service === undefined ? {} : { service }),
  };
}

function scaled<Rates extends object>(rates: Rates, factor: number): Rates {
  const entries = Object.entries(rates).map(([name, rate]) => [
    name,
    typeof rate === "number" ? rate * factor : rate,
  ]);
  return Object.fromEntries(entries) as Rates;
}
