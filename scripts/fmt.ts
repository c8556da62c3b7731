/** Rewrites files as the formatter and the linter's safe fixes want them. */
import { runOrExit, tool } from "./run.ts";

runOrExit([tool("biome"), "check", "--config-path=.ci/biome.json", "--write", "."]);
