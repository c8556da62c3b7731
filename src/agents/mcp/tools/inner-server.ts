/**
 * Servers that are no other process: their tools are the gateway's own, as skills, what operators
 * look at, or the operations of an OpenAPI document. To everything else they are servers as any.
 */

import type { Caller } from "../../../domain/call.ts";
import { GatewayError } from "../../../domain/errors.ts";
import type { JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import type { Clock } from "../../../std/clock.ts";
import { version } from "../../../std/version.ts";
import { rethrown } from "../mcp-error.ts";
import { ErrorCode } from "../sdk.ts";
import type { Connection, RequestOptions } from "../upstream/connection-contract.ts";
import type { InnerServer, InnerTools } from "./inner-tools.ts";

export function toInnerRow({ name, description, apart = false }: InnerServer): McpServer {
  return {
    name,
    description,
    apart,
    transport: "inner",
    transportIsGiven: true,
    headers: {},
    args: [],
    env: {},
    disallowedTools: [],
    accessGroups: [],
    timeoutMs: innerTimeoutMs,
    costPerCallUsd: 0,
    toolCostsUsd: {},
    trust: "operator",
    authType: "none",
  };
}

const innerTimeoutMs = 60_000;

export interface InnerAccess {
  readonly caller: Caller;
  readonly clock: Clock;
}

/** Speaks to it as to a server that was connected. */
export function toConnection(
  name: string,
  inner: InnerTools,
  { caller, clock }: InnerAccess,
): Connection {
  return {
    era: "session",
    capabilities: { tools: {} },
    instructions: inner.instructions,
    serverInfo: { name, version },
    breach: undefined,
    async request(method, params = {}, how) {
      if (method === "ping") return {};
      if (method === "tools/list") return { tools: [...(await inner.tools(caller))] };
      if (method === "tools/call")
        return await within({ ...how, clock }, (signal) => run(params, signal));
      throw rethrown(ErrorCode.MethodNotFound, "Method not found");
    },
    notify: () => Promise.resolve(),
    close: () => Promise.resolve(),
  };

  async function run(params: JsonObject, signal: AbortSignal): Promise<JsonObject> {
    const args = (params["arguments"] ?? {}) as JsonObject;
    try {
      return await inner.call({ tool: String(params["name"]), args, caller, signal });
    } catch (thrown) {
      if (!(thrown instanceof GatewayError)) throw thrown;
      return { content: [{ type: "text", text: thrown.message }], isError: true };
    }
  }
}

/** @throws McpError, once it took longer than a call may; its work is told to stop. */
async function within<T>(
  { signal, timeoutMs, clock }: RequestOptions & { readonly clock: Clock },
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const limit = new AbortController();
  let stop: () => void = () => undefined;
  const late = new Promise<never>((_, reject) => {
    stop = clock.after(timeoutMs, () => {
      const error = rethrown(ErrorCode.RequestTimeout, "Request timed out");
      reject(error);
      limit.abort(error);
    });
  });
  try {
    return await Promise.race([run(AbortSignal.any([signal, limit.signal])), late]);
  } finally {
    stop();
  }
}
