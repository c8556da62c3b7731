/** The MCP gateway as the rest of the program holds it: nothing is loaded until somebody asks. */

import { createTokenGate, type TokenGate } from "./oauth/token-gate.ts";
import type { InnerServer } from "./tools/inner-tools.ts";
import type { Live, LiveParts } from "./upstream/live.ts";

export type { McpRequest } from "./request-words.ts";
export type { Live, LiveParts } from "./upstream/live.ts";

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
      live ??= import("./upstream/live.ts").then(({ createLive }) =>
        createLive({ ...parts, inner }),
      );
      return live;
    },
    close: async () => (await live)?.close(),
  };
}
