/** `npm test`: all tests, or those whose path holds the given words. */
import { bun, runOrExit } from "./run.ts";

runOrExit([bun, "test", ...process.argv.slice(2)]);
