/**
 * The text of an answer that another model goes on with: what was said, and what of the new words is
 * new. Some providers repeat the beginning that they were given; that is taken away again.
 */

export interface ContinuationSettings {
  /** How often one stream may go on. */
  readonly maxTimes: number;
  /** A longer beginning is not sent along. */
  readonly maxTextChars: number;
}

export interface ContinuedText {
  /** What the caller has been told. */
  readonly said: string;
  /** What was said, as a beginning: no space at its end, which providers refuse or trip over. */
  readonly beginning: string;
  /** From now on words come from one who was given the beginning. */
  resume(): void;
  /** What of a piece of the answer the caller gets. */
  add(piece: string): string;
  /** What was held back and turned out to be new. */
  flush(): string;
}

/** A repetition shorter than this may be chance. */
const shortestRepeat = 12;

export function createContinuedText(): ContinuedText {
  let said = "";
  /** While it may be a repetition; undefined when that is decided. */
  let held: string | undefined;

  function tell(piece: string): string {
    said += piece;
    return piece;
  }

  /** Decided: new words, but for the space that the beginning had to leave out. */
  function release(): string {
    const piece = held ?? "";
    held = undefined;
    const space = said.slice(said.trimEnd().length);
    return tell(space !== "" && piece.startsWith(space) ? piece.slice(space.length) : piece);
  }

  return {
    get said() {
      return said;
    },
    get beginning() {
      return said.trimEnd();
    },
    resume() {
      held = "";
    },
    add(piece) {
      if (held === undefined) return tell(piece);
      held += piece;
      const beginning = said.trimEnd();
      if (beginning.length < shortestRepeat) return held === "" ? "" : release();
      if (beginning.startsWith(held) && held.length < beginning.length) return "";
      if (!held.startsWith(beginning)) return release();
      held = held.slice(beginning.length);
      return held === "" ? "" : release();
    },
    flush: () => (held === undefined ? "" : release()),
  };
}
