/** A source that lives in the background thread, as the serving one sees it. */
import type { Remote } from "../../std/rpc.ts";
import type { EmbedderIdentity } from "../import/write-artifact.ts";
import type { ArtifactSource } from "./source.ts";
import type { ArtifactService, SourceConfig } from "./thread.ts";

/** The files of a release stay where they are used: `readStaged` is the thread's own. */
export type RemoteSource = Omit<ArtifactSource, "readStaged">;

export function createRemoteSource(
  remote: Remote<ArtifactService>,
  given: SourceConfig,
  embedder: () => Promise<EmbedderIdentity>,
): RemoteSource {
  const whole = async (): Promise<SourceConfig> =>
    given.kind === "foreign" ? { ...given, embedder: await embedder() } : given;
  return {
    restore: async (nowMs) => remote.call("restore", { config: await whole(), nowMs }),
    restoreStaged: async (nowMs) => remote.call("restoreStaged", { config: await whole(), nowMs }),
    check: async (nowMs, held) => remote.call("check", { config: await whole(), nowMs, held }),
    previous: async (nowMs) => remote.call("previous", { config: await whole(), nowMs }),
    commit: async (as) => remote.call("commit", { config: await whole(), as }),
    promote: async () => remote.call("promote", { config: await whole() }),
    dropStaged: async (bad) => remote.call("dropStaged", { config: await whole(), bad }),
    forgive: async () => remote.call("forgive", { config: await whole() }),
    decided: async (held) => remote.call("decided", { config: await whole(), held }),
    addVerdict: async (verdict) => remote.call("addVerdict", { config: await whole(), verdict }),
    loadVerdicts: async () => remote.call("loadVerdicts", { config: await whole() }),
    saveProgress: async (progress) =>
      remote.call("saveProgress", { config: await whole(), progress }),
    loadProgress: async () => remote.call("loadProgress", { config: await whole() }),
    rollBack: async (bad) => remote.call("rollBack", { config: await whole(), bad }),
    close() {
      // A thread that is gone holds nothing.
      remote.call("close", { config: given }).catch(() => undefined);
    },
  };
}
