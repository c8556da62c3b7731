/** `npm test`: all tests, or those whose path holds the given words. */
import { availableParallelism } from "node:os";
import { ensureBinary } from "./build.ts";
import { ensureClients } from "./clients.ts";
import { bun, runOrExit } from "./run.ts";

const words = process.argv.slice(2);
// Before the tests, so that none of them has to wait for it, and its failure is told once.
const needsBinary = words.length === 0 || words.some((word) => /e2e|bench/.test(word));
if (needsBinary) ensureBinary();
if (words.length === 0 || words.some((word) => word.includes("clients"))) await ensureClients();
// Each file has a process's memory to itself: in one heap for all, the last files take ten times as long.
const workers = Math.min(2, availableParallelism());
// Bun gives a test 5 s; a slow, shared machine may need more.
runOrExit([bun, "test", `--parallel=${workers}`, "--timeout", "60000", ...words]);
