/** What one caller's requests reach: the servers of a scope, over links of a session's own or shared. */

import type { Caller } from "../../domain/call.ts";
import { isToolGranted } from "../../domain/grants.ts";
import type { JsonObject } from "../../domain/json.ts";
import type { McpServer, McpSettings } from "../../domain/mcp.ts";
import { grantsOf } from "../../pipeline/grants.ts";
import type { Services } from "../../pipeline/services.ts";
import { rethrown } from "./mcp-error.ts";
import type { OauthFlow } from "./oauth/flow.ts";
import { isToolAllowed } from "./oauth/token-gate.ts";
import { isAllowed, type Scope } from "./scope.ts";
import { ErrorCode, type McpError } from "./sdk.ts";
import { Catalog } from "./tools/catalog.ts";
import type { Pins } from "./tools/pins.ts";
import { judgeTool } from "./tools/suspicion.ts";
import type { ToolSearch } from "./tools/tool-search.ts";
import type { Link } from "./upstream/link.ts";

export interface Reach {
  readonly link: Link;
  readonly catalog: Catalog;
  /** Requests under way to it, newest last: what the server says meanwhile belongs to one of them. */
  readonly pending: (string | number)[];
}

/** A connection that one call has to itself, so that what its server asks meanwhile is that call's. */
export interface Borrowed {
  readonly link: Link;
  /** Afterwards; one whose call broke off is not used again. */
  release(isSound: boolean): void;
}

export interface View {
  readonly scope: Scope;
  caller: Caller;
  readonly services: () => Services;
  readonly reach: (server: McpServer) => Reach;
  /** Missing, or undefined: the call goes over the connection of `reach`. @throws McpError */
  readonly borrow?: ((server: McpServer) => Promise<Borrowed | undefined>) | undefined;
  /** Those that callers may see and call. @throws McpError */
  tools(server: McpServer, signal: AbortSignal): Promise<readonly JsonObject[]>;
  readonly search: ToolSearch;
  /** What to tell a caller who must allow the server's use first; undefined where that is not it. */
  grantError(server: McpServer): Promise<McpError | undefined>;
  /** Of the request that its calls are part of, for their receipts. */
  readonly requestId?: string;
  /** Above which log messages are wanted; set by `logging/setLevel`. */
  level: string | undefined;
  /** Tasks that servers began for this caller → whose they are. */
  readonly tasks: Map<string, McpServer>;
}

export const taskLimit = 1_000;

export interface ViewOptions extends Pick<View, "scope" | "services" | "reach" | "borrow"> {
  readonly caller: Caller;
  readonly search: ToolSearch;
  readonly pins: Pins;
  readonly oauth: OauthFlow;
  readonly settings: () => McpSettings;
  /** Grows with every approval: what was judged before is judged again. */
  readonly approvals: () => number;
}

interface Judged {
  readonly approvals: number;
  readonly tools: Promise<readonly JsonObject[]>;
}

export function createView(options: ViewOptions): View {
  const judged = new WeakMap<object, Judged>();
  const view: View = {
    ...options,
    grantError: (server) => grantErrorOf(server, options),
    level: undefined,
    tasks: new Map(),
    tools: async (server, signal) =>
      openTo(view.caller, server, await judge(server, signal), options.services()),
  };
  return view;

  async function judge(server: McpServer, signal: AbortSignal): Promise<readonly JsonObject[]> {
    const listed = await options.reach(server).catalog.list("tools", signal);
    const approvals = options.approvals();
    const held = judged.get(listed);
    if (held?.approvals === approvals) return held.tools;
    const allowed = listed.filter(({ name }) => isAllowed(server, String(name)));
    const isUnpinned = server.foreign || (server.transport === "inner" && !server.openapi);
    const known = isUnpinned ? allowed : options.pins.judge(server.name, allowed);
    const isOwn = server.transport === "inner" && !server.openapi;
    const tools = Promise.resolve(known).then((all) =>
      isOwn ? all : lit("tool", server, all, options.services()),
    );
    tools.catch(() => judged.delete(listed)); // whoever waits is told
    judged.set(listed, { approvals, tools });
    return tools;
  }
}

/** What looks like orders to the model is marked, counted, and told once for each list. */
export function lit(
  what: "tool" | "prompt" | "resource",
  { name: server }: McpServer,
  items: readonly JsonObject[],
  { telemetry }: Services,
): readonly JsonObject[] {
  return items.map((item) => {
    const { tool: shown, reasons } = judgeTool(item);
    if (reasons.length === 0) return item;
    telemetry
      .counter("routeiq.mcp.tools.suspicious", "Descriptions that look like orders.", ["server"])
      .add(1, server);
    telemetry.log(
      "warn",
      `an MCP ${what}'s description looks like orders to the model; it is marked`,
      {
        server,
        [what]: String(item["name"]),
        reasons: reasons.join(","),
        ...(what === "tool"
          ? {
              remedy: `if it is not what you want of it, add it to mcp_servers.${server}.disallowed_tools`,
            }
          : {}),
      },
    );
    return shown;
  });
}

/** Those that its access token, or its key, opens. */
function openTo(
  caller: Caller,
  server: McpServer,
  tools: readonly JsonObject[],
  services: Services,
): readonly JsonObject[] {
  const { mcpTools } = caller;
  // A server that a request named itself was let in, whole, when it was opened.
  const grants = server.foreign ? undefined : grantsOf(caller, services);
  if (mcpTools === undefined && grants === undefined) return tools;
  return tools.filter(({ name }) => {
    const tool = String(name);
    if (mcpTools && !isToolAllowed(mcpTools, `${server.name}.${tool}`)) return false;
    return !grants || isToolGranted(grants, server, tool);
  });
}

export function createReach(link: Link, services: Services): Reach {
  return { link, catalog: new Catalog(link, services.clock), pending: [] };
}

/**
 * A caller who may allow it himself gets the address for his browser, as elicitation by URL has it.
 * Source: https://modelcontextprotocol.io/specification/2025-11-25/client/elicitation
 */
async function grantErrorOf(
  server: McpServer,
  { reach, oauth, settings, caller }: ViewOptions,
): Promise<McpError | undefined> {
  const { publicUrl } = settings();
  if (!server.oauth?.perCaller || !reach(server).link.needsGrant || !publicUrl) return undefined;
  try {
    const { url } = await oauth.begin(server, caller, publicUrl);
    const message = `Allow the gateway to use "${server.name}" in your name, then call again.`;
    const elicitation = { mode: "url", elicitationId: crypto.randomUUID(), url, message };
    return rethrown(ErrorCode.UrlElicitationRequired, message, { elicitations: [elicitation] });
  } catch {
    return undefined; // then what the call itself met is told
  }
}
