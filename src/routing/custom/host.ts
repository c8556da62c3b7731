/**
 * The process of a user's module: loads it, and answers the gateway's queries. It has none of the
 * gateway's environment, and goes when the gateway does.
 */
import { dlopen, FFIType } from "bun:ffi";
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

const prSetParentDeathSignal = 1;
const sigkill = 9;

/** Linux alone: a module in an endless loop never hears that the gateway is gone. */
function dieWithParent(): void {
  if (process.platform !== "linux") return;
  for (const library of ["libc.so.6", "libc.musl-x86_64.so.1", "libc.musl-aarch64.so.1"]) {
    try {
      const { symbols } = dlopen(library, {
        prctl: { args: [FFIType.i32, FFIType.u64], returns: FFIType.i32 },
      });
      symbols.prctl(prSetParentDeathSignal, sigkill);
      return;
    } catch {
      // another libc; without any of them the channel's end is what it hears
    }
  }
}
