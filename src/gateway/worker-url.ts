/** Where the background thread's program is: in the executable an entry point lies where it lay below src. */
import { build } from "../std/build.ts";

export const workerUrl = (): string =>
  build.compiled ? "./worker.ts" : new URL("../worker.ts", import.meta.url).href;
