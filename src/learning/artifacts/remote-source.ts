/** A source that lives in the background thread, as the serving one sees it. */
import type { Remote } from "../../std/rpc.ts";
import type { ArtifactSource } from "./source.ts";
import type { ArtifactService, SourceConfig } from "./thread.ts";

export function createRemoteSource(
  remote: Remote<ArtifactService>,
  config: SourceConfig,
): ArtifactSource {
  return {
    restore: (nowMs) => remote.call("restore", { config, nowMs }),
    check: (nowMs, inForce) => remote.call("check", { config, nowMs, inForce }),
    previous: (nowMs) => remote.call("previous", { config, nowMs }),
    commit: () => remote.call("commit", { config }),
    rollBack: (bad) => remote.call("rollBack", { config, bad }),
    close() {
      remote.call("close", { config }).catch(() => undefined); // a thread that is gone holds nothing
    },
  };
}
