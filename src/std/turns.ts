/**
 * Work that can wait for its turn. A thousand streams that speak at once are a thousand events in
 * one look at the sockets; done on the spot, they keep a new call waiting for all of them. Done in
 * turns, the sockets are looked at in between, and a call waits for one turn.
 */

export interface Waiting {
  /** Does it. What it wakes runs right after the turn. */
  takeTurn(): void;
}

/** So much of it at least is done between two looks at the sockets: of events of streams, half a millisecond. */
export const turnSize = 16;
/** And this part of what waits, so that much work is not put off for ever by calls that keep coming. */
export const turnShare = 1 / 16;

/** First come, first served. Costs a microsecond per turn. */
export class Turns {
  #waiting: Waiting[] = [];
  /** Those before it have had their turn. */
  #from = 0;
  #scheduled = false;
  readonly #later: (run: () => void) => void;
  readonly #run = () => this.#turn();

  /** @param later runs it after the sockets were looked at */
  constructor(later: (run: () => void) => void = setImmediate) {
    this.#later = later;
  }

  add(work: Waiting): void {
    this.#waiting.push(work);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#later(this.#run);
  }

  #turn(): void {
    const waiting = this.#waiting;
    const from = this.#from;
    const size = Math.max(turnSize, Math.ceil((waiting.length - from) * turnShare));
    const end = Math.min(waiting.length, from + size);
    if (end === waiting.length) {
      this.#waiting = [];
      this.#from = 0;
      this.#scheduled = false;
    } else {
      this.#from = end;
      this.#later(this.#run);
    }
    for (let at = from; at < end; at++) waiting[at]?.takeTurn();
  }
}
