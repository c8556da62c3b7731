/**
 * Large tool sets kept out of the prompt: in search mode a client sees two tools, one that finds tools
 * by what they are for, and one that calls what was found.
 */
import { isObject, type JsonObject } from "../../../domain/json.ts";
import { sha256Hex } from "../../../security/hashing.ts";
import { createLru } from "../../../std/lru.ts";

export const searchTool = "search_tools";
export const callTool = "call_tool";
export const searchLimits = {
  found: 20,
  foundByDefault: 5,
  queryChars: 1_000,
  vectors: 20_000,
} as const;

/** Unit vectors, one for each text, of one length. */
export type EmbedTexts = (texts: readonly string[]) => Promise<readonly Float32Array[]>;

export const searchTools: readonly JsonObject[] = [
  {
    name: searchTool,
    title: "Find tools",
    description:
      "Finds tools by what they are for. Many more tools exist than are listed here: describe what you need to do, then run what was found with call_tool, with arguments that fit its inputSchema.",
    inputSchema: {
      type: "object",
      properties: {
        query: { type: "string", description: "What the tool should do, in words." },
        limit: {
          type: "integer",
          minimum: 1,
          maximum: searchLimits.found,
          default: searchLimits.foundByDefault,
        },
      },
      required: ["query"],
    },
    annotations: { readOnlyHint: true, openWorldHint: false },
  },
  {
    name: callTool,
    title: "Run a tool",
    description: "Runs a tool that search_tools found.",
    inputSchema: {
      type: "object",
      properties: {
        name: { type: "string", description: "Its name, as search_tools gave it." },
        arguments: { type: "object", description: "Its arguments, by its inputSchema." },
      },
      required: ["name"],
    },
  },
];

export interface ToolSearch {
  /** The best first; those that have nothing of the query are left out. */
  find(query: string, tools: readonly JsonObject[], limit: number): Promise<readonly JsonObject[]>;
}

/** @param embed missing, or failing: words alone decide */
export function createToolSearch(embed?: EmbedTexts): ToolSearch {
  const vectors = createLru<string, Float32Array>(searchLimits.vectors);

  async function byMeaning(query: string, texts: readonly string[]): Promise<readonly number[]> {
    if (!embed) return [];
    const keys = texts.map((text) => sha256Hex(text));
    const missing = texts.filter((_, i) => vectors.get(keys[i] ?? "") === undefined);
    const [asked, ...made] = await embed([query, ...missing]);
    for (const [i, text] of missing.entries()) {
      const vector = made[i];
      if (vector) vectors.set(sha256Hex(text), vector);
    }
    return keys.map((key) => dot(asked, vectors.get(key)));
  }

  return {
    async find(query, tools, limit) {
      const texts = tools.map(textOf);
      const words = byWords(query, texts);
      // Without vectors the words still find something.
      const meanings = await byMeaning(query, texts).catch(() => []);
      const scores = fuse([words, meanings], tools.length);
      return tools
        .map((tool, i) => ({
          tool,
          score: scores[i] ?? 0,
          close: (words[i] ?? 0) > 0 || (meanings[i] ?? 0) > leastCosine,
        }))
        .filter(({ close }) => close)
        .sort((a, b) => b.score - a.score)
        .slice(0, limit)
        .map(({ tool }) => tool);
    },
  };
}

/** Below it two texts have nothing to do with one another, by the built-in embedder. */
const leastCosine = 0.2;

function textOf({ name, title, description, inputSchema }: JsonObject): string {
  const properties = isObject(inputSchema) ? inputSchema["properties"] : undefined;
  const parameters = isObject(properties) ? Object.keys(properties).join(" ") : "";
  const words = [name, title, description].filter((text) => typeof text === "string").join(". ");
  return `${splitWords(words)} ${splitWords(parameters)}`.slice(0, textChars);
}

const textChars = 4_000;

/** `getIssue_comments` → get Issue comments */
const splitWords = (text: string) =>
  text.replace(/([a-z0-9])([A-Z])/g, "$1 $2").replace(/[._/-]+/g, " ");

/**
 * Okapi BM25, k1 = 1.2, b = 0.75; a word's plain plural counts as the word.
 * Source: Robertson & Zaragoza, "The Probabilistic Relevance Framework", 2009.
 */
function byWords(query: string, texts: readonly string[]): readonly number[] {
  const wanted = new Set(wordsOf(splitWords(query)));
  const documents = texts.map(wordsOf);
  const meanLength = documents.reduce((sum, words) => sum + words.length, 0) / texts.length || 1;
  const scores = new Array<number>(texts.length).fill(0);
  for (const word of wanted) {
    const counts = documents.map((words) => words.filter((each) => each === word).length);
    const holders = counts.filter((count) => count > 0).length;
    if (holders === 0) continue;
    const rarity = Math.log(1 + (texts.length - holders + 0.5) / (holders + 0.5));
    for (const [i, count] of counts.entries()) {
      const length = 0.25 + (0.75 * (documents[i]?.length ?? 0)) / meanLength;
      scores[i] = (scores[i] ?? 0) + (rarity * count * 2.2) / (count + 1.2 * length);
    }
  }
  return scores;
}

const wordsOf = (text: string): string[] =>
  (text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []).map((word) =>
    word.length > 3 ? word.replace(/s$/, "") : word,
  );

/**
 * Reciprocal rank fusion, k = 60: two rankings whose scores cannot be compared.
 * Source: Cormack, Clarke & Büttcher, SIGIR 2009.
 */
function fuse(rankings: readonly (readonly number[])[], count: number): readonly number[] {
  const scores = new Array<number>(count).fill(0);
  for (const ranking of rankings) {
    const order = [...ranking.keys()].sort((a, b) => (ranking[b] ?? 0) - (ranking[a] ?? 0));
    for (const [place, i] of order.entries()) {
      if ((ranking[i] ?? 0) > 0) scores[i] = (scores[i] ?? 0) + 1 / (60 + place);
    }
  }
  return scores;
}

function dot(a: Float32Array | undefined, b: Float32Array | undefined): number {
  if (!a || !b || a.length !== b.length) return 0;
  let sum = 0;
  for (const [i, value] of a.entries()) sum += value * (b[i] ?? 0);
  return sum;
}
