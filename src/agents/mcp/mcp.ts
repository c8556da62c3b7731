/** The MCP gateway as the rest of the program holds it: nothing is loaded until somebody asks. */

import type { Live, LiveParts } from "./live.ts";
import { createTokenGate, type TokenGate } from "./token-gate.ts";

export type { Live, LiveParts, McpRequest } from "./live.ts";

export interface Mcp {
  /** Access tokens of authorization servers. */
  readonly gate: TokenGate;
  live(): Promise<Live>;
  close(): Promise<void>;
}

export function createMcp(parts: LiveParts): Mcp {
  let live: Promise<Live> | undefined;
  const { outbound, services } = parts;
  const gate = createTokenGate(
    { outbound, clock: services().clock },
    () => services().config.routeiq.mcp,
  );
  return {
    gate,
    live() {
      live ??= import("./live.ts").then(({ createLive }) => createLive(parts));
      return live;
    },
    close: async () => (await live)?.close(),
  };
}
