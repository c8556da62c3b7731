/**
 * A gateway in a process of its own that somebody kills: `ingest-child.ts DATADIR`. It prints its
 * address. Its time goes faster, so that what a dead process held is let go soon.
 */
import { createOutbound } from "../../src/security/outbound.ts";
import { createFastClock } from "./fast-clock.ts";
import { startTestGateway } from "./gateway.ts";

const [dataDir = ""] = process.argv.slice(2);
const { gateway } = await startTestGateway({
  yaml: "model_list: []\n",
  dataDir,
  clock: createFastClock(20),
  outbound: createOutbound(),
});
console.log(gateway.url);
