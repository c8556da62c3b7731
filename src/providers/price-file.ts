/** An operator's prices above the catalog's: found by LiteLLM's names, read by its keys. */
import type { PriceFile } from "../config/config.ts";
import type { JsonObject } from "../domain/json.ts";
import { type Capability, type ModelFacts, toOperation } from "../domain/model.ts";
import { priceOfEntry } from "./litellm-prices.ts";

export type FactsOf = (provider: string, model: string) => ModelFacts;

export function withPriceFile(factsOf: FactsOf, prices: PriceFile): FactsOf {
  if (Object.keys(prices).length === 0) return factsOf;
  return (provider, model) => {
    const known = factsOf(provider, model);
    const entry = findEntry(prices, provider, model.toLowerCase());
    return entry ? { ...known, ...factsOfEntry(entry, known) } : known;
  };
}

/** With the provider's prefix, else bare, and then only where the entry is not another provider's. */
function findEntry(prices: PriceFile, provider: string, model: string): JsonObject | undefined {
  const own = prices[`${provider}/${model}`];
  if (own) return own;
  const bare = Object.hasOwn(prices, model) ? prices[model] : undefined;
  const of = bare?.["litellm_provider"];
  return of === undefined || of === provider || of === `text-completion-${provider}`
    ? bare
    : undefined;
}

const abilities: readonly (readonly [Capability, string])[] = [
  ["tools", "supports_function_calling"],
  ["vision", "supports_vision"],
  ["json_schema", "supports_response_schema"],
  ["audio", "supports_audio_input"],
  ["reasoning", "supports_reasoning"],
];

function factsOfEntry(entry: JsonObject, known: ModelFacts): ModelFacts {
  const count = (key: string) => {
    const value = entry[key];
    return typeof value === "number" && value > 0 ? value : undefined;
  };
  const price = priceOfEntry(entry, known.price);
  const mode = toOperation(entry["mode"]);
  const maxInputTokens = count("max_input_tokens");
  const maxOutputTokens = count("max_output_tokens");
  const told = abilities.flatMap(([capability, key]) =>
    typeof entry[key] === "boolean" ? [[capability, entry[key]] as const] : [],
  );
  return {
    ...(price ? { price } : {}),
    ...(mode ? { mode } : {}),
    ...(maxInputTokens === undefined ? {} : { maxInputTokens }),
    ...(maxOutputTokens === undefined ? {} : { maxOutputTokens }),
    ...(told.length > 0
      ? { capabilities: { ...known.capabilities, ...Object.fromEntries(told) } }
      : {}),
  };
}
