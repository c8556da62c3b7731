/** One call of a server's tool, whoever asked for it: limits, receipt, charge, and a mark on the result. */

import type { Caller } from "../../../domain/call.ts";
import type { CallOutcome } from "../../../domain/decision.ts";
import { isObject, type JsonObject } from "../../../domain/json.ts";
import type { McpServer } from "../../../domain/mcp.ts";
import type { Services } from "../../../pipeline/services.ts";
import { recordTool } from "../../../pipeline/tool-receipt.ts";
import { findMismatch } from "../../../std/json-schema.ts";
import { plainMessage, rethrown } from "../mcp-error.ts";
import { ErrorCode, McpError } from "../sdk.ts";
import { callAsTask } from "../sessions/session-tasks.ts";
import type { Link, LinkRequest } from "../upstream/link.ts";
import { reasonOf } from "../upstream/link-error.ts";

export interface ToolRun extends LinkRequest {
  readonly link: Link;
  /** Without its namespace. */
  readonly tool: string;
  /** As it was listed. */
  readonly definition: JsonObject;
  /** Of `tools/call`: `name`, `arguments` and what else the caller sent. */
  readonly params: JsonObject;
  readonly caller: Caller;
  /** Of the request that it is part of. */
  readonly requestId?: string | undefined;
  readonly services: Services;
  /** As a task of 2025-11-25, because the tool is run in no other way. Default: not. */
  readonly asTask?: "handle" | "waits" | undefined;
}

/**
 * The result as the server gave it, with `_meta` that says whose word it is.
 * @throws McpError as the server's own, or where it cannot answer
 */
export async function runTool(run: ToolRun): Promise<JsonObject> {
  const { link, tool, services, caller } = run;
  const { server } = link;
  const callId = Bun.randomUUIDv7();
  const startedAtMs = services.clock.now();
  const end = (outcome: CallOutcome, error?: string) =>
    recordTool(
      {
        callId,
        ...(run.requestId === undefined ? {} : { requestId: run.requestId }),
        caller,
        operation: "mcp_tool",
        name: `${server.name}.${tool}`,
        // A label that a request made up is no word for metrics: there is no end of them.
        provider: server.foreign ? "foreign" : server.name,
        startedAtMs,
        outcome,
        ...(error === undefined ? {} : { error }),
        // Once asked, it is paid for, whatever becomes of it; a question back is no answer yet.
        costMicroUsd: error === inputRequired ? 0 : costOf(server, tool),
      },
      services,
    );
  try {
    const params = { ...run.params, name: tool };
    const result = run.asTask
      ? await callAsTask(link, params, { ...run, waits: run.asTask === "waits" })
      : await link.request("tools/call", params, run);
    const { maxResultBytes } = services.config.routeiq.mcp;
    const size = JSON.stringify(result).length;
    if (size > maxResultBytes) {
      end("failure", "result_too_large");
      return tooLarge(server, tool, size, maxResultBytes);
    }
    if (result["resultType"] === inputRequired) {
      end("success", inputRequired);
      return marked(result, server, { callId, lie: undefined });
    }
    const lie = mismatchOf(result, run.definition);
    if (lie !== undefined) {
      services.telemetry.log("warn", "an MCP tool's result is not as its schema says", {
        server: server.name,
        tool,
        mismatch: lie,
      });
    }
    end(
      result["isError"] === true ? "failure" : "success",
      lie ? "schema_mismatch" : isErrorCode(result),
    );
    return marked(result, server, { callId, lie });
  } catch (thrown) {
    const cancelled = run.signal.aborted;
    end(cancelled ? "cancelled" : "failure", cancelled ? "caller_gone" : codeOf(thrown));
    if (!cancelled && !(thrown instanceof McpError)) {
      const error = reasonOf(thrown);
      services.telemetry.log("warn", "an MCP server's tool failed", {
        server: server.name,
        tool,
        error,
      });
    }
    throw toCallerError(thrown, server);
  }
}

/** A kind of result of 2026-07-28: the server asks its client something first. */
const inputRequired = "input_required";

const isErrorCode = (result: JsonObject) => (result["isError"] === true ? "tool_error" : undefined);

function codeOf(thrown: unknown): string {
  if (!(thrown instanceof McpError)) return "upstream_failed";
  return thrown.code === ErrorCode.RequestTimeout ? "upstream_timeout" : "upstream_failed";
}

export function costOf(server: McpServer, tool: string): number {
  return Math.round((server.toolCostsUsd[tool] ?? server.costPerCallUsd) * 1e6);
}

/** What the result is not, of what the tool's own definition says that it is. */
function mismatchOf(result: JsonObject, { outputSchema }: JsonObject): string | undefined {
  if (outputSchema === undefined || result["isError"] === true) return undefined;
  if (result["task"] !== undefined || result["resultType"] === "task") return undefined;
  const { structuredContent } = result;
  if (structuredContent === undefined) return "it has no structuredContent";
  return findMismatch(structuredContent, outputSchema)?.slice(0, mismatchChars);
}

const mismatchChars = 300;

/** What a server says is data, and no instruction of the gateway's or the operator's. */
function marked(
  result: JsonObject,
  { name }: McpServer,
  { callId, lie }: { readonly callId: string; readonly lie: string | undefined },
): JsonObject {
  const meta = isObject(result["_meta"]) ? result["_meta"] : {};
  const ours = {
    "routeiq/server": name,
    "routeiq/untrusted": true,
    "routeiq/call_id": callId,
    ...(lie === undefined ? {} : { "routeiq/schema_mismatch": lie }),
  };
  return { ...result, _meta: { ...meta, ...ours } };
}

function tooLarge({ name }: McpServer, tool: string, size: number, limit: number): JsonObject {
  const text = `The result of ${name}.${tool} has ${size} bytes; the limit is ${limit} (routeiq_settings.mcp.max_result_bytes). Ask it for less.`;
  return { content: [{ type: "text", text }], isError: true };
}

/** The server's own error as it was; what broke below the protocol in words of ours. */
export function toCallerError(thrown: unknown, { name, timeoutMs }: McpServer): McpError {
  if (thrown instanceof McpError) {
    if (thrown.code === ErrorCode.RequestTimeout) {
      const text = `The MCP server "${name}" did not answer within ${timeoutMs} ms (mcp_servers.${name}.timeout).`;
      return rethrown(thrown.code, text);
    }
    return rethrown(thrown.code, plainMessage(thrown.message), thrown.data);
  }
  return rethrown(
    ErrorCode.InternalError,
    `The MCP server "${name}" failed; the gateway's log says why.`,
  );
}
