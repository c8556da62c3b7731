/** The MCP gateway as the rest of the program holds it: nothing is loaded until somebody asks. */
import type { Live, LiveParts } from "./live.ts";

export type { Live, LiveParts, McpRequest } from "./live.ts";

export interface Mcp {
  live(): Promise<Live>;
  close(): Promise<void>;
}

export function createMcp(parts: LiveParts): Mcp {
  let live: Promise<Live> | undefined;
  return {
    live() {
      live ??= import("./live.ts").then(({ createLive }) => createLive(parts));
      return live;
    },
    close: async () => (await live)?.close(),
  };
}
