/** Long work in slices, so that whoever shares the thread never waits for the whole of it. */
import { type Clock, sleep } from "./clock.ts";

/** Asked between steps of well under a millisecond; gives a promise where it is time to let others. */
export type Pause = () => Promise<void> | undefined;

export const noPause: Pause = () => undefined;

/** Lets the event loop turn whenever `sliceUs` have gone since it last did. */
export function createPause(clock: Clock, sliceUs = 1_000): Pause {
  let sinceUs = clock.monotonicUs();
  const turn = async () => {
    await sleep(clock, 0);
    sinceUs = clock.monotonicUs();
  };
  return () => (clock.monotonicUs() - sinceUs < sliceUs ? undefined : turn());
}
