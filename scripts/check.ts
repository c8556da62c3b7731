/** Format, lint, types, tidy, architecture: seconds, and all that gates a commit beside `bun test`. */
import { bun, runOrExit, tool } from "./run.ts";

runOrExit([tool("biome"), "check", "--config-path=.ci/biome.json", "--error-on-warnings", "."]);
runOrExit([tool("tsc"), "-p", "."]);
runOrExit([bun, "test", "test/architecture.test.ts", "test/tidy.test.ts"]);
