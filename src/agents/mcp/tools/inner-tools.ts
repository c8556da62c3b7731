/** What a server that is no other process has to bring. */
import type { Caller } from "../../../domain/call.ts";
import type { JsonObject } from "../../../domain/json.ts";

export interface InnerCall {
  /** Without its namespace. */
  readonly tool: string;
  readonly args: JsonObject;
  readonly caller: Caller;
  readonly signal: AbortSignal;
}

export interface InnerTools {
  readonly instructions?: string;
  /** Definitions as `tools/list` has them; asked for whenever somebody lists or calls. */
  tools(caller: Caller): Promise<readonly JsonObject[]>;
  /**
   * The result of `tools/call`: `{content, structuredContent?, isError?}`.
   * @throws GatewayError, whose words the caller is told as the tool's own error
   */
  call(call: InnerCall): Promise<JsonObject>;
}

/** One that is there without a row of the configuration. */
export interface InnerServer extends InnerTools {
  /** Its namespace and path: `/mcp/{name}`. A row of the operator's with this name comes first. */
  readonly name: string;
  readonly description: string;
  /** Whether it may be seen at all; default: by everybody. */
  isFor?(caller: Caller): boolean;
  /** Whether `/mcp` has it among the others, or only its own path. Default: yes. */
  readonly apart?: boolean;
}
