/**
 * What is known of models at the services we call, as of the day the binary was made: prices, limits,
 * capabilities. Nothing is fetched; an operator's `model_info`, custom prices and price file stand
 * above it.
 */
import type { JsonObject } from "../domain/json.ts";
import { type Capability, type ModelFacts, toOperation } from "../domain/model.ts";
import type { Price } from "../domain/usage.ts";
import { readPackedFile } from "../std/packed-file.ts";
import catalogPath from "./catalog.json" with { type: "file" };
import { priceOfEntry } from "./litellm-prices.ts";
import { publishedSizeB } from "./model-sizes.ts";

type Row = readonly [
  inputUsd: number | null,
  outputUsd: number | null,
  cacheReadUsd: number | null,
  cacheWriteUsd: number | null,
  window: number,
  outputLimit: number,
  capabilities: string,
  /** What the columns do not say, in LiteLLM's words: `mode` where it is not chat, other prices. */
  further?: JsonObject,
];

export interface Catalog {
  /** `YYYY-MM-DD`. */
  readonly asOf: string;
  /** Empty, but for a size that the name tells, where nothing is known: never a guess. */
  factsOf(provider: string, model: string): ModelFacts;
  /** Names of a provider's models, without its prefix. */
  modelsOf(provider: string): readonly string[];
}

/**
 * The catalog stays text, a row per line, and a look-up parses its row alone: parsing all of it would
 * cost the start 5 to 10 ms, and most of it is never asked for. A look-up costs about 0.1 ms; callers
 * keep what they get.
 */
export function loadCatalog(): Catalog {
  // The compiler looks at the file, not at "file".
  const text = new TextDecoder().decode(readPackedFile(catalogPath as unknown as string));
  const find = (key: string): Row | undefined => {
    const at = text.indexOf(`\n${JSON.stringify(key)}:[`);
    if (at < 0) return undefined;
    const start = text.indexOf("[", at + key.length);
    return JSON.parse(text.slice(start, text.indexOf("\n", start)).replace(/,$/, ""));
  };
  return {
    asOf: /"asOf":"([\d-]+)"/.exec(text)?.[1] ?? "",
    factsOf(provider, model) {
      for (const name of namesOf(model.toLowerCase())) {
        const row =
          find(`${provider}/${name}`) ??
          find(`${sellsAs[provider] ?? provider}/${name}`) ??
          resold(provider, name, find);
        if (row) return toFacts(row, name);
      }
      return sizeOf(model);
    },
    modelsOf(provider) {
      const prefix = `"${provider}/`;
      const lines = text.split("\n").filter((line) => line.startsWith(prefix));
      return lines.map((line) => line.slice(prefix.length, line.indexOf('":[')));
    },
  };
}

/** A name, and what it may be listed as: without its date, as the latest, in the other punctuation. */
function namesOf(written: string): readonly string[] {
  // Bedrock's ARNs end in the model's own name.
  const model = written.startsWith("arn:") ? (written.split("/").at(-1) ?? written) : written;
  const undated = model.replace(/[-@](\d{8}|\d{4}-\d{2}-\d{2})$/, "").replace(/-latest$/, "");
  const untagged = undated.replace(/:[\w-]+$/, "");
  // A profile that spans regions has the name of its model behind that of the regions.
  const homeless = model.replace(/^[a-z]{2,6}(-gov)?\.(?=[a-z0-9]+\.)/, "");
  const names = [model, undated, `${undated}-latest`, untagged, homeless];
  return [...new Set([...names, ...names.map((name) => name.replaceAll(".", "-"))])];
}

/** Clouds that sell a maker's models at the maker's own price. */
const sellsAs: Readonly<Record<string, string>> = {
  vertex_ai: "gemini",
  vertex_ai_anthropic: "anthropic",
  vertex_ai_endpoint: "gemini",
  vertex_ai_embedding: "vertex_ai",
  vertex_ai_gemini_embedding: "vertex_ai",
  vertex_ai_content_embedding: "gemini",
  azure: "openai",
  codestral: "mistral",
};

/** Services that pass a maker's price on name the model `maker/model`. */
const resellers = new Set(["openrouter", "vercel_ai_gateway", "litellm_proxy"]);
const makers: Readonly<Record<string, string>> = {
  google: "gemini",
  mistralai: "mistral",
  "x-ai": "xai",
  moonshotai: "moonshot",
  "z-ai": "zai",
};

function resold(
  provider: string,
  name: string,
  find: (key: string) => Row | undefined,
): Row | undefined {
  const slash = name.indexOf("/");
  if (!resellers.has(provider) || slash < 0) return undefined;
  const maker = name.slice(0, slash);
  return find(`${makers[maker] ?? maker}/${name.slice(slash + 1)}`);
}

const capabilityOf: Readonly<Record<string, Capability>> = {
  t: "tools",
  v: "vision",
  j: "json_schema",
  a: "audio",
  r: "reasoning",
};

function toFacts(row: Row, name: string): ModelFacts {
  const [, , , , window, outputLimit, letters, further] = row;
  const price = toPrice(row);
  const mode = toOperation(further?.["mode"] ?? "chat");
  const pairs = [...letters].flatMap((letter) => {
    const capability = capabilityOf[letter.toLowerCase()];
    return capability ? [[capability, letter === letter.toLowerCase()] as const] : [];
  });
  return {
    ...(mode ? { mode } : {}),
    ...(price ? { price } : {}),
    ...(window ? { maxInputTokens: window } : {}),
    ...(outputLimit ? { maxOutputTokens: outputLimit } : {}),
    ...(pairs.length ? { capabilities: Object.fromEntries(pairs) } : {}),
    ...sizeOf(name),
  };
}

function toPrice([input, output, cacheRead, cacheWrite, , , , further = {}]: Row):
  | Price
  | undefined {
  // Half a price of a model that is sold by the token would make the other half free.
  const halved = (input === null) !== (output === null) && further["mode"] === undefined;
  const perToken = (perMillion: number | null) =>
    perMillion === null || halved ? undefined : perMillion / 1e6;
  const columns = {
    input_cost_per_token: perToken(input),
    output_cost_per_token: perToken(output),
    cache_read_input_token_cost: perToken(cacheRead),
    cache_creation_input_token_cost: perToken(cacheWrite),
  };
  return priceOfEntry({ ...columns, ...further });
}

function sizeOf(model: string): ModelFacts {
  const sizeB = publishedSizeB(model);
  return sizeB === undefined ? {} : { sizeB };
}
