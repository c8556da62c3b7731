/**
 * Prices in the words of LiteLLM's cost map: the catalog's further columns, `model_info`, custom
 * prices among `litellm_params` and an operator's price file all say them so. USD per token, or per
 * the unit that the key names. Source: LiteLLM's model_prices_and_context_window.json.
 */
import { isObject, type Json, type JsonObject } from "../domain/json.ts";
import type { FurtherPrices, Price, PriceVariant, ServiceTier, Units } from "../domain/usage.ts";

/** An entry's prices over those known before. Undefined where it names none. */
export function priceOfEntry(entry: JsonObject, known?: Price): Price | undefined {
  const pick = (key: string) => numberOf(entry[key]);
  const input = pick("input_cost_per_token");
  const output = pick("output_cost_per_token");
  const more = furtherOf(entry, known?.more);
  if (input === undefined && output === undefined && !more) return undefined;
  const tokens = input !== undefined || output !== undefined || (known && !known.more?.noTokens);
  const { noTokens: _, ...further } = { ...known?.more, ...more };
  const whole: FurtherPrices =
    tokens || hasTokenPrice(further) ? further : { ...further, noTokens: true };
  return {
    inputUsdPerToken: input ?? known?.inputUsdPerToken ?? 0,
    outputUsdPerToken: output ?? known?.outputUsdPerToken ?? 0,
    ...optional(
      "cacheReadUsdPerToken",
      pick("cache_read_input_token_cost") ?? known?.cacheReadUsdPerToken,
    ),
    ...optional(
      "cacheWriteUsdPerToken",
      pick("cache_creation_input_token_cost") ?? known?.cacheWriteUsdPerToken,
    ),
    ...(Object.keys(whole).length > 0 ? { more: whole } : {}),
  };
}

/** Every key of a price, so that a schema can name them and a request's body never carries one. */
export function isPriceKey(key: string): boolean {
  return /(^|_)cost(_per)?(_|$)/.test(key) || key === "tiered_pricing";
}

const modalKeys = {
  reasoningUsdPerToken: "output_cost_per_reasoning_token",
  audioInputUsdPerToken: "input_cost_per_audio_token",
  audioOutputUsdPerToken: "output_cost_per_audio_token",
  imageInputUsdPerToken: "input_cost_per_image_token",
  imageOutputUsdPerToken: "output_cost_per_image_token",
} as const;

/** The first key that stands there counts; LiteLLM puts an image's price on either side. */
const unitKeys: Readonly<Record<keyof Units, readonly string[]>> = {
  images: ["output_cost_per_image", "input_cost_per_image"],
  pixels: ["output_cost_per_pixel", "input_cost_per_pixel"],
  seconds: ["input_cost_per_second", "output_cost_per_second", "cost_per_second"],
  characters: ["input_cost_per_character", "output_cost_per_character"],
  queries: ["input_cost_per_query"],
  requests: ["input_cost_per_request", "cost_per_request"],
};

const hasTokenPrice = (more: FurtherPrices) => Object.keys(modalKeys).some((key) => key in more);

function furtherOf(entry: JsonObject, known?: FurtherPrices): FurtherPrices | undefined {
  const modal: Record<string, number> = {};
  for (const [name, key] of Object.entries(modalKeys)) {
    const value = numberOf(entry[key]);
    if (value !== undefined) modal[name] = value;
  }
  const units: Record<string, number> = {};
  for (const [unit, keys] of Object.entries(unitKeys)) {
    // Zero on one side says only that the other is what is paid.
    const values = keys.flatMap((key) => numberOf(entry[key]) ?? []);
    const value = values.find((each) => each > 0) ?? values[0];
    if (value !== undefined) units[unit] = value;
  }
  const variants = variantsOf(entry);
  if (Object.keys(modal).length + Object.keys(units).length + variants.length === 0)
    return undefined;
  return {
    ...modal,
    ...(Object.keys(units).length > 0 ? { usdPerUnit: { ...known?.usdPerUnit, ...units } } : {}),
    ...(variants.length > 0 ? { variants } : {}),
  };
}

const rateNames: Readonly<Record<string, keyof PriceVariant>> = {
  input_cost_per_token: "inputUsdPerToken",
  output_cost_per_token: "outputUsdPerToken",
  cache_read_input_token_cost: "cacheReadUsdPerToken",
  cache_creation_input_token_cost: "cacheWriteUsdPerToken",
};
const services: Readonly<Record<string, ServiceTier>> = {
  batches: "batch",
  flex: "flex",
  priority: "priority",
};
const variantKey =
  /^(input_cost_per_token|output_cost_per_token|cache_read_input_token_cost|cache_creation_input_token_cost)(?:_above_(\d+)k_tokens)?(?:_(batches|flex|priority))?$/;

/** `input_cost_per_token_above_200k_tokens_priority` and its kin, and `tiered_pricing`. */
function variantsOf(entry: JsonObject): PriceVariant[] {
  const found = new Map<string, Record<string, number | string>>();
  const put = (
    aboveTokens: number,
    service: ServiceTier | undefined,
    rate: string,
    usd: number,
  ) => {
    const key = `${aboveTokens} ${service ?? ""}`;
    const variant = found.get(key) ?? {
      ...(aboveTokens > 0 ? { aboveTokens } : {}),
      ...(service ? { service } : {}),
    };
    found.set(key, { ...variant, [rate]: usd });
  };
  for (const [key, value] of Object.entries(entry)) {
    const usd = numberOf(value);
    const match = usd === undefined ? null : variantKey.exec(key);
    if (!match || usd === undefined || !(match[2] || match[3])) continue;
    const rate = rateNames[match[1] ?? ""];
    if (rate) put(Number(match[2] ?? 0) * 1000, services[match[3] ?? ""], rate, usd);
  }
  for (const tier of Array.isArray(entry["tiered_pricing"]) ? entry["tiered_pricing"] : []) {
    const from = tierStart(tier);
    if (!isObject(tier) || from === undefined) continue;
    for (const [key, rate] of Object.entries(rateNames)) {
      const usd = numberOf(tier[key]);
      if (usd !== undefined) put(from, undefined, rate, usd);
    }
  }
  return [...found.values()] as PriceVariant[];
}

/** `range: [from, to]`, in tokens of input. */
function tierStart(tier: Json | undefined): number | undefined {
  if (!isObject(tier) || !Array.isArray(tier["range"])) return undefined;
  return numberOf(tier["range"][0] as Json);
}

function numberOf(value: Json | undefined): number | undefined {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) && number >= 0 ? number : undefined;
}

function optional<K extends string>(key: K, value: number | undefined): Partial<Record<K, number>> {
  return value === undefined ? {} : ({ [key]: value } as Record<K, number>);
}

/** A price in LiteLLM's words again, for `/model/info`. */
export function toEntry(price: Price | undefined): JsonObject {
  if (!price) return {};
  const { more = {} } = price;
  const perToken = more.noTokens
    ? {}
    : {
        input_cost_per_token: price.inputUsdPerToken,
        output_cost_per_token: price.outputUsdPerToken,
        cache_read_input_token_cost: price.cacheReadUsdPerToken,
        cache_creation_input_token_cost: price.cacheWriteUsdPerToken,
      };
  const modal = Object.entries(modalKeys).map(([name, key]) => [
    key,
    more[name as keyof typeof modalKeys],
  ]);
  const units = Object.entries(more.usdPerUnit ?? {}).map(([unit, usd]) => [
    unitKeys[unit as keyof Units][0],
    usd,
  ]);
  const variants = (more.variants ?? []).flatMap((variant) =>
    Object.entries(rateNames).map(([key, rate]) => [key + suffixOf(variant), variant[rate]]),
  );
  const entries = [...Object.entries(perToken), ...modal, ...units, ...variants];
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as JsonObject;
}

function suffixOf({ aboveTokens, service }: PriceVariant): string {
  const above = aboveTokens === undefined ? "" : `_above_${aboveTokens / 1000}k_tokens`;
  return above + (service === undefined ? "" : `_${service === "batch" ? "batches" : service}`);
}
