/** Money that may be spent: what a call may cost is set aside before it is made. */
export interface Purse {
  readonly spentUsd: number;
  readonly leftUsd: number;
  /** Sets an amount aside; false where that would pass the limit. */
  reserve(usd: number): boolean;
  /** What it came to in the end. */
  settle(reservedUsd: number, usd: number): void;
}

/** @param limitUsd calls in flight included, so that it is never passed by what is known beforehand */
export function createPurse(limitUsd: number): Purse {
  let spent = 0;
  let reserved = 0;
  return {
    get spentUsd() {
      return spent;
    },
    get leftUsd() {
      return Math.max(0, limitUsd - spent - reserved);
    },
    reserve(usd) {
      if (spent + reserved + usd > limitUsd * (1 + 1e-9)) return false;
      reserved += usd;
      return true;
    },
    settle(reservedUsd, usd) {
      reserved = Math.max(0, reserved - reservedUsd);
      spent += usd;
    },
  };
}
