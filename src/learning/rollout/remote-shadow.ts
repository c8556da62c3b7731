/** Scoring in the shadow as the serving thread sees it. */
import type { Remote } from "../../std/rpc.ts";
import type { ShadowReport, ShadowRunner } from "./shadow-report.ts";
import type { ShadowService, ShadowStart } from "./shadow-thread.ts";

export interface RemoteShadowOptions {
  readonly remote: Remote<ShadowService>;
  /** All that a start needs beside the release. */
  readonly describe: () => Promise<Omit<ShadowStart, "version" | "share">>;
  readonly onFailure: (error: unknown) => void;
}

export interface RemoteShadow extends ShadowRunner {
  /** A report came from the thread. */
  told(report: ShadowReport): void;
  /** The thread runs again after a crash: what it scored is lost, and begins anew. */
  restarted(): void;
}

export function createRemoteShadow(options: RemoteShadowOptions): RemoteShadow {
  const { remote, onFailure } = options;
  let current:
    | { readonly version: number; readonly share: number; onReport(report: ShadowReport): void }
    | undefined;

  async function start(): Promise<void> {
    const wanted = current;
    if (!wanted) return;
    const described = await options.describe();
    if (current !== wanted) return;
    const { version, share } = wanted;
    await remote.call("begin", { ...described, version, share });
  }

  return {
    begin({ version }, share, onReport) {
      current = { version, share, onReport };
      start().catch(onFailure);
    },
    end() {
      if (!current) return;
      current = undefined;
      remote.call("end", undefined as never).catch(onFailure);
    },
    told(report) {
      if (current?.version === report.version) current.onReport(report);
    },
    restarted() {
      start().catch(onFailure);
    },
  };
}
