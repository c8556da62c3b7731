/** Money that may be spent: what a call may cost at most is set aside before it is made. */
export interface Purse {
  readonly spentUsd: number;
  readonly leftUsd: number;
  /**
   * Sets an amount aside, after what others have set aside came to less where that is needed; false
   * where it would pass the limit all the same. Whoever waits holds nothing, so none waits for ever.
   */
  reserve(usd: number): Promise<boolean>;
  /** What it came to in the end. */
  settle(reservedUsd: number, usd: number): void;
}

/** @param limitUsd calls in flight included, so that it is never passed by what is known beforehand */
export function createPurse(limitUsd: number): Purse {
  const limit = limitUsd * (1 + 1e-9);
  let spent = 0;
  let reserved = 0;
  let waiting: (() => void)[] = [];
  return {
    get spentUsd() {
      return spent;
    },
    get leftUsd() {
      return Math.max(0, limitUsd - spent - reserved);
    },
    async reserve(usd) {
      while (spent + reserved + usd > limit) {
        if (spent + usd > limit || reserved === 0) return false;
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      reserved += usd;
      return true;
    },
    settle(reservedUsd, usd) {
      reserved = reserved - reservedUsd < 1e-12 ? 0 : reserved - reservedUsd;
      spent += usd;
      const woken = waiting;
      waiting = [];
      for (const wake of woken) wake();
    },
  };
}
