/** The MCP gateway as the rest of the program holds it: nothing is loaded until somebody asks. */

import type { InnerServer } from "./inner-tools.ts";
import type { Live, LiveParts } from "./live.ts";
import { createTokenGate, type TokenGate } from "./token-gate.ts";

export type { Live, LiveParts } from "./live.ts";
export type { McpRequest } from "./request-words.ts";

export interface Mcp {
  /** Access tokens of authorization servers. */
  readonly gate: TokenGate;
  /** A server of the gateway's own; another one of its name goes. */
  publish(server: InnerServer): void;
  live(): Promise<Live>;
  close(): Promise<void>;
}

export interface McpParts extends Omit<LiveParts, "inner"> {
  /** The gateway's own servers. Default: none. */
  readonly inner?: readonly InnerServer[];
}

export function createMcp(parts: McpParts): Mcp {
  let live: Promise<Live> | undefined;
  const { outbound, services } = parts;
  const gate = createTokenGate(
    { outbound, clock: services().clock },
    () => services().config.routeiq.mcp,
  );
  const inner = new Map((parts.inner ?? []).map((server) => [server.name, server]));
  return {
    gate,
    publish: (server) => void inner.set(server.name, server),
    live() {
      live ??= import("./live.ts").then(({ createLive }) => createLive({ ...parts, inner }));
      return live;
    },
    close: async () => (await live)?.close(),
  };
}
