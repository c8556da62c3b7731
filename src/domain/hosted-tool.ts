/**
 * Tools that the gateway runs by itself for a model: an MCP server's, a skill, a search of files.
 * Who has such tools is a `HostedSource`; the loop that runs them (`pipeline/hosted`) knows no other
 * word of it.
 */
import type { Caller } from "./call.ts";
import type { JsonObject } from "./json.ts";

export interface HostedTool {
  /** As its owner calls it; what the model is told may be longer, so that names stay apart. */
  readonly name: string;
  readonly description: string;
  /** JSON Schema of its arguments. */
  readonly parameters: JsonObject;
  /** What its owner says of it beside that; no more than a hint. */
  readonly annotations?: JsonObject;
  /**
   * Limited in time by `signal` and by its own settings; leaves a receipt of its own. What goes wrong
   * with the tool is a result, too.
   * @throws the signal's reason; anything else is a fault of ours
   */
  run(args: JsonObject, run: HostedRun): Promise<HostedResult>;
}

export interface HostedRun {
  readonly caller: Caller;
  /** Of the caller's request, for receipts. */
  readonly requestId: string;
  readonly signal: AbortSignal;
}

export interface HostedResult {
  /** For the model. Whoever wrote it is no authority: it is handed on as data. */
  readonly text: string;
  /** The tool says, or its owner, that it did not work. */
  readonly failure?: HostedFailure;
  /** What the run cost; it is charged already. */
  readonly costMicroUsd?: number;
  /** Of a search: what was asked, and found. */
  readonly search?: HostedSearch;
}

/** `protocol`: the server refused the call; `tool`: the tool ran and failed; `http`: no way to it. */
export type HostedFailure = {
  readonly kind: "protocol" | "tool" | "http";
  readonly code: number;
  readonly message: string;
};

export interface HostedSearch {
  readonly queries: readonly string[];
  readonly passages: readonly HostedPassage[];
}

export interface HostedPassage {
  readonly fileId: string;
  readonly filename: string;
  readonly text: string;
  /** 0..1 */
  readonly score: number;
  readonly attributes: JsonObject;
}

/** The tools that one entry of a request's `tools` stands for. */
export interface HostedSet {
  /** How answers show them: as calls of an MCP server, or as searches of files. */
  readonly shownAs: "mcp" | "file_search";
  /** Whose they are, in the caller's own word. */
  readonly label: string;
  /** The list is told to the caller, as that of an MCP server is. */
  readonly listed: boolean;
  readonly tools: readonly HostedTool[];
  /** The request is over. */
  close(): void;
}

/**
 * `own`: only this gateway can run it; `any`: a provider that runs such tools can, too; `foreign`:
 * only such a provider can.
 */
export type HostedClaim = "own" | "any" | "foreign";

export interface HostedSource {
  /** `type` of the entries of `tools` that it is asked about. */
  readonly type: string;
  claim(entry: JsonObject, caller: Caller): Promise<HostedClaim>;
  /**
   * Of an entry whoever runs it: what the caller's key closes is refused before anybody is asked.
   * Missing: `open` sees to it.
   * @throws GatewayError permission_denied
   */
  assertGranted?(entry: JsonObject, asked: Omit<HostedAsk, "signal">): void;
  /**
   * @param param where the entry stands in the request, for errors: `tools[0]`
   * @throws GatewayError invalid_request, not_found, address_refused, upstream_failed
   */
  open(entry: JsonObject, asked: HostedAsk): Promise<HostedSet>;
}

export interface HostedAsk extends HostedRun {
  readonly param: string;
}

/** Limits of one request: `routeiq_settings.hosted_tools`. */
export interface HostedToolSettings {
  /** Answers of the model, its last one included. */
  readonly maxRounds: number;
  /** Runs of tools, over all rounds. */
  readonly maxCalls: number;
  /** Of one round, at once. */
  readonly maxParallel: number;
  /** Tools that a model is told of. */
  readonly maxTools: number;
  /** The whole turn. */
  readonly maxMs: number;
  /** Models and tools together; undefined: no limit of its own. */
  readonly maxCostMicroUsd?: number;
  /** Of one result; the rest is cut off, and the model told. */
  readonly maxResultBytes: number;
}
