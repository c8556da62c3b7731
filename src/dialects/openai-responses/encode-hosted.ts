/**
 * What tools of the gateway's own do during an answer, as items and events of the Responses API: an
 * MCP server's tools and calls, requests for approval, searches of files.
 * Source: https://platform.openai.com/docs/guides/tools-remote-mcp and …/tools-file-search
 */
import type { HostedCallBegun, HostedEnded, HostedEvent } from "../../domain/hosted-event.ts";
import type { HostedFailure } from "../../domain/hosted-tool.ts";
import type { JsonObject } from "../../domain/json.ts";
import { type idPrefixes, listOf } from "./wire.ts";

/** The stream that the items are of. */
export interface ItemStream {
  /** A place in the output for an item, which is told as begun. */
  begin(
    type: keyof typeof idPrefixes,
    item: (id: string) => JsonObject,
  ): { readonly id: string; readonly at: number };
  end(at: number, item: JsonObject): void;
  emit(type: string, fields: JsonObject): void;
  cite(citation: { readonly fileId: string; readonly filename: string }): void;
}

export interface HostedItems {
  hear(event: HostedEvent): void;
  /** The answer is over: calls that have no end are incomplete. */
  closeAll(): void;
}

interface OpenCall {
  readonly id: string;
  readonly at: number;
  readonly begun: HostedCallBegun;
  args: string;
}

export function createHostedItems(stream: ItemStream, body: JsonObject | undefined): HostedItems {
  const open = new Map<number, OpenCall>();
  const tellsResults = listOf(body?.["include"]).includes("file_search_call.results");

  function hear(event: HostedEvent): void {
    const { kind } = event;
    if (kind === "list") list(event);
    else if (kind === "begun") begin(event);
    else if (kind === "approval") approval(event);
    else if (kind === "citation") stream.cite(event);
    else on(event);
  }

  function list({ label, tools, error }: Extract<HostedEvent, { kind: "list" }>): void {
    const item = (id: string, listed: readonly JsonObject[], problem?: string) => ({
      id,
      type: "mcp_list_tools",
      server_label: label,
      tools: listed,
      // Not null: OpenAI leaves it out, and the AI SDK takes no null here.
      ...(problem === undefined ? {} : { error: problem }),
    });
    const { id, at } = stream.begin("mcp_list_tools", (own) => item(own, []));
    const where = { item_id: id, output_index: at };
    stream.emit("response.mcp_list_tools.in_progress", where);
    const end = error === undefined ? "completed" : "failed";
    stream.emit(`response.mcp_list_tools.${end}`, where);
    stream.end(at, item(id, tools, error));
  }

  function begin(begun: HostedCallBegun): void {
    const isSearch = begun.shownAs === "file_search";
    const { id, at } = stream.begin(isSearch ? "file_search_call" : "mcp_call", (own) =>
      isSearch
        ? searchItem(own, "in_progress")
        : callItem(own, begun, "", { status: "in_progress" }),
    );
    open.set(begun.call, { id, at, begun, args: "" });
    stream.emit(`response.${isSearch ? "file_search_call" : "mcp_call"}.in_progress`, {
      item_id: id,
      output_index: at,
    });
  }

  function approval({ label, name, arguments: args }: Extract<HostedEvent, { kind: "approval" }>) {
    const item = (id: string) => ({
      id,
      type: "mcp_approval_request",
      server_label: label,
      name,
      arguments: args,
    });
    const { id, at } = stream.begin("mcp_approval_request", item);
    stream.end(at, item(id));
  }

  function on(event: Extract<HostedEvent, { kind: "arguments" | "running" | "ended" }>): void {
    const call = open.get(event.call);
    if (!call) return;
    const where = { item_id: call.id, output_index: call.at };
    const isSearch = call.begun.shownAs === "file_search";
    if (event.kind === "arguments") {
      call.args += event.delta;
      if (isSearch) return;
      stream.emit("response.mcp_call_arguments.delta", { ...where, delta: event.delta });
    } else if (event.kind === "running") {
      if (isSearch) stream.emit("response.file_search_call.searching", where);
      else stream.emit("response.mcp_call_arguments.done", { ...where, arguments: call.args });
    } else {
      open.delete(event.call);
      if (isSearch) endSearch(call, event, where);
      else endCall(call, event, where);
    }
  }

  function endCall({ id, at, begun, args }: OpenCall, ended: HostedEnded, where: JsonObject): void {
    const { output, failure } = ended;
    stream.emit(`response.mcp_call.${failure ? "failed" : "completed"}`, where);
    const end = failure
      ? { status: "failed", error: toError(failure) }
      : { status: "completed", output };
    stream.end(at, callItem(id, begun, args, end));
  }

  /** The API has no event for a search that failed; its item says so. */
  function endSearch({ id, at }: OpenCall, ended: HostedEnded, where: JsonObject): void {
    const { failure, queries = [], results = [] } = ended;
    if (!failure) stream.emit("response.file_search_call.completed", where);
    const shown = tellsResults ? results : null;
    stream.end(at, searchItem(id, failure ? "failed" : "completed", queries, shown));
  }

  return {
    hear,
    closeAll() {
      for (const { id, at, begun, args } of open.values()) {
        const isSearch = begun.shownAs === "file_search";
        const item = isSearch
          ? searchItem(id, "incomplete")
          : callItem(id, begun, args, { status: "incomplete" });
        stream.end(at, item);
      }
      open.clear();
    },
  };
}

function callItem(
  id: string,
  { label, name, approval }: HostedCallBegun,
  args: string,
  end: JsonObject,
): JsonObject {
  return {
    id,
    type: "mcp_call",
    server_label: label,
    name,
    arguments: args,
    output: null,
    error: null,
    approval_request_id: approval ?? null,
    ...end,
  };
}

function searchItem(
  id: string,
  status: string,
  queries: readonly string[] = [],
  results: readonly JsonObject[] | null = null,
): JsonObject {
  return { id, type: "file_search_call", status, queries, results };
}

function toError({ kind, code, message }: HostedFailure): JsonObject {
  if (kind === "tool") {
    return { type: "mcp_tool_execution_error", content: [{ type: "text", text: message }] };
  }
  return { type: kind === "http" ? "http_error" : "mcp_protocol_error", code, message };
}
