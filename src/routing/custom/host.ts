/**
 * The process of a user's module: loads it, and answers the gateway's queries. It has none of the
 * gateway's environment, and goes when the gateway does.
 */
import { dieWithParent } from "../../std/die-with-parent.ts";
import { serveRpc } from "../../std/rpc.ts";
import type { ModuleQuery, ModuleSettings, OpenedModule } from "./contract.ts";
import { openModule } from "./open-module.ts";

export interface ModuleApi {
  readonly module: ModuleService;
}

export interface ModuleService {
  open(settings: ModuleSettings): Promise<{ readonly models: readonly string[] }>;
  score(query: ModuleQuery): Promise<{
    readonly scores: Float32Array;
    /** Resident memory of this process. */
    readonly rssBytes: number;
  }>;
}

/** Serves until the gateway is gone; never resolves. */
export async function hostModule(): Promise<never> {
  dieWithParent();
  process.on("disconnect", () => process.exit(0));
  let opened: OpenedModule | undefined;
  serveRpc<ModuleApi>(
    {
      post: (message) => void process.send?.(message),
      listen: (onMessage) => void process.on("message", onMessage),
    },
    {
      module: () => ({
        async open(settings) {
          opened = await openModule(settings);
          return { models: opened.models };
        },
        async score(query) {
          if (!opened) throw new Error("no module is open");
          const scores = await opened.score(query);
          return { scores, rssBytes: process.memoryUsage.rss() };
        },
      }),
    },
  );
  return await new Promise(() => undefined);
}
