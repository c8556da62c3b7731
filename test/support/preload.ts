/** Before every test file: a limit that a slow, shared machine can keep. Bun's own is 5 s. */
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(60_000);
