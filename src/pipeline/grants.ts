/** What a caller's key opens, and the end of a request for what it does not: told, written down. */
import type { Caller } from "../domain/call.ts";
import { excerpt, GatewayError } from "../domain/errors.ts";
import { type Grants, nothingGranted } from "../domain/grants.ts";
import { keyIdPrefix } from "./authenticate.ts";
import type { Services } from "./services.ts";
import { recordTool } from "./tool-receipt.ts";

/**
 * As the configuration says now, also of a caller whose work began under another one: a batch goes on
 * with what its key opens today. Undefined: everything.
 */
export function grantsOf({ id }: Caller, { config }: Pick<Services, "config">): Grants | undefined {
  if (!id.startsWith(keyIdPrefix)) return undefined;
  const name = id.slice(keyIdPrefix.length);
  const { keys } = config.routeiq;
  return (Object.hasOwn(keys, name) ? keys[name]?.grants : undefined) ?? nothingGranted;
}

/** Of what there are lists; the operation of its receipt, and what lists it. */
const kinds = {
  "MCP server": { operation: "mcp_tool", list: "object_permission.mcp_servers" },
  "MCP tool": { operation: "mcp_tool", list: "object_permission.mcp_tool_permissions" },
  "vector store": { operation: "vector_search", list: "object_permission.vector_stores" },
  agent: { operation: "a2a_message", list: "object_permission.agents" },
  skill: { operation: "skill_run", list: "object_permission.skills" },
  route: { operation: "pass_through", list: "allowed_passthrough_routes" },
} as const;

export interface Closed {
  readonly what: keyof typeof kinds;
  readonly name: string;
  /** Where the request says it. */
  readonly param?: string;
  readonly requestId?: string;
}

/** Leaves a receipt, a line in the log, and a count: `routeiq_permission_denied_total`. */
export function denyClosed(closed: Closed, caller: Caller, services: Services): GatewayError {
  const { what, param, requestId } = closed;
  const { operation, list } = kinds[what];
  const name = excerpt(closed.name);
  const key = caller.id.slice(keyIdPrefix.length);
  const { telemetry, clock } = services;
  telemetry
    .counter("routeiq.permission.denied", "Requests for what the key does not open.", ["what"])
    .add(1, what);
  telemetry.log("warn", "a key asked for what it does not open", {
    audit: "permission.denied",
    key,
    what,
    name,
  });
  recordTool(
    {
      ...{ callId: Bun.randomUUIDv7(), caller, operation, name, provider: "denied" },
      ...{ startedAtMs: clock.now(), outcome: "failure", error: "permission_denied" },
      ...(requestId === undefined ? {} : { requestId }),
    },
    services,
  );
  const message = `The key '${key}' does not open the ${what} '${name}'. Its operator can add it to ${list} (routeiq_settings.keys.${key}).`;
  return new GatewayError("permission_denied", message, param === undefined ? {} : { param });
}
