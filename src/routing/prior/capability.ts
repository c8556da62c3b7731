/**
 * How able a model is, from its name and what the catalog says of it: the index of a table of known
 * models, else of its relatives of other versions, else what its size and price let expect.
 */
import { arenaTable } from "./arena-table.ts";
import { capabilityTable } from "./capability-table.ts";

/** What may be known of a model before it has answered anything. */
export interface ModelNotes {
  /** With or without provider prefixes. */
  readonly name: string;
  /** USD per million tokens, input and output together; undefined or 0: unknown. */
  readonly usdPerMtok?: number | undefined;
  /** Billions of parameters. */
  readonly sizeB?: number | undefined;
  readonly contextTokens?: number | undefined;
  readonly reasoning?: boolean | undefined;
}

export interface Capability {
  /** On the scale of the table: GPT-5 is 150, Claude 3.5 Sonnet of June 2024 is 130. */
  readonly index: number;
  /** One standard deviation of what is not known of it. */
  readonly spread: number;
  readonly from: "table" | "rating" | "relative" | "facts";
}

export type CapabilityOf = (notes: ModelNotes) => Capability;

interface Known extends Line {
  readonly key: string;
  readonly index: number;
}

/** @param leftOut keys of the table that are not to be used: what a measurement holds out */
export function createCapabilities(leftOut: (key: string) => boolean = () => false): CapabilityOf {
  const known = readTable(capabilityTable).filter(({ key }) => !leftOut(key));
  const inArena = readTable(arenaTable).filter(({ key }) => !leftOut(key));
  return (notes) => {
    const name = toKey(notes.name);
    const exact = findExact(known, name);
    if (exact) return { index: exact.index, spread: tableSpread, from: "table" };
    const rating = findExact(inArena, name);
    if (rating) return fromRating(rating.index, { ...notes, name });
    const relative = findRelative(known, name) ?? findDerived(known, name, notes.sizeB);
    if (relative !== undefined)
      return { index: relative, spread: relativeSpread, from: "relative" };
    return { index: fromFacts({ ...notes, name }), spread: factsSpread, from: "facts" };
  };
}

// How far the three ways are from the truth on the table itself, each model judged by the others.
const tableSpread = 2;
const ratingSpread = 4.5;
const relativeSpread = 6;
const factsSpread = 10;

/**
 * Index of a rating of 1200, and index points per point of rating, over the 86 models that both tables
 * have. What facts say counts a little beside it: people like small models better than tests do.
 */
const rated = { at: 1200, index: 121, perPoint: 0.103 } as const;

function fromRating(rating: number, notes: ModelNotes): Capability {
  const own = rated.index + rated.perPoint * (rating - rated.at);
  const [a, b] = [1 / ratingSpread ** 2, 1 / factsSpread ** 2];
  const index = (a * own + b * fromFacts(notes)) / (a + b);
  return { index, spread: 1 / Math.sqrt(a + b), from: "rating" };
}

function readTable(text: string): Known[] {
  return text
    .trim()
    .split("\n")
    .map((row) => {
      const [key = "", index] = row.split(" ");
      return { key, index: Number(index), ...toLine(key) };
    });
}

/** Words that say how a model is served, not which one it is. */
const noise =
  /-(?:instruct|chat|it|hf|preview|latest|fp8|fp16|awq|int4|maas|exp|free|v0-\d|\d{1,4}k|us|eu)(?=-|$)/g;

/** `openrouter/anthropic/claude-3.5-sonnet:beta` → `claude-3-5-sonnet`. */
export function toKey(name: string): string {
  const last = name.toLowerCase().split("/").at(-1) ?? "";
  return last
    .replace(/(?:-v\d+)?[:@].*$/, "") // Bedrock's `-v2:0`, OpenRouter's `:free`, Vertex's `@001`
    .replace(/^(?:[a-z]{2,6}\.)?(?:anthropic|meta|mistral|amazon|cohere|ai21|deepseek|qwen)\./, "")
    .replace(/[._\s]/g, "-")
    .replace(/^meta-(?=llama)/, "")
    .replace(/^llama(?=\d)/, "llama-")
    .replace(/^claude-v(?=\d)/, "claude-")
    .replace(noise, "")
    .replace(/(?<=\d+b)-v\d(?:-\d)?$/, "") // releases of one open model: `wizardlm-13b-v1-2`
    .replace(/-+$/, "");
}

/** The longest key that the name begins with, where only a date or a build number follows. */
function findExact(known: readonly Known[], name: string): Known | undefined {
  let best: Known | undefined;
  for (const one of known) {
    if (name !== one.key && !isBuildOf(name, one.key)) continue;
    if (!best || one.key.length > best.key.length) best = one;
  }
  return best;
}

/** `gpt-4o-2024-08-06` of `gpt-4o`, `gpt-4-0613` of `gpt-4`; not `gpt-4-1`, which is another model. */
function isBuildOf(name: string, key: string): boolean {
  if (!name.startsWith(`${key}-`)) return false;
  return /^(?:\d{4,8}(?:-\d{2}-\d{2})?|\d{2}-\d{2}|\d{2}-20\d{2}|00\d)$/.test(
    name.slice(key.length + 1),
  );
}

/** Index points per whole version and per year, as the table's own lines have them on average. */
const perVersion = 8;
const perYear = 10;
const mostGap = 15;

/** Of the same line (`claude-opus`), the nearest version: later ones are abler. */
function findRelative(known: readonly Known[], name: string): number | undefined {
  const { line, version, year } = toLine(name);
  let best: Known | undefined;
  let least = Number.POSITIVE_INFINITY;
  let rise = 0;
  for (const one of known) {
    if (one.line !== line) continue;
    const years = year && one.year ? year - one.year : 0;
    const gap = version === one.version ? perYear * years : perVersion * (version - one.version);
    if (Math.abs(gap) >= least) continue;
    best = one;
    least = Math.abs(gap);
    rise = gap;
  }
  return best && best.index + Math.max(-mostGap, Math.min(mostGap, rise));
}

/** Index points per doubling of size within a generation, as the table's open models have it. */
const perDoubling = 2.5;

/**
 * A model whose name begins as a known generation's does and goes on otherwise (`llama-3-1-nemotron-51b`
 * of `llama-3-1-70b`): the member of the generation that is nearest in size, by how sizes differ.
 */
function findDerived(
  known: readonly Known[],
  name: string,
  sizeB: number | undefined,
): number | undefined {
  if (!sizeB) return undefined;
  let best: number | undefined;
  let longest = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const one of known) {
    const [stem, ownB] = splitSize(one.key);
    if (!ownB || !(name.startsWith(`${stem}-`) && /\d/.test(stem))) continue;
    const doublings = Math.log2(sizeB / ownB);
    if (stem.length < longest || (stem.length === longest && Math.abs(doublings) >= least))
      continue;
    longest = stem.length;
    least = Math.abs(doublings);
    best = one.index + perDoubling * doublings;
  }
  return best;
}

/** `llama-3-1-70b` → `llama-3-1`, 70. */
function splitSize(key: string): readonly [stem: string, sizeB: number] {
  const match = /^(.*)-(\d+)b$/.exec(key);
  return match ? [match[1] ?? "", Number(match[2])] : [key, 0];
}

interface Line {
  /** A name without its version and date: `claude-opus`. */
  readonly line: string;
  /** 4.5; 1 where there is none. */
  readonly version: number;
  /** 2024.5, from a date in the name; 0 where there is none. */
  readonly year: number;
}

function toLine(key: string): Line {
  let year = 0;
  const undated = key.replace(
    /-(?:(20\d{2})-?(\d{2})-?(\d{2})|(2\d)(0[1-9]|1[0-2])|\d{4}|\d{2}-(?:\d{2}|20\d{2})|00\d)(?=-|$)/g,
    (_, long?: string, month?: string, _day?: string, short?: string, shortMonth?: string) => {
      if (long) year = Number(long) + Number(month) / 12;
      else if (short) year = 2000 + Number(short) + Number(shortMonth) / 12;
      return "";
    },
  );
  let version = 1;
  // A number alone, or glued to a letter or name (`v3`, `qwen3`, `k2`); sizes (`70b`) stay.
  const line = undated.replace(
    /([a-z]|-)(\d{1,2})(?:-(\d{1,2}))?(?=-|$|o(?:-|$))/,
    (_, before: string, major: string, minor?: string) => {
      version = Number(`${major}.${minor ?? 0}`);
      return before === "-" ? "" : before;
    },
  );
  return { line, version, year };
}

/** Learnt from the table's own rows: size, price, and words that say where a maker places a model. */
function fromFacts({ name, usdPerMtok, sizeB, contextTokens, reasoning }: ModelNotes): number {
  let index = 119;
  if (usdPerMtok && usdPerMtok > 0) index += 2.6 * Math.log(usdPerMtok / 2);
  if (sizeB && sizeB > 0) index += 3.5 * Math.log(sizeB / 40);
  if (contextTokens) index += 2.5 * Math.log2(Math.min(1e6, contextTokens) / 32_000);
  if (reasoning) index += 8;
  if (/(^|-)(nano|tiny|micro|lite|mini|small|flash|haiku|8b|7b|3b|1b)(-|$)/.test(name)) index -= 2;
  if (/(^|-)(large|pro|ultra|opus|max|plus|405b)(-|$)/.test(name)) index += 2;
  return Math.max(85, Math.min(155, index));
}
