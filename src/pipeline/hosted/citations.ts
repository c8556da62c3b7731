/**
 * Marks like 【3】 in a model's text, which name the passages that it rests on: taken out of the text
 * as it streams, and told as citations.
 */

/** A piece of text without marks, or the number in one. */
export type CitedPiece = string | number;

const open = "【";
const close = "】";
/** What is longer is text. */
const markChars = 40;

export class CitationReader {
  #held = "";

  /** What is certain so far: the beginning of a mark is held back until it ends. */
  push(text: string): readonly CitedPiece[] {
    this.#held += text;
    const pieces: CitedPiece[] = [];
    for (;;) {
      const at = this.#held.indexOf(open);
      if (at < 0) break;
      const end = this.#held.indexOf(close, at);
      const isMark = end >= 0 && end - at <= markChars;
      if (end < 0 && this.#held.length - at <= markChars) {
        if (at > 0) pieces.push(this.#held.slice(0, at));
        this.#held = this.#held.slice(at);
        return pieces;
      }
      const numbers = isMark ? numbersIn(this.#held.slice(at + 1, end)) : undefined;
      const upTo = numbers ? at : at + 1;
      if (upTo > 0) pieces.push(this.#held.slice(0, upTo));
      pieces.push(...(numbers ?? []));
      this.#held = this.#held.slice(numbers ? end + 1 : at + 1);
    }
    return [...pieces, ...this.end()];
  }

  /** What was held back, as text. */
  end(): readonly CitedPiece[] {
    const rest = this.#held;
    this.#held = "";
    return rest === "" ? [] : [rest];
  }
}

/** `3`, `1, 2`, `4:0†name.pdf`; undefined where it is none of these. */
function numbersIn(mark: string): readonly number[] | undefined {
  const numbers = mark.split(",").map((part) => /^\s*(\d{1,4})(?:[:†].*)?\s*$/.exec(part)?.[1]);
  return numbers.every((each) => each !== undefined) ? numbers.map(Number) : undefined;
}
