/**
 * Makes src/providers/catalog.json: prices, limits and capabilities of models at the services we call.
 * Two sources, both under the MIT licence: LiteLLM's cost map (it goes first, since its users expect
 * its prices) and @pydantic/genai-prices, for models that the first has not. By hand, when prices are
 * to be renewed:
 *
 *   pip download --no-deps litellm==1.110.2 && unzip -j litellm-*.whl '*model_prices*.json' -d /tmp/catalog
 *   npm install --prefix /tmp/catalog @pydantic/genai-prices@0.1.8
 *   bun scripts/build-catalog.ts /tmp/catalog 2026-11-25
 */
import { join } from "node:path";
import type { JsonObject } from "../src/domain/json.ts";
import { toOperation } from "../src/domain/model.ts";
import { isPriceKey, priceOfEntry } from "../src/providers/litellm-prices.ts";
import { findProvider } from "../src/providers/registry.ts";
import { root } from "./run.ts";

const [folder, asOf] = process.argv.slice(2);
if (!folder || !asOf) {
  console.error("usage: bun scripts/build-catalog.ts FOLDER YYYY-MM-DD");
  process.exit(2);
}

type Further = Readonly<Record<string, unknown>>;
/** [input, output, cache read, cache write: USD per million tokens; window, output limit; letters; rest] */
type Row = [
  ...[number | null, number | null, number | null, number | null, number, number, string],
  Further?,
];
const rows = new Map<string, Row>();

interface MapEntry {
  readonly litellm_provider?: string;
  readonly mode?: string;
  readonly [key: string]: unknown;
}

/** Where a missing capability means that there is none: maps of the makers' own models are complete. */
const complete = new Set([
  "openai",
  "anthropic",
  "gemini",
  "mistral",
  "deepseek",
  "xai",
  "groq",
  "cohere",
]);

/** Lower case: it can; upper case: it cannot; absent: nobody says. */
const letters = [
  ["t", "supports_function_calling"],
  ["v", "supports_vision"],
  ["j", "supports_response_schema"],
  ["a", "supports_audio_input"],
  ["r", "supports_reasoning"],
] as const;

const columns = new Set([
  ...["input_cost_per_token", "output_cost_per_token"],
  ...["cache_read_input_token_cost", "cache_creation_input_token_cost"],
]);

const number = (value: unknown) =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined;
/** Prices have at most six digits that mean something; the rest is the floating point's. */
const perMillion = (usd: unknown) => {
  const value = number(usd);
  return value === undefined ? null : Number((value * 1e6).toPrecision(6));
};

const map: Record<string, MapEntry> = await Bun.file(
  join(folder, "model_prices_and_context_window_backup.json"),
).json();
for (const [name, entry] of Object.entries(map)) {
  const provider = findProvider((entry.litellm_provider ?? "").replace(/-embedding-models$/, ""));
  if (!provider || !toOperation(entry.mode)) continue;
  // What Bedrock draws and ranks goes by other paths, which we do not call.
  const isChatOrEmbedding = entry.mode === "chat" || entry.mode === "embedding";
  if (provider.name === "bedrock" && (!isChatOrEmbedding || /commitment/.test(name))) continue;
  const prefixes = [provider.name, ...(provider.aliases ?? [])];
  const prefix = prefixes.find((each) => name.startsWith(`${each}/`));
  const model = prefix ? name.slice(prefix.length + 1) : name;
  const known = letters.some(([, key]) => typeof entry[key] === "boolean");
  const flags = letters.map(([letter, key]) => {
    if (entry[key] === true) return letter;
    const isNo = entry[key] === false || (known && complete.has(provider.name) && letter !== "j");
    return isNo && entry.mode === "chat" ? letter.toUpperCase() : "";
  });
  const further = furtherOf(entry);
  const row = [
    perMillion(entry["input_cost_per_token"]),
    perMillion(entry["output_cost_per_token"] ?? (entry.mode === "embedding" ? 0 : undefined)),
    perMillion(entry["cache_read_input_token_cost"]),
    perMillion(entry["cache_creation_input_token_cost"]),
    number(entry["max_input_tokens"]) ?? 0,
    entry.mode === "embedding" ? 0 : (number(entry["max_output_tokens"]) ?? 0),
    flags.join(""),
    ...(Object.keys(further).length > 0 ? [further] : []),
  ] as Row;
  add(provider.name, model, row);
  // The map's prefix for them; people write openai/ all the same.
  if (provider.name === "text-completion-openai") add("openai", model, row);
}

/** The mode where it is not chat, and every price that has no column and that we charge by. */
function furtherOf(entry: MapEntry): Further {
  const further: Record<string, unknown> = {};
  if (entry.mode !== "chat") further["mode"] = entry.mode;
  for (const [key, value] of Object.entries(entry)) {
    if (columns.has(key) || !isPriceKey(key) || !charges(key, value)) continue;
    further[key] = typeof value === "number" ? Number(value.toPrecision(6)) : value;
  }
  return further;
}

function charges(key: string, value: unknown): boolean {
  const alone = { [key]: value } as JsonObject;
  return priceOfEntry(alone)?.more !== undefined;
}

interface PriceTier {
  readonly base: number;
}
type Prices = Record<string, number | PriceTier | undefined>;
interface Dated {
  readonly constraint?: { readonly type: string; readonly start_date?: string };
  readonly prices: Prices;
}
interface PricedModel {
  readonly id: string;
  readonly context_window?: number;
  readonly prices: Prices | readonly Dated[];
}

/** genai-prices' names for services that we name otherwise. */
const otherNames: Readonly<Record<string, string>> = {
  google: "gemini",
  "x-ai": "xai",
  together: "together_ai",
  fireworks: "fireworks_ai",
  moonshotai: "moonshot",
};
const priced = await import(join(folder, "node_modules/@pydantic/genai-prices/dist/index.js"));
const services = [
  ...["openai", "anthropic", "google", "mistral", "deepseek", "x-ai", "groq", "together", "cohere"],
  ...["fireworks", "openrouter", "perplexity", "cerebras", "moonshotai", "novita"],
];
for (const service of services) {
  const models: readonly PricedModel[] = priced.findProvider({ providerId: service })?.models ?? [];
  for (const { id, context_window: window, prices } of models) {
    const inForce = pricesOn(prices, asOf);
    const base = (key: string) => {
      const value = inForce[key];
      return typeof value === "object" ? value.base : (value ?? null);
    };
    if (base("input_mtok") === null || /[:@]/.test(id)) continue;
    const name = service === "fireworks" ? `accounts/fireworks/models/${id}` : id;
    add(otherNames[service] ?? service, name, [
      ...[base("input_mtok"), base("output_mtok")],
      ...[base("cache_read_mtok"), base("cache_write_mtok")],
      window ?? 0,
      0,
      "",
    ] as unknown as Row);
  }
}

/** The prices without a condition, or the newest that are in force. */
function pricesOn(prices: PricedModel["prices"], day: string): Prices {
  if (!Array.isArray(prices)) return prices as Prices;
  const inForce = (prices as readonly Dated[]).filter(
    ({ constraint }) =>
      !constraint || (constraint.type === "start_date" && (constraint.start_date ?? "") <= day),
  );
  return inForce.at(-1)?.prices ?? {};
}

function add(provider: string, model: string, row: Row): void {
  const key = `${provider}/${model.toLowerCase()}`;
  if (!rows.has(key)) rows.set(key, row);
}

const models = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
const head = {
  about:
    "Prices in USD per million tokens: input, output, cache read, cache write. Then tokens: context window, output limit (0: unknown). Then capabilities: t tools, v vision, j JSON schema, a audio, r reasoning; upper case: cannot. Then, in LiteLLM's words, the mode where it is not chat and further prices in USD per unit. Made by scripts/build-catalog.ts; not edited by hand.",
  sources: [
    "LiteLLM 1.110.2, model_prices_and_context_window_backup.json. MIT License, Copyright (c) 2023 Berri AI",
    "@pydantic/genai-prices 0.1.8. MIT License, Copyright (c) Pydantic Services Inc.",
  ],
  asOf,
};
const lines = models.map(([name, row]) => `${JSON.stringify(name)}:${JSON.stringify(row)}`);
const text = `${JSON.stringify(head).slice(0, -1)},"models":{\n${lines.join(",\n")}\n}}\n`;
await Bun.write(join(root, "src/providers/catalog.json"), text);
console.log(`${models.length} models, ${Math.round(text.length / 1024)} KB`);
