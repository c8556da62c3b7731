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
  /**
   * A part for work of several calls, so that what is begun can be ended: side by side, each would
   * else pay its first calls and none its last. Undefined where even `expectedUsd` is not left.
   * @param mostUsd set aside; where nobody else holds anything, as much of it as is left
   */
  open(mostUsd: number, expectedUsd: number): Promise<Share | undefined>;
}

/** Its calls are paid from it first, then from what is left outside, without waiting. */
export interface Share extends Pick<Purse, "reserve" | "settle"> {
  /** Gives back what was not spent. */
  close(): void;
}

/** @param limitUsd calls in flight included, so that it is never passed by what is known beforehand */
export function createPurse(limitUsd: number): Purse {
  const limit = limitUsd * (1 + 1e-9);
  let spent = 0;
  let reserved = 0;
  let waiting: (() => void)[] = [];

  function settle(reservedUsd: number, usd: number): void {
    reserved = reserved - reservedUsd < 1e-12 ? 0 : reserved - reservedUsd;
    spent += usd;
    const woken = waiting;
    waiting = [];
    for (const wake of woken) wake();
  }

  async function reserve(usd: number): Promise<boolean> {
    while (spent + reserved + usd > limit) {
      if (spent + usd > limit || reserved === 0) return false;
      await new Promise<void>((resolve) => waiting.push(resolve));
    }
    reserved += usd;
    return true;
  }

  function toShare(usd: number): Share {
    let left = usd;
    return {
      async reserve(most) {
        const more = Math.max(0, most - left);
        if (spent + reserved + more > limit) return false;
        reserved += more;
        left += more - most;
        return true;
      },
      settle(most, cost) {
        const kept = Math.max(0, left + most - cost);
        settle(left + most - kept, cost);
        left = kept;
      },
      close() {
        settle(left, 0);
        left = 0;
      },
    };
  }

  return {
    get spentUsd() {
      return spent;
    },
    get leftUsd() {
      return Math.max(0, limitUsd - spent - reserved);
    },
    reserve,
    settle,
    async open(mostUsd, expectedUsd) {
      while (spent + reserved + mostUsd > limit && reserved > 0) {
        await new Promise<void>((resolve) => waiting.push(resolve));
      }
      const part = Math.min(mostUsd, limit - spent - reserved);
      if (part < Math.min(expectedUsd, mostUsd)) return undefined;
      reserved += part;
      return toShare(part);
    },
  };
}
