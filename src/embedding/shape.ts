/** Shape features: what a query looks like, whatever it says. Sixteen numbers, one pass over its window. */

/** In the order of `RawFeatures.shape`; a change is a new feature schema. */
export const shapeNames = [
  "log_units",
  "log_words",
  "word_length",
  "digit_share",
  "upper_share",
  "mark_share",
  "non_ascii_share",
  "log_lines",
  "log_numbers",
  "log_operators",
  "log_code_marks",
  "log_questions",
  "begins_as_question",
  "log_options",
  "log_tools",
  "log_tool_units",
] as const;

/** What one pass over the window counts. */
export interface ShapeCounts {
  readonly digits: number;
  readonly upper: number;
  readonly marks: number;
  readonly wide: number;
  readonly lines: number;
  readonly numbers: number;
  readonly words: number;
  readonly letters: number;
  readonly operators: number;
  readonly codeMarks: number;
  readonly questions: number;
  readonly options: number;
}

/** Beside the window: the length of the whole text, and the tools. */
export interface ShapeContext {
  readonly textUnits: number;
  readonly tools: number;
  readonly toolUnits: number;
}

/**
 * @param text    the whole text: only its length is used
 * @param window  the part that features are read from (`toWindow`)
 */
export function toShape(text: string, window: string, tools: number, toolUnits: number) {
  return finishShape(countShape(window), window, { textUnits: text.length, tools, toolUnits });
}

/** Counts in JavaScript: wasm/assembly/text.ts does the same for ASCII, and is tested against it. */
export function countShape(window: string): ShapeCounts {
  const count = { digits: 0, upper: 0, marks: 0, wide: 0, lines: 0, numbers: 0 };
  let words = 0;
  let letters = 0;
  let operators = 0;
  let codeMarks = 0;
  let questions = 0;
  let options = 0;
  let inWord = false;
  let inNumber = false;
  let lineStart = true;
  for (let at = 0; at < window.length; at++) {
    const unit = window.charCodeAt(at);
    const kind = unit < 128 ? (kinds[unit] as number) : wide;
    const isDigit = kind === digit;
    const isLetter = isDigit || kind === upper || kind === lower || kind === wide;
    if (isLetter) {
      letters++;
      if (!inWord) words++;
    } else if (kind !== space) count.marks++;
    if (isDigit && !inNumber) count.numbers++;
    if (isDigit) count.digits++;
    else if (kind === upper) count.upper++;
    else if (kind === wide) count.wide++;
    else if (kind === operator) operators++;
    else if (kind === codeMark) codeMarks++;
    else if (unit === 63) questions++;
    else if (unit === 10) count.lines++;
    // "A. …", "(b) …", "C) …": an option of a multiple-choice question.
    if (lineStart) {
      if (isOption(window, at)) options++;
      lineStart = unit === 32;
    }
    if (unit === 10) lineStart = true;
    inWord = isLetter;
    inNumber = isDigit;
  }
  return { ...count, words, letters, operators, codeMarks, questions, options };
}

export function finishShape(count: ShapeCounts, window: string, context: ShapeContext) {
  const length = Math.max(1, window.length);
  return Float32Array.of(
    Math.log1p(context.textUnits),
    Math.log1p(count.words),
    count.letters / Math.max(1, count.words),
    count.digits / length,
    count.upper / length,
    count.marks / length,
    count.wide / length,
    Math.log1p(count.lines),
    Math.log1p(count.numbers),
    Math.log1p(count.operators),
    Math.log1p(count.codeMarks),
    Math.log1p(count.questions),
    questionStart.test(window.slice(0, 80)) ? 1 : 0,
    Math.log1p(count.options),
    Math.log1p(context.tools),
    Math.log1p(context.toolUnits),
  );
}

const questionStart = /^\W*(?:what|who|whom|whose|when|where|why|how|which|is|are|can|does|do)\b/i;

function isOption(text: string, at: number): boolean {
  const open = text.charCodeAt(at) === 40 ? 1 : 0;
  const name = text.charCodeAt(at + open) | 32;
  const mark = text.charCodeAt(at + open + 1);
  return name >= 97 && name <= 106 && (mark === 46 || mark === 41 || mark === 58);
}

const other = 0;
const space = 1;
const lower = 2;
const upper = 3;
const digit = 4;
const operator = 5;
const codeMark = 6;
const wide = 7;

export const kindOf = { space, lower, upper, digit, operator, codeMark } as const;

/** The kind of each ASCII unit. */
export const kinds = Uint8Array.from({ length: 128 }, (_, unit) => {
  const character = String.fromCharCode(unit);
  if (unit <= 32) return space;
  if (/[a-z]/.test(character)) return lower;
  if (/[A-Z]/.test(character)) return upper;
  if (/[0-9]/.test(character)) return digit;
  if (/[=+*/^<>$\\%~|]/.test(character)) return operator;
  if (/[{}[\];`_#@&]/.test(character)) return codeMark;
  return other;
});
