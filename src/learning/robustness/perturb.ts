/**
 * The same request in other words: what people do to a text without meaning anything by it. Each is
 * a rule, and repeats itself for the same text and seed.
 */
import { createRandom, nextInt, type Random } from "../../std/random.ts";
import { wrappings } from "./phrases.ts";

export const perturbations = ["typos", "case", "padding", "paraphrase", "language"] as const;
export type Perturbation = (typeof perturbations)[number];

/** Longer texts are long enough to tell. */
const charLimit = 20_000;

export function perturb(kind: Perturbation, text: string, seed: number): string {
  const random = createRandom(seed ^ hashOf(text));
  const given = text.slice(0, charLimit);
  if (kind === "typos") return addTypos(given, random);
  if (kind === "case") return changeCase(given, random);
  if (kind === "padding") return pad(given, random);
  if (kind === "paraphrase") return paraphrase(given, random);
  return `${pick(wrappings, random)}\n${given}`;
}

function hashOf(text: string): number {
  return Number(Bun.hash.crc32(text));
}

function pick<T>(items: readonly T[], random: Random): T {
  return items[nextInt(random, items.length)] as T;
}

/** One word in ten of four letters and more: two neighbours swapped, one left out, or one doubled. */
function addTypos(text: string, random: Random): string {
  return text.replace(/\p{L}{4,}/gu, (word) => {
    if (random.next() >= 0.1) return word;
    const letters = [...word];
    const at = 1 + nextInt(random, letters.length - 2);
    const kind = nextInt(random, 3);
    if (kind === 0) letters.splice(at, 2, ...[letters[at + 1] ?? "", letters[at] ?? ""]);
    if (kind === 1) letters.splice(at, 1);
    if (kind === 2) letters.splice(at, 0, letters[at] ?? "");
    return letters.join("");
  });
}

function changeCase(text: string, random: Random): string {
  const kind = nextInt(random, 3);
  if (kind === 0) return text.toLowerCase();
  if (kind === 1) return text.toUpperCase();
  return text.replace(
    /\p{L}+/gu,
    (word) => word.slice(0, 1).toUpperCase() + word.slice(1).toLowerCase(),
  );
}

const greetings = ["Hi there!", "Hello,", "Hey, quick question:", "Good morning.", "Please help:"];
const thanks = ["Thanks in advance!", "Thank you.", "Cheers", "Many thanks!", ""];

function pad(text: string, random: Random): string {
  const gap = "\n".repeat(1 + nextInt(random, 3));
  const spaced = text.replace(/ /g, () => (random.next() < 0.05 ? "  " : " "));
  return `${pick(greetings, random)}${gap}${spaced}${gap}${pick(thanks, random)}  \n`;
}

/** Openings that mean the same, in both directions; then single words. */
const openings: readonly (readonly [RegExp, readonly string[]])[] = [
  [/^\s*what is\b/i, ["Can you tell me what is", "I'd like to know what is"]],
  [/^\s*what are\b/i, ["Could you list what are", "I want to know what are"]],
  [/^\s*how (do|can|should) i\b/i, ["What is the way to", "What would be a good way to"]],
  [/^\s*why\b/i, ["For what reason", "Could you explain why"]],
  [/^\s*(write|create|make|generate)\b/i, ["Please produce", "Could you come up with"]],
  [/^\s*(explain|describe)\b/i, ["Please give an account of", "Help me understand"]],
  [/^\s*(find|determine|calculate|compute)\b/i, ["Work out", "Please establish"]],
  [/^\s*which\b/i, ["Out of these, which", "Tell me which"]],
];
const ownOpenings = ["Consider this:", "Here is my request:", "I need the following:"];

const synonyms: Readonly<Record<string, string>> = {
  because: "since",
  big: "large",
  begin: "start",
  buy: "purchase",
  choose: "select",
  correct: "right",
  fast: "quick",
  following: "subsequent",
  get: "obtain",
  help: "assist",
  important: "significant",
  large: "big",
  many: "numerous",
  need: "require",
  often: "frequently",
  quick: "fast",
  select: "choose",
  show: "display",
  small: "little",
  start: "begin",
  suppose: "assume",
  use: "employ",
  whole: "entire",
  wrong: "incorrect",
};

function paraphrase(text: string, random: Random): string {
  const replaced = text.replace(/\b[a-z]{3,}\b/g, (word) => {
    const other = Object.hasOwn(synonyms, word) ? synonyms[word] : undefined;
    return other !== undefined && random.next() < 0.7 ? other : word;
  });
  for (const [opening, others] of openings) {
    if (opening.test(replaced)) return replaced.replace(opening, pick(others, random));
  }
  return `${pick(ownOpenings, random)} ${replaced}`;
}
